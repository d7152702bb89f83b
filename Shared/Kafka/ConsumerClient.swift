import CKafka
import Runtime

/// One librdkafka consumer: hands out records, and tells its owner about partitions and lost connections.
final class ConsumerClient {
    enum Taken {
        case record(Record)
        /// Everything of the partition has been read, up to this offset.
        case end(Partition, Int64)
        case unknownTopic
        case nothing
    }

    weak var owner: Subscription?
    private let settings: KafkaSettings
    private var handle: Handle?
    private var lastComplaint = ""
    private let consumed: Counter

    /// How long leaving a group may take before it is simply left.
    private static let leaveMax: Duration = .seconds(5)

    init(_ kind: Subscription.Kind, _ settings: KafkaSettings) throws {
        self.settings = settings
        consumed = Metrics.shared.counter("kafka_consumed_total", "Records read.", ("group", kind.label))
        let options =
            switch kind {
            case .shared(let group): settings.consumer(group: group)
            // Nobody joins this group: librdkafka only wants a name.
            case .broadcast:
                settings.consumer(group: "broadcast") + [
                    ("enable.auto.commit", "false"), ("enable.partition.eof", "true"),
                ]
            }
        // Callbacks come on this loop inside `poll`, which only this object calls: it outlives them.
        let me = Unmanaged.passUnretained(self).toOpaque()
        handle = try Handle(.consumer, options) { configuration in
            rd_kafka_conf_set_opaque(configuration, me)
            rd_kafka_conf_set_rebalance_cb(configuration) { _, code, partitions, me in
                guard let me, let partitions else { return }
                Unmanaged<ConsumerClient>.fromOpaque(me).takeUnretainedValue().rebalance(code, partitions)
            }
            rd_kafka_conf_set_error_cb(configuration) { _, code, reason, me in
                guard let me else { return }
                let error = KafkaError(rd_kafka_resp_err_t(rawValue: code), reason.map { String(cString: $0) })
                Unmanaged<ConsumerClient>.fromOpaque(me).takeUnretainedValue().problem(error)
            }
        } onReady: { [weak self] in
            self?.owner?.wake()
        }
    }

    // MARK: Reading

    /// One thing from the queue; nil when there is nothing.
    func poll() -> Taken? {
        guard let handle, let message = rd_kafka_consumer_poll(handle.client, 0) else { return nil }
        defer { rd_kafka_message_destroy(message) }
        let fields = message.pointee
        let topic = fields.rkt.map { settings.inProgram(String(cString: rd_kafka_topic_name($0))) } ?? ""
        switch fields.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            consumed.add()
            return .record(Record(message, topic: topic))
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            return .end(Partition(topic: topic, number: fields.partition), fields.offset)
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            return .unknownTopic
        default:
            complain(KafkaError(fields.err, rd_kafka_message_errstr(message).map { String(cString: $0) }))
            return .nothing
        }
    }

    private func problem(_ error: KafkaError) {
        if error.isOne(of: RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__TRANSPORT) {
            owner?.disconnected(error.reason)
        } else {
            complain(error)
        }
    }

    /// Once for each kind of complaint in a row: librdkafka repeats them as often as it tries.
    private func complain(_ error: KafkaError) {
        guard error.name != lastComplaint else { return }
        lastComplaint = error.name
        settings.log.warn("kafka.consumer", ("error", "\(error)"))
    }

    private func rebalance(_ code: rd_kafka_resp_err_t, _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) {
        guard let handle else { return }
        let places = (0..<Int(list.pointee.cnt)).map { place in
            let entry = list.pointee.elems[place]
            return Partition(
                topic: settings.inProgram(entry.topic.map { String(cString: $0) } ?? ""), number: entry.partition)
        }
        let error: KafkaError?
        if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            error = KafkaError(taking: rd_kafka_incremental_assign(handle.client, list))
            owner?.assign(places)
        } else {
            owner?.revoke(places)
            error = KafkaError(taking: rd_kafka_incremental_unassign(handle.client, list))
        }
        if let error { complain(error) }
    }

    // MARK: Telling librdkafka

    func subscribe(_ topics: [String]) throws {
        try withList(topics.map { (Partition(topic: $0, number: -1), nil) }) { client, list in
            let code = rd_kafka_subscribe(client, list)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        }
    }

    func assign(_ starts: [(Partition, Int64)]) throws {
        try withList(starts.map { ($0.0, $0.1) }) { client, list in
            let code = rd_kafka_assign(client, list)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        }
    }

    func seek(_ seeks: [(Partition, ReadPosition.Seek)]) {
        guard !seeks.isEmpty else { return }
        let places = seeks.map { place, seek in
            switch seek {
            case .offset(let offset): (place, Optional(offset))
            case .beginning: (place, Optional(Int64(RD_KAFKA_OFFSET_BEGINNING)))
            }
        }
        withList(places) { client, list in
            // Waits for librdkafka's own thread, not for the broker: microseconds. Without waiting, records fetched
            // before would still come and be taken for what was sought.
            if let error = KafkaError(taking: rd_kafka_seek_partitions(client, list, 1000)) { complain(error) }
        }
    }

    func store(_ offsets: [Partition: Int64]) {
        withList(offsets.map { ($0.key, $0.value) }) { client, list in
            _ = rd_kafka_offsets_store(client, list)
        }
    }

    func pause(_ places: [Partition]) {
        withList(places.map { ($0, nil) }) { client, list in _ = rd_kafka_pause_partitions(client, list) }
    }

    func resume(_ places: [Partition]) {
        withList(places.map { ($0, nil) }) { client, list in _ = rd_kafka_resume_partitions(client, list) }
    }

    /// Records after `next` as far as librdkafka knows from its last fetch.
    func lag(_ place: Partition, next: Int64?) -> Int64 {
        guard let handle else { return 0 }
        var low: Int64 = 0
        var high: Int64 = 0
        let code = rd_kafka_get_watermark_offsets(
            handle.client, settings.onBroker(place.topic), place.number, &low, &high)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 else { return 0 }
        return max(0, high - max(next ?? low, 0))
    }

    /// Commits what was stored and leaves the group.
    func leave() async {
        guard let handle else { return }
        if let error = KafkaError(taking: rd_kafka_consumer_close_queue(handle.client, handle.queue)) {
            return complain(error)
        }
        let end = ContinuousClock.now + Self.leaveMax
        while rd_kafka_consumer_closed(handle.client) == 0, ContinuousClock.now < end {
            while poll() != nil {}
            do {
                try await handle.loop.sleep(for: .milliseconds(5))
            } catch {
                return
            }
        }
    }

    func close() async {
        let handle = handle
        self.handle = nil
        await handle?.destroy()
    }

    private func withList<T>(
        _ places: [(Partition, Int64?)],
        _ body: (OpaquePointer, UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) throws -> T
    ) rethrows -> T? {
        guard let handle, let list = rd_kafka_topic_partition_list_new(Int32(places.count)) else { return nil }
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for (place, offset) in places {
            let entry = rd_kafka_topic_partition_list_add(list, settings.onBroker(place.topic), place.number)
            if let offset { entry?.pointee.offset = offset }
        }
        return try body(handle.client, list)
    }
}
