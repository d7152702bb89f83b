import CKafka
import Runtime

/// Sends records and waits until the broker has them: idempotent, acknowledged by all replicas, in order per key.
///
/// Lives on the loop that made it and is used there. Not `Sendable`.
public final class Producer {
    private let settings: KafkaSettings
    private var handle: Handle
    private let loop: EventLoop
    private var batches: [UInt: Batch] = [:]
    private var nextBatch: UInt = 1
    private let room = Signal()

    /// Records of one ``send(_:)``.
    private final class Batch {
        var missing: Int
        var deliveries: [Delivery]
        var failure: KafkaError?
        let done = Signal()
        init(_ count: Int) {
            missing = count
            deliveries = Array(repeating: Delivery(partition: -1, offset: -1), count: count)
        }
    }

    /// The low bits of a message's tag say which record of its batch it is.
    private static let placeBits: UInt = 24
    private static let drainMax = 2_000

    public init(_ settings: KafkaSettings) throws(KafkaError) {
        self.settings = settings
        loop = .required()
        handle = try Self.open(settings)
        handle.start { [unowned self] in serve() }
    }

    private static func open(_ settings: KafkaSettings) throws(KafkaError) -> Handle {
        try Handle(RD_KAFKA_PRODUCER, settings.producer) { rd_kafka_conf_set_events($0, RD_KAFKA_EVENT_DR) }
    }

    /// Sends the records in this order and returns where each went, once the broker has all of them.
    ///
    /// Waits while the broker is away, up to the library's `message.timeout.ms`.
    /// - Throws: ``KafkaError/notDelivered(topic:reason:unknownTopic:)`` if any was refused; others may have arrived.
    public func send(_ records: [Record]) async throws -> [Delivery] {
        guard !records.isEmpty else { return [] }
        let number = nextBatch
        nextBatch += 1
        let batch = Batch(records.count)
        batches[number] = batch
        defer { batches[number] = nil }
        for (place, record) in records.enumerated() {
            while true {
                let code = produce(record, tag: number << Self.placeBits | UInt(place))
                if code == RD_KAFKA_RESP_ERR_NO_ERROR { break }
                if code == RD_KAFKA_RESP_ERR__QUEUE_FULL {
                    try await room.wait()
                    continue
                }
                if code == RD_KAFKA_RESP_ERR__FATAL { try await renew() }
                // Those already handed over are still answered for; wait so that no report comes for a batch long gone.
                batch.missing -= records.count - place
                while batch.missing > 0 { try await batch.done.wait() }
                throw Self.refused(record.topic, code)
            }
        }
        while batch.missing > 0 { try await batch.done.wait() }
        if let failure = batch.failure {
            if rd_kafka_fatal_error(handle.client, nil, 0) != RD_KAFKA_RESP_ERR_NO_ERROR { try await renew() }
            throw failure
        }
        return batch.deliveries
    }

    /// Ends the client. Unsent records are given up: the outbox still has them.
    public func close() async { await handle.close() }

    /// A new client in place of one that can never send again (its idempotence state was lost by the broker).
    private func renew() async throws {
        let fresh = try Self.open(settings)
        let old = handle
        handle = fresh
        handle.start { [unowned self] in serve() }
        await old.close()
    }

    private func produce(_ record: Record, tag: UInt) -> rd_kafka_resp_err_t {
        // All header bytes in one buffer, so that one pointer serves them all while the library copies.
        var bytes: [UInt8] = []
        var spans: [(name: Int, value: Int, size: Int)] = []
        for header in record.headers {
            let name = bytes.count
            bytes += header.name.utf8
            bytes.append(0)
            spans.append((name, bytes.count, header.value.count))
            bytes += header.value
        }
        return bytes.withUnsafeBytes { buffer in
            let headers = spans.map { span in
                ck_header(
                    name: buffer.baseAddress.map { ($0 + span.name).assumingMemoryBound(to: CChar.self) },
                    value: buffer.baseAddress.map { $0 + span.value }, size: span.size)
            }
            let key = record.key ?? []
            let value = record.value ?? []
            return key.withUnsafeBytes { key in
                value.withUnsafeBytes { value in
                    // An empty value is not a tombstone: it needs an address even though there is nothing there.
                    let present = record.value != nil
                    return withUnsafeBytes(of: tag) { anything in
                        ck_produce(
                            handle.client, settings.topicPrefix + record.topic, record.partition,
                            record.key != nil ? (key.baseAddress ?? anything.baseAddress) : nil, key.count,
                            present ? (value.baseAddress ?? anything.baseAddress) : nil, value.count, headers,
                            headers.count, UnsafeMutableRawPointer(bitPattern: tag))
                    }
                }
            }
        }
    }

    /// Takes delivery reports off the queue.
    private func serve() {
        var served = 0
        while let event = rd_kafka_queue_poll(handle.queue, 0) {
            while let message = rd_kafka_event_message_next(event) {
                report(message)
                served += 1
            }
            rd_kafka_event_destroy(event)
            if served >= Self.drainMax {
                handle.rearm()
                break
            }
        }
        if served > 0 { room.fire() }
    }

    private func report(_ message: UnsafePointer<rd_kafka_message_t>) {
        let tag = UInt(bitPattern: message.pointee._private)
        guard let batch = batches[tag >> Self.placeBits] else { return }
        let place = Int(tag & ((1 << Self.placeBits) - 1))
        if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
            batch.deliveries[place] = Delivery(partition: message.pointee.partition, offset: message.pointee.offset)
        } else if batch.failure == nil {
            let topic = message.pointee.rkt.map { String(cString: rd_kafka_topic_name($0)) } ?? ""
            batch.failure = Self.refused(topic, message.pointee.err)
        }
        batch.missing -= 1
        if batch.missing == 0 { batch.done.fire() }
    }

    private static func refused(_ topic: String, _ code: rd_kafka_resp_err_t) -> KafkaError {
        .notDelivered(
            topic: topic, reason: String(cString: rd_kafka_err2str(code)),
            unknownTopic: code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
                || code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
    }
}
