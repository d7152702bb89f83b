import CKafka
import Runtime
import Shared

/// A topic as it should be on the broker.
public struct TopicDescription: Sendable, Hashable {
    public let name: String
    public let partitions: Int
    /// Whether the broker keeps the last record of every key for ever.
    public let compacted: Bool

    public init(name: String, partitions: Int, compacted: Bool = false) {
        self.name = name
        self.partitions = partitions
        self.compacted = compacted
    }

    public init(_ topic: Topic) {
        self.init(name: topic.rawValue, partitions: topic.partitions, compacted: topic.compacted)
    }
}

/// What the broker knows about topics. Each call asks on a thread that may block, with a client of its own, and throws
/// ``KafkaError`` within seconds when no broker answers.
public enum Topics {
    /// Threads of our own: while no broker answers each question holds one for seconds, and others need the shared ones.
    private static let questions = Blocking(threads: 8, queueMax: 1024)

    /// Creates the topics that do not exist and adds partitions to those that have too few. Call it as often as you like:
    /// a broker that came back empty needs it again.
    public static func ensure(_ topics: [TopicDescription], settings: KafkaSettings) async throws {
        try Library.check()
        try await questions.run {
            let admin = try Admin(settings)
            defer { admin.close() }
            try admin.ensure(topics)
        }
    }

    /// First and next offset of every partition of these topics. Topics the broker does not know are left out.
    public static func ends(
        of topics: [String], settings: KafkaSettings
    ) async throws -> [Partition: Range<Int64>] {
        try Library.check()
        return try await questions.run {
            let admin = try Admin(settings)
            defer { admin.close() }
            return try admin.ends(of: topics)
        }
    }

    /// Both at once, for whoever is about to read.
    static func survey(
        _ topics: [TopicDescription], settings: KafkaSettings
    ) async throws -> [Partition: Range<Int64>] {
        try await questions.run {
            let admin = try Admin(settings)
            defer { admin.close() }
            try admin.ensure(topics)
            return try admin.ends(of: topics.map(\.name))
        }
    }
}

/// A client for questions, on a thread that may wait for the answers.
private struct Admin {
    private let settings: KafkaSettings
    private let client: OpaquePointer
    private let queue: OpaquePointer

    /// How long each question may take. Shorter than any caller's patience, longer than a busy broker's pause.
    private static let answerMilliseconds: Int32 = 5000

    init(_ settings: KafkaSettings) throws {
        self.settings = settings
        client = try Handle.client(.producer, try Handle.configuration(settings.admin))
        guard let queue = rd_kafka_queue_new(client) else {
            rd_kafka_destroy(client)
            throw KafkaError(RD_KAFKA_RESP_ERR__FAIL)
        }
        self.queue = queue
    }

    func close() {
        rd_kafka_queue_destroy(queue)
        rd_kafka_destroy(client)
    }

    func ensure(_ topics: [TopicDescription]) throws {
        let counts = try partitionCounts(topics.map(\.name))
        let missing = topics.filter { counts[$0.name] == nil }
        if !missing.isEmpty { try create(missing) }
        for topic in topics {
            if let count = counts[topic.name], count < topic.partitions { try grow(topic, from: count) }
        }
    }

    func ends(of topics: [String]) throws -> [Partition: Range<Int64>] {
        let counts = try partitionCounts(topics)
        let places = topics.flatMap { topic in
            (0..<Int32(counts[topic] ?? 0)).map { Partition(topic: topic, number: $0) }
        }
        return places.isEmpty ? [:] : try LogEnds(settings).read(places)
    }

