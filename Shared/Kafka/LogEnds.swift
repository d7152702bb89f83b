import CKafka
import Runtime

/// Finds where the logs of partitions begin and end, on a thread that may wait.
///
/// Asking is not enough: the embedded broker answers with the place after the *first* record of the last batch. So the log
/// is read from there until its end is reported, which for any other broker is at once.
struct LogEnds {
    private let settings: KafkaSettings
    private let client: OpaquePointer

    private static let answerMilliseconds: Int32 = 5000
    /// A log that is written all the time never reports its end. Who has read on for this long, and got something, has
    /// read what was there when they asked.
    private static let patience: Duration = .seconds(1)

    init(_ settings: KafkaSettings) throws {
        self.settings = settings
        let options =
            settings.consumer(group: "log-ends") + [("enable.auto.commit", "false"), ("enable.partition.eof", "true")]
        client = try Handle.client(.consumer, try Handle.configuration(options))
        rd_kafka_poll_set_consumer(client)
    }

    /// Uses the client up.
    func read(_ places: [Partition]) throws -> [Partition: Range<Int64>] {
        defer { rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) }
        var ends: [Partition: Range<Int64>] = [:]
        for place in places {
            var low: Int64 = 0
            var high: Int64 = 0
            let code = rd_kafka_query_watermark_offsets(
                client, settings.onBroker(place.topic), place.number, &low, &high, Self.answerMilliseconds)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
            ends[place] = low..<max(low, high)
        }
        try readOn(&ends)
        return ends
    }

    private func readOn(_ ends: inout [Partition: Range<Int64>]) throws {
        var open = Set(ends.filter { !$0.value.isEmpty }.keys)
        guard !open.isEmpty, let list = rd_kafka_topic_partition_list_new(Int32(open.count)) else { return }
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for place in open {
            let entry = rd_kafka_topic_partition_list_add(list, settings.onBroker(place.topic), place.number)
            entry?.pointee.offset = ends[place]?.upperBound ?? 0
        }
        let code = rd_kafka_assign(client, list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        let began = ContinuousClock.now
        let deadline = began + .milliseconds(Int(Self.answerMilliseconds))
        var restless: Set<Partition> = []
        while !open.isEmpty {
            if ContinuousClock.now - began > Self.patience {
                open.subtract(restless)
                if open.isEmpty { return }
            }
            guard ContinuousClock.now < deadline else { throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT) }
            guard let message = rd_kafka_consumer_poll(client, 100) else { continue }
            defer { rd_kafka_message_destroy(message) }
            let fields = message.pointee
            let place = Partition(
                topic: fields.rkt.map { settings.inProgram(String(cString: rd_kafka_topic_name($0))) } ?? "",
                number: fields.partition)
            guard let known = ends[place] else { continue }
            switch fields.err {
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                ends[place] = known.lowerBound..<max(known.upperBound, fields.offset)
                open.remove(place)
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                ends[place] = known.lowerBound..<max(known.upperBound, fields.offset + 1)
                restless.insert(place)
            default: continue
            }
        }
    }
}
