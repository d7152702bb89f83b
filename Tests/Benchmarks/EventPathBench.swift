import Glibc
import Kafka
import Messaging
import Postgres
import Runtime
import Shared

/// How fast the relay empties a full outbox, and how long an event is on its way from just before its commit to its
/// handler in another consumer, at 500 a second.
///
/// Needs `TEST_DATABASE_URL` and `TEST_KAFKA_BROKERS`.
func eventsOnTheirWay() async throws -> [Measurement] {
    guard let brokers = getenv("TEST_KAFKA_BROKERS").map({ String(cString: $0) }) else {
        return [Measurement(what: "relay", ours: "not measured: TEST_KAFKA_BROKERS is not set")]
    }
    return try await onBenchDatabase(poolMax: 8, unavailable: "relay") { database, _ in
        let word = "bench-\(ID<Kind.Job>().text.suffix(12))"
        let path = EventPath(
            database: database,
            kafka: KafkaSettings(
                brokers: brokers, profile: .local, clientID: "benchmarks", topicPrefix: "\(word).",
                log: Log(program: "benchmarks", least: .error)),
            group: word)
        return try await path.measure()
    }
}

private struct EventPath: Sendable {
    let database: Database
    let kafka: KafkaSettings
    let group: String

    static let rows = 100_000
    static let perSecond = 500
    static let events = 3_000

    func measure() async throws -> [Measurement] {
        // Runs until the process ends: the database has connections on it, which are closed after this.
        let loops = EventLoopGroup(count: 1)
        loops.start()
        let relay = Relay(database: database, kafka: kafka, program: "benchmarks", log: kafka.log)
        try await fill()
        try await relay.start(on: loops)
        let rate = try await emptied()
        let arrivals = Arrivals()
        let consumer = Consumer(
            group, topics: [.telephonyLeads], database: database, kafka: kafka, log: kafka.log
        ) { envelope, _ in
            guard envelope.type == "bench" else { return }
            let took = (Instant.now() - envelope.id.madeAt).inSeconds
            arrivals.times.withLock { $0.append(took * 1000) }
        }
        try await consumer.start(on: loops)
        try await publish(arrivals)
        await consumer.stop(deadline: .seconds(5))
        await relay.stop(deadline: .seconds(5))
        let times = arrivals.times.withLock { $0.sorted() }
        func part(_ share: Double) -> String {
            "\(tenths(times[min(times.count - 1, Int(Double(times.count) * share))]))"
        }
        return [
            Measurement(what: "relay, rows of a full outbox", ours: "\(Int(rate))/s"),
            Measurement(
                what: "publish → handler at \(Self.perSecond)/s", ours: "p50 \(part(0.5)) p99 \(part(0.99)) ms"),
        ]
    }

    /// Rows as long as an utterance's event, of many keys.
    private func fill() async throws {
        try await database.execute(
            """
            INSERT INTO outbox (id, topic, key, type, payload)
            SELECT gen_random_uuid(), 'telephony.calls', md5((n % 500)::text), 'filling', repeat('x', 500)
            FROM generate_series(1, \(Self.rows)::int) AS n
            """)
    }

    private func emptied() async throws -> Double {
        var first: (at: ContinuousClock.Instant, published: Int64)?
        while true {
            let row = try await database.queryOne("SELECT published FROM outbox_relay")
            let published = try row?.decode("published", as: Int64.self) ?? 0
            let now = ContinuousClock.now
            if published > 0, first == nil { first = (now, published) }
            if published >= Int64(Self.rows), let first {
                return Double(published - first.published) / first.at.duration(to: now).inSeconds
            }
            try await EventLoop.sleep(for: .milliseconds(5))
        }
    }

    private func publish(_ arrivals: Arrivals) async throws {
        // Until the consumer has joined, what arrives tells nothing.
        let database = database
        while arrivals.times.withLock({ $0.isEmpty }) {
            try await Self.publishOne(database)
            try await EventLoop.sleep(for: .milliseconds(50))
        }
        try await EventLoop.sleep(for: .milliseconds(500))
        arrivals.times.withLock { $0.removeAll() }
        let began = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<Self.events {
                let due = began + .seconds(1) * number / Self.perSecond
                let wait = ContinuousClock.now.duration(to: due)
                if wait > .zero { try await EventLoop.sleep(for: wait) }
                group.addTask { try await Self.publishOne(database) }
            }
            try await group.waitForAll()
        }
        while arrivals.times.withLock({ $0.count }) < Self.events { try await EventLoop.sleep(for: .milliseconds(20)) }
    }

    private static func publishOne(_ database: Database) async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            let payload = String(repeating: "x", count: 500)
            tx.publish(Bare(key: "key \(Int.random(in: 0..<100))", text: payload))
        }
    }
}

/// An event of no meaning, as long as an utterance's.
private struct Bare: Event {
    static let topic = Topic.telephonyLeads
    static let types = ["bench"]
    static let schemas = [Schema.object(.required("text", .string))]
    let key: String
    let text: String
    var type: String { Self.types[0] }

    init(key: String, text: String) {
        self.key = key
        self.text = text
    }

    init(type: String, json: JSON) throws { self.init(key: "", text: "") }

    func write(to json: inout JSONWriter) { json.object { $0.field("text", text) } }
}

/// How long each event took, in milliseconds.
private final class Arrivals: Sendable {
    let times = Guarded<[Double]>([])
}