    /// Of those that exist. A broker that creates topics when they are asked for is told not to (`settings.admin`): it
    /// would not know how many partitions they need.
    private func partitionCounts(_ topics: [String]) throws -> [String: Int] {
        let local = topics.compactMap { rd_kafka_topic_new(client, settings.onBroker($0), nil) }
        defer { for topic in local { rd_kafka_topic_destroy(topic) } }
        var answer: UnsafePointer<rd_kafka_metadata>?
        // No topic named: those this client knows, which are the ones just made known.
        let code = rd_kafka_metadata(client, 0, nil, &answer, Self.answerMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let answer else { throw KafkaError(code) }
        defer { rd_kafka_metadata_destroy(answer) }
        var counts: [String: Int] = [:]
        for place in 0..<Int(answer.pointee.topic_cnt) {
            let topic = answer.pointee.topics[place]
            guard topic.err == RD_KAFKA_RESP_ERR_NO_ERROR, topic.partition_cnt > 0,
                let name = topic.topic.map({ String(cString: $0) })
            else { continue }
            counts[settings.inProgram(name)] = Int(topic.partition_cnt)
        }
        return counts
    }

    private func create(_ topics: [TopicDescription]) throws {
        var text = [CChar](repeating: 0, count: 512)
        var wanted: [OpaquePointer?] = []
        defer { for topic in wanted { rd_kafka_NewTopic_destroy(topic) } }
        for topic in topics {
            // -1: as many copies as the cluster's default says. The embedded broker wants to hear a number.
            let copies: Int32 = settings.profile == .local ? 1 : -1
            guard
                let new = rd_kafka_NewTopic_new(
                    settings.onBroker(topic.name), Int32(topic.partitions), copies, &text, text.count)
            else { throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, String(nullTerminated: text)) }
            if topic.compacted { rd_kafka_NewTopic_set_config(new, "cleanup.policy", "compact") }
            wanted.append(new)
        }
        try perform(RD_KAFKA_ADMIN_OP_CREATETOPICS) { options in
            rd_kafka_CreateTopics(client, &wanted, wanted.count, options, queue)
        } results: { event, count in
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
        }
    }

    /// More partitions spread keys anew, so this happens only before a key was used: right after a broker created the
    /// topic by itself, or by an operator's decision to change the number in the code.
    private func grow(_ topic: TopicDescription, from count: Int) throws {
        var text = [CChar](repeating: 0, count: 512)
        var wanted = rd_kafka_NewPartitions_new(
            settings.onBroker(topic.name), topic.partitions, &text, text.count)
        guard wanted != nil else { throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, String(nullTerminated: text)) }
        defer { rd_kafka_NewPartitions_destroy(wanted) }
        do {
            try perform(RD_KAFKA_ADMIN_OP_CREATEPARTITIONS) { options in
                rd_kafka_CreatePartitions(client, &wanted, 1, options, queue)
            } results: { event, count in
                rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count)
            }
        } catch {
            // Fewer partitions carry the same events; the embedded broker cannot add any.
            settings.log.warn(
                "kafka.partitions_missing", ("topic", "\(topic.name)"), ("has", .int(Int64(count))),
                ("wanted", .int(Int64(topic.partitions))), ("error", "\(error)"))
        }
    }

    private func perform(
        _ operation: rd_kafka_admin_op_t, _ start: (OpaquePointer?) -> Void,
        results: (OpaquePointer, inout Int) -> UnsafeMutablePointer<OpaquePointer?>?
    ) throws {
        var text = [CChar](repeating: 0, count: 512)
        let options = rd_kafka_AdminOptions_new(client, operation)
        defer { rd_kafka_AdminOptions_destroy(options) }
        rd_kafka_AdminOptions_set_request_timeout(options, Self.answerMilliseconds, &text, text.count)
        start(options)
        guard let event = rd_kafka_queue_poll(queue, Self.answerMilliseconds + 1000) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code, rd_kafka_event_error_string(event).map { String(cString: $0) })
        }
        var count = 0
        let topics = results(event, &count)
        for place in 0..<count {
            let code = rd_kafka_topic_result_error(topics?[place])
            // Somebody else was quicker.
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else {
                throw KafkaError(code, rd_kafka_topic_result_error_string(topics?[place]).map { String(cString: $0) })
            }
        }
    }
}
