import Kafka
import Postgres
import Runtime
import Shared
import TestSupport

@testable import Messaging

/// An event of the tests' own, on a topic with three partitions.
struct Counted: Event {
    static let topic = Topic.telephonyLeads
    static let types = ["tests.counted.v1"]
    static let schemas = [Schema.object(.required("key", .string), .required("number", .integer))]
    let key: String
    let number: Int
    var type: String { Self.types[0] }

    init(_ key: String, _ number: Int) {
        self.key = key
        self.number = number
    }

    init(type: String, json: JSON) throws {
        guard type == Self.types[0] else { throw EventError.unknownType(type) }
        guard let key = json.object?["key"]?.string, let number = json.object?["number"]?.int else {
            throw EventError.field("number", expected: "a number")
        }
        self.init(key, Int(number))
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("key", key)
            json.field("number", number)
        }
    }
}

/// A database with messaging's tables and one for effects, and a corner of a broker.
struct Fixture: Sendable {
    let database: Database
    let url: String
    let kafka: KafkaSettings
    let program = TestBroker.group()

    /// - Parameter brokers: nil for the shared broker.
    static func run(
        brokers: String? = nil, _ body: @escaping @Sendable (Fixture) async throws -> Void
    ) async throws {
        let tables = Migration(
            "tests/0001-effects.sql",
            sql: """
                CREATE TABLE effects (place bigint GENERATED ALWAYS AS IDENTITY, key text NOT NULL, number bigint NOT NULL);
                CREATE TABLE counters (key text PRIMARY KEY, number bigint NOT NULL);
                """)
        try await TestDatabase.freshURL(extra: MessagingSchema.migrations + [tables].compactMap { $0 }) { url in
            let database = Database(url: url, poolMax: 12, application: "tests")
            let kafka = try brokers.map { TestBroker.settings(brokers: $0) } ?? TestBroker.settings()
            do {
                try await body(Fixture(database: database, url: url, kafka: kafka))
            } catch {
                await database.close()
                throw error
            }
            await database.close()
        }
    }

    func publish(_ numbers: Range<Int>, keys: Int = 8) async throws {
        for number in numbers {
            try await database.transaction { (tx: borrowing Transaction) in
                tx.publish(Counted("key \(number % keys)", number))
            }
        }
    }

    func relay(restate: [Topic: Relay.Restate] = [:]) async throws -> Relay {
        let relay = Relay(database: database, kafka: kafka, program: program, restate: restate, log: kafka.log)
        try await relay.start(on: testLoops)
        return relay
    }

    /// A consumer that writes down what it handles.
    func consumer(
        _ before: @escaping @Sendable (Counted) async throws -> Void = { _ in }
    ) async throws -> Consumer {
        let consumer = unstartedConsumer(before)
        try await consumer.start(on: testLoops)
        return consumer
    }

    /// A consumer that has been given its part of the partitions.
    func member() async throws -> Consumer {
        let consumer = try await consumer()
        try await eventually(within: .seconds(40), "the group has taken it in") { consumer.unready() == nil }
        return consumer
    }

    func unstartedConsumer(_ before: @escaping @Sendable (Counted) async throws -> Void = { _ in }) -> Consumer {
        Consumer(program, topics: [.telephonyLeads], database: database, kafka: kafka, log: kafka.log) { envelope, tx in
            let event = try envelope.event(as: Counted.self)
            try await before(event)
            try await Fixture.writeDown(event, tx)
        }
    }

    static func writeDown(_ event: Counted, _ tx: borrowing Transaction) async throws {
        try await tx.execute("INSERT INTO effects (key, number) VALUES (\(event.key), \(event.number))")
    }

    /// Numbers in the order of their effects.
    func effects() async throws -> [Int] {
        try await database.query("SELECT number FROM effects ORDER BY place").map { try $0["number"] }
    }

    func eventuallyEffects(_ numbers: [Int], within: Duration = .seconds(40)) async throws {
        do {
            try await eventually(within: within, "the effects") { try await effects().count >= numbers.count }
        } catch {
            struct Missing: Error { let have: [Int], want: Int }
            throw Missing(have: try await effects(), want: numbers.count)
        }
    }

    /// Everything in the log of the tests' topic.
    func log() async throws -> [Envelope] {
        let ends = try await Topics.ends(of: [Counted.topic.rawValue], settings: kafka)
        let count = ends.values.reduce(0) { $0 + Int($1.upperBound - $1.lowerBound) }
        guard count > 0 else { return [] }
        let reader = try Subscription.broadcast(
            topics: [TopicDescription(Counted.topic)], from: .beginning, settings: kafka)
        var records: [Record] = []
        while records.count < count { records += try await reader.next() }
        await reader.close()
        return try records.map { try Envelope($0) }
    }
}

/// What a broadcast or a handler was given, from any loop.
final class Collected<Element: Sendable>: Sendable {
    private let elements = Guarded<[Element]>([])
    var all: [Element] { elements.withLock { $0 } }
    func add(_ element: Element) { elements.withLock { $0.append(element) } }
}

extension Component {
    func stop() async { await stop(deadline: .seconds(10)) }
}
