import CKafka

/// What librdkafka or the broker says is wrong.
public struct KafkaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Kafka's error number; negative ones are librdkafka's own.
    public let code: Int32
    /// `TOPIC_ALREADY_EXISTS`, `_TRANSPORT` …
    public let name: String
    public let reason: String

    init(_ code: rd_kafka_resp_err_t, _ reason: String? = nil) {
        self.code = code.rawValue
        name = rd_kafka_err2name(code).map { String(cString: $0) } ?? "\(code.rawValue)"
        self.reason = reason ?? rd_kafka_err2str(code).map { String(cString: $0) } ?? ""
    }

    /// Takes librdkafka's error object over; nil when there is none.
    init?(taking error: OpaquePointer?) {
        guard let error else { return nil }
        defer { rd_kafka_error_destroy(error) }
        self.init(rd_kafka_error_code(error), rd_kafka_error_string(error).map { String(cString: $0) })
    }

    public var description: String { "Kafka \(name): \(reason)" }

    func isOne(of codes: rd_kafka_resp_err_t...) -> Bool { codes.contains { $0.rawValue == code } }

    /// The broker knows no such topic (any more).
    public var isUnknownTopic: Bool {
        isOne(
            of: RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
    }

    /// The record itself is at fault and will be at the next attempt too.
    public var isRecordRefused: Bool {
        isOne(
            of: RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_RECORD,
            RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
    }
}

/// No broker answers. What was under way may or may not have arrived.
public struct BrokerUnreachable: Error, Sendable, CustomStringConvertible {
    public let reason: String
    public init(reason: String) { self.reason = reason }
    public var description: String { "no Kafka broker answers: \(reason)" }
}

/// The producer or subscription was closed.
public struct KafkaClosed: Error, Sendable, CustomStringConvertible {
    public init() {}
    public var description: String { "the Kafka client was closed" }
}
