import CKafka
import Runtime

/// One librdkafka producer: takes records, gives reports to its owner.
final class ProducerClient {
    private let settings: KafkaSettings
    private weak var owner: ProducerCore?
    private var handle: Handle?
    private var topics: [String: OpaquePointer] = [:]
    private(set) var hasProduced = false

    /// Reports taken in one go, so that thousands of them do not keep the loop's other tasks waiting.
    private static let reportsMax: Int32 = 2000

    init(_ settings: KafkaSettings, owner: ProducerCore) throws {
        self.settings = settings
        self.owner = owner
        // Callbacks come on this loop inside `rd_kafka_poll`, which only this object calls: it outlives them.
        let me = Unmanaged.passUnretained(self).toOpaque()
        handle = try Handle(.producer, settings.producer) { configuration in
            rd_kafka_conf_set_opaque(configuration, me)
            rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, me in
                guard let me, let message else { return }
                Unmanaged<ProducerClient>.fromOpaque(me).takeUnretainedValue().delivered(message)
            }
            rd_kafka_conf_set_error_cb(configuration) { client, code, reason, me in
                guard let me else { return }
                let error = KafkaError(rd_kafka_resp_err_t(rawValue: code), reason.map { String(cString: $0) })
                Unmanaged<ProducerClient>.fromOpaque(me).takeUnretainedValue().owner?.problem(error)
            }
        } onReady: { [weak self] in
            self?.poll()
        }
    }

    private func poll() {
        guard let handle else { return }
        var taken: Int32 = 0
        while taken < Self.reportsMax {
            let count = rd_kafka_poll(handle.client, 0)
            guard count > 0 else { break }
            taken += count
        }
        owner?.reported()
        if taken >= Self.reportsMax {
            handle.loop.afterCallback { [weak self] in self?.poll() }
        }
    }

    private func delivered(_ message: UnsafePointer<rd_kafka_message_t>) {
        let fields = message.pointee
        let number = Int(bitPattern: fields._private)
        guard fields.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
            owner?.report(number, .failure(KafkaError(fields.err)))
            return
        }
        owner?.report(number, .success(Delivery(partition: fields.partition, offset: fields.offset)))
    }

    // MARK: Producing

    /// False when librdkafka's queue is full.
    func produce(_ record: Record, number: Int) throws -> Bool {
        guard let handle else { throw KafkaClosed() }
        let topic = try self.topic(record.topic, handle)
        let headers = ProducerClient.headers(record.headers)
        let error = ProducerClient.withBytes(record.key) { key in
            ProducerClient.withBytes(record.value) { value in
                var values = [
                    rd_kafka_vu_t(RD_KAFKA_VTYPE_RKT) { $0.rkt = topic },
                    rd_kafka_vu_t(RD_KAFKA_VTYPE_PARTITION) { $0.i32 = record.partition },
                    rd_kafka_vu_t(RD_KAFKA_VTYPE_MSGFLAGS) { $0.i = RD_KAFKA_MSG_F_COPY },
                    rd_kafka_vu_t(RD_KAFKA_VTYPE_KEY) {
                        $0.mem.ptr = key.baseAddress
                        $0.mem.size = key.count
                    },
                    rd_kafka_vu_t(RD_KAFKA_VTYPE_VALUE) {
                        $0.mem.ptr = value.baseAddress
                        $0.mem.size = value.count
                    },
                    rd_kafka_vu_t(RD_KAFKA_VTYPE_OPAQUE) { $0.ptr = UnsafeMutableRawPointer(bitPattern: number) },
                ]
                if let headers { values.append(rd_kafka_vu_t(RD_KAFKA_VTYPE_HEADERS) { $0.headers = headers }) }
                return KafkaError(taking: rd_kafka_produceva(handle.client, &values, values.count))
            }
        }
        guard let error else {
            hasProduced = true
            return true
        }
        // librdkafka owns the headers only if it took the record.
        if let headers { rd_kafka_headers_destroy(headers) }
        if error.isOne(of: RD_KAFKA_RESP_ERR__QUEUE_FULL) { return false }
        throw error
    }

    private func topic(_ name: String, _ handle: Handle) throws -> OpaquePointer {
        if let topic = topics[name] { return topic }
        guard let topic = rd_kafka_topic_new(handle.client, settings.onBroker(name), nil) else {
            throw KafkaError(rd_kafka_last_error())
        }
        topics[name] = topic
        return topic
    }

    private static func headers(_ headers: [(name: String, value: [UInt8])]) -> OpaquePointer? {
        guard !headers.isEmpty, let list = rd_kafka_headers_new(headers.count) else { return nil }
        for (name, value) in headers {
            _ = value.withUnsafeBytes { rd_kafka_header_add(list, name, -1, $0.baseAddress, $0.count) }
        }
        return list
    }

    /// nil has no address; bytes have one even when there are none, or they would arrive as nil.
    private static func withBytes<T>(
        _ bytes: [UInt8]?, _ body: (UnsafeMutableRawBufferPointer) -> T
    ) -> T {
        guard let bytes else { return body(UnsafeMutableRawBufferPointer(start: nil, count: 0)) }
        return bytes.withUnsafeBytes { filled in
            guard filled.baseAddress == nil else { return body(UnsafeMutableRawBufferPointer(mutating: filled)) }
            return withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { spare in
                body(UnsafeMutableRawBufferPointer(start: spare.baseAddress, count: 0))
            }
        }
    }

    // MARK: The end

    /// Drops what is queued and frees the client; its reports do not matter to anyone any more.
    func abandon() {
        guard let handle else { return }
        rd_kafka_purge(
            handle.client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
        let me = Confined(self)
        handle.loop.spawn("kafka.abandon") { await me.value.close() }
    }

    func close() async {
        guard let handle else { return }
        self.handle = nil
        for topic in topics.values { rd_kafka_topic_destroy(topic) }
        topics.removeAll()
        await handle.destroy()
    }
}

extension rd_kafka_vu_t {
    fileprivate init(_ type: rd_kafka_vtype_t, _ fill: (inout __Unnamed_union_u) -> Void) {
        self.init()
        vtype = type
        fill(&u)
    }
}
