import Glibc
import Kafka
import Runtime
import Shared

/// The broker of `TEST_KAFKA_BROKERS`, in a corner of its own: every call has other topic and group names.
public enum TestBroker {
    public struct NotConfigured: Error, CustomStringConvertible {
        let name: String
        public var description: String { "\(name) is not set: run the tests with `make test`, which starts a broker" }
    }

    /// Settings whose topics nobody else sees.
    public static func settings(_ program: String = "tests") throws -> KafkaSettings {
        try settings(brokers: variable("TEST_KAFKA_BROKERS"), program)
    }

    public static func settings(brokers: String, _ program: String = "tests") -> KafkaSettings {
        KafkaSettings(
            brokers: brokers, profile: .local, clientID: program, topicPrefix: "\(word()).",
            log: Log(program: program, least: level))
    }

    /// `TEST_LOG=info` shows what happens.
    private static var level: Log.Level {
        getenv("TEST_LOG").flatMap { Log.Level(rawValue: String(cString: $0)) } ?? .error
    }

    /// A group nobody else is in.
    public static func group() -> String { "group-\(word())" }

    static func variable(_ name: String) throws -> String {
        guard let text = getenv(name) else { throw NotConfigured(name: name) }
        return String(cString: text)
    }

    private static func word() -> String { "t" + ID<Kind.Job>().text.suffix(12) + String(Int.random(in: 100...999)) }
}

/// A broker process of the test's own (`TEST_BROKER_BINARY`), for faults: it keeps its log in memory, so killing and
/// starting it again is a broker that comes back empty.
public final class PrivateBroker: PrivateServer, @unchecked Sendable {
    public var brokers: String { "127.0.0.1:\(port)" }

    public init() throws {
        let binary = try TestBroker.variable("TEST_BROKER_BINARY")
        try super.init { port in
            let url = "tcp://127.0.0.1:\(port)"
            return [
                binary, "broker", "--cluster-id", "test", "--listener-url", url, "--advertised-listener-url", url,
                "--storage-engine", "memory://tansu/",
            ]
        }
    }
}
