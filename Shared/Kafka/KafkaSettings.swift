import CKafka
import Shared

/// Where the broker is and how it is spoken to.
public struct KafkaSettings: Sendable {
    public enum Profile: String, CaseIterable, Sendable {
        /// Kafka's own defaults, for a real cluster.
        case server
        /// Short waits for a broker on the same machine: joins take a second, records milliseconds.
        case local
    }

    public var brokers: String
    public var profile: Profile
    public var clientID: String
    /// Put before every topic and group, so that tests share a broker and never meet.
    public var topicPrefix: String

    public init(brokers: String, profile: Profile, clientID: String, topicPrefix: String = "") {
        self.brokers = brokers
        self.profile = profile
        self.clientID = clientID
        self.topicPrefix = topicPrefix
    }

    /// librdkafka before 2.2.0 skips tagged fields wrongly and loses its place in what modern brokers answer.
    public static let versionLeast: Int32 = 0x0202_0000

    /// - Throws: ``KafkaError/oldLibrary(_:)`` with the version found.
    public static func checkVersion() throws(KafkaError) {
        guard rd_kafka_version() >= versionLeast else {
            throw .oldLibrary(String(cString: rd_kafka_version_str()))
        }
    }

    var common: [String: String] {
        var options = [
            "bootstrap.servers": brokers, "client.id": clientID, "log_level": "3",
            "allow.auto.create.topics": "false",
        ]
        if profile == .local {
            options["reconnect.backoff.ms"] = "20"
            options["reconnect.backoff.max.ms"] = "500"
            options["topic.metadata.refresh.interval.ms"] = "2000"
            options["topic.metadata.refresh.fast.interval.ms"] = "50"
            options["topic.metadata.propagation.max.ms"] = "1000"
            options["broker.address.family"] = "v4"
        }
        return options
    }

    var producer: [String: String] {
        var options = ["enable.idempotence": "true", "acks": "all", "linger.ms": "0"]
        if profile == .local { options["message.timeout.ms"] = "10000" }
        return common.merging(options) { $1 }
    }

    /// - Parameter group: nil for a broadcast, which commits nothing.
    func consumer(group: String?) -> [String: String] {
        var options = [
            // librdkafka wants a group even of a consumer that joins none.
            "group.id": topicPrefix + (group ?? "broadcast-\(clientID)"),
            "enable.auto.offset.store": "false", "enable.auto.commit": group == nil ? "false" : "true",
            "auto.commit.interval.ms": "500", "auto.offset.reset": "earliest", "enable.partition.eof": "false",
            "partition.assignment.strategy": "cooperative-sticky",
            // What one consumer holds unread at most, in KiB.
            "queued.max.messages.kbytes": "16384",
        ]
        if profile == .local {
            options["session.timeout.ms"] = "2000"
            options["heartbeat.interval.ms"] = "500"
            options["fetch.wait.max.ms"] = "10"
            options["fetch.error.backoff.ms"] = "50"
            options["fetch.queue.backoff.ms"] = "20"
        }
        return common.merging(options) { $1 }
    }
}

/// What the broker or the library refused.
public enum KafkaError: Error, Sendable, CustomStringConvertible {
    case oldLibrary(String)
    case unusableSetting(String)
    /// A record was not accepted; the name is librdkafka's.
    case notDelivered(topic: String, reason: String, unknownTopic: Bool)
    case failed(operation: String, reason: String)
    case stopped

    public var description: String {
        switch self {
        case .oldLibrary(let found):
            "librdkafka \(found) cannot talk to modern brokers; 2.2.0 or newer is needed (on Debian 12: `make setup` puts one "
                + "into .local/lib, which must be on LD_LIBRARY_PATH)"
        case .unusableSetting(let reason): "Kafka settings: \(reason)"
        case .notDelivered(let topic, let reason, _): "a record for \(topic) was not delivered: \(reason)"
        case .failed(let operation, let reason): "Kafka \(operation): \(reason)"
        case .stopped: "the Kafka client has been stopped"
        }
    }

    static func failed(_ operation: String, _ code: rd_kafka_resp_err_t) -> KafkaError {
        .failed(operation: operation, reason: String(cString: rd_kafka_err2str(code)))
    }
}
