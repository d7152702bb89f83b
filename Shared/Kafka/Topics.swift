import CKafka
import Runtime
import Shared

/// Topics on the broker. Every call may wait for the broker, so it is made on a thread that may.
public enum Topics {
    public struct Wanted: Sendable {
        public var name: String
        public var partitions: Int
        public var compacted: Bool

        public init(name: String, partitions: Int, compacted: Bool) {
            self.name = name
            self.partitions = partitions
            self.compacted = compacted
        }

        public init(_ topic: Topic) {
            self.init(name: topic.rawValue, partitions: topic.partitions, compacted: topic.compacted)
        }
    }

    private static let answerMilliseconds: Int32 = 5_000

    /// Creates those that do not exist; existing ones stay as they are.
    public static func ensure(_ wanted: [Wanted], _ settings: KafkaSettings) async throws {
        let handle = try Handle(RD_KAFKA_PRODUCER, settings.common)
        do {
            try await Blocking.shared.run { try create(wanted, handle, settings) }
            await handle.close()
        } catch {
            await handle.close()
            throw error
        }
    }

    private static func create(_ wanted: [Wanted], _ handle: Handle, _ settings: KafkaSettings) throws {
        guard let options = rd_kafka_AdminOptions_new(handle.client, RD_KAFKA_ADMIN_OP_CREATETOPICS),
            let queue = rd_kafka_queue_new(handle.client)
        else { throw KafkaError.failed(operation: "create topics", reason: "out of memory") }
        defer {
            rd_kafka_queue_destroy(queue)
            rd_kafka_AdminOptions_destroy(options)
        }
        var reason = [CChar](repeating: 0, count: 512)
        rd_kafka_AdminOptions_set_request_timeout(options, answerMilliseconds, &reason, reason.count)
        for topic in wanted {
            // -1 leaves the number of copies to the broker's default, which an operator sets once for all topics.
            var new: OpaquePointer? = rd_kafka_NewTopic_new(
                settings.topicPrefix + topic.name, Int32(topic.partitions), settings.profile == .local ? 1 : -1, &reason,
                reason.count)
            guard let made = new else { throw KafkaError.failed(operation: "create topics", reason: topic.name) }
            if topic.compacted { rd_kafka_NewTopic_set_config(made, "cleanup.policy", "compact") }
            defer { rd_kafka_NewTopic_destroy(made) }
            rd_kafka_CreateTopics(handle.client, &new, 1, options, queue)
            guard let event = rd_kafka_queue_poll(queue, answerMilliseconds + 1_000) else {
                throw KafkaError.failed(operation: "create topics", reason: "the broker did not answer")
            }
            defer { rd_kafka_event_destroy(event) }
            let code = rd_kafka_event_error(event)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError.failed("create topics", code) }
            guard let result = rd_kafka_event_CreateTopics_result(event) else { continue }
            var count = 0
            let results = rd_kafka_CreateTopics_result_topics(result, &count)
            for place in 0..<count {
                let code = rd_kafka_topic_result_error(results?[place])
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else {
                    throw KafkaError.failed("create topic \(topic.name)", code)
                }
            }
        }
    }

    /// The offset the next record of each partition will get; topics the broker does not know are left out.
    public static func ends(of topics: [String], _ settings: KafkaSettings) async throws -> [Subscription.TopicPartition: Int64] {
        let handle = try Handle(RD_KAFKA_PRODUCER, settings.common)
        do {
            let ends = try await Blocking.shared.run {
                var ends: [Subscription.TopicPartition: Int64] = [:]
                for topic in topics {
                    for place in try known(topic, handle, settings) {
                        ends[place] = try range(place, handle, settings).high
                    }
                }
                return ends
            }
            await handle.close()
            return ends
        } catch {
            await handle.close()
            throw error
        }
    }

    /// - Throws: when one of them does not exist (yet).
    static func partitions(
        of topics: [String], handle: Handle, _ settings: KafkaSettings
    ) async throws -> [Subscription.TopicPartition] {
        try await Blocking.shared.run {
            try topics.flatMap { topic in
                let places = try known(topic, handle, settings)
                guard !places.isEmpty else {
                    throw KafkaError.failed(operation: "metadata", reason: "topic \(topic) does not exist")
                }
                return places
            }
        }
    }

    static func watermarks(
        _ place: Subscription.TopicPartition, handle: Handle, _ settings: KafkaSettings
    ) async throws -> (low: Int64, high: Int64) {
        try await Blocking.shared.run { try range(place, handle, settings) }
    }

    private static func range(
        _ place: Subscription.TopicPartition, _ handle: Handle, _ settings: KafkaSettings
    ) throws -> (low: Int64, high: Int64) {
        var low: Int64 = 0
        var high: Int64 = 0
        let code = rd_kafka_query_watermark_offsets(
            handle.client, settings.topicPrefix + place.topic, place.partition, &low, &high, answerMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError.failed("offsets of \(place.topic)", code) }
        return (low, high)
    }

    private static func known(
        _ topic: String, _ handle: Handle, _ settings: KafkaSettings
    ) throws -> [Subscription.TopicPartition] {
        guard let one = rd_kafka_topic_new(handle.client, settings.topicPrefix + topic, nil) else {
            throw KafkaError.failed(operation: "metadata", reason: topic)
        }
        defer { rd_kafka_topic_destroy(one) }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.client, 0, one, &metadata, answerMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw KafkaError.failed("metadata of \(topic)", code) }
        defer { rd_kafka_metadata_destroy(metadata) }
        guard metadata.pointee.topic_cnt == 1, metadata.pointee.topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR else {
            return []
        }
        return (0..<metadata.pointee.topics[0].partition_cnt).map {
            Subscription.TopicPartition(topic: topic, partition: $0)
        }
    }
}
