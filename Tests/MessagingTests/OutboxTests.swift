import Kafka
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Messaging

@Suite(.timeLimit(.minutes(2))) struct OutboxTests {
    @Test func `what is committed is published with every header of CloudEvents`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let trace = TraceContext.new()
            try await TraceContext.$current.withValue(trace) { try await fixture.publish(7..<8) }
            try await eventually(within: .seconds(40), "the event is there") { try await fixture.log().count == 1 }
            await relay.stop()
            let envelope = try #require(try await fixture.log().first)
            #expect(envelope.type == "tests.counted.v1")
            #expect(envelope.source == "/switchboard/\(fixture.program)")
            #expect(envelope.key == "key 7")
            #expect(envelope.trace?.traceparent == trace.traceparent)
            #expect(abs((Instant.now() - envelope.time).inSeconds) < 60)
            #expect(!envelope.isRepublished)
            #expect(try envelope.event(as: Counted.self).number == 7)
            let reader = try Subscription.broadcast(
                topics: [TopicDescription(.telephonyLeads)], from: .beginning, settings: fixture.kafka)
            let record = try #require(try await reader.next().first)
            #expect(record.text("ce_specversion") == "1.0")
            #expect(record.text("content-type") == "application/json")
            #expect(record.text("ce_time").flatMap { Instant(iso: $0) } != nil)
            await reader.close()
        }
    }

    @Test func `what is rolled back is never heard of and holds nobody up`() async throws {
        struct Changed: Error {}
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            await #expect(throws: Changed.self) {
                try await fixture.database.transaction { (tx: borrowing Transaction) in
                    tx.publish(Counted("a", 1))
                    // Sent already, not only queued: it leaves a hole in the order.
                    try await tx.execute(
                        Outbox.insert(EventID(), topic: "telephony.leads", key: "a", type: "x", payload: "{}"))
                    throw Changed()
                }
            }
            try await fixture.publish(2..<3)
            try await eventually(within: .seconds(40), "the next event is there") { try await fixture.log().count == 1 }
            #expect(try await fixture.log().map { try $0.event(as: Counted.self).number } == [2])
            await relay.stop()
        }
    }

    @Test func `an event too large for the broker fails its transaction`() async throws {
        try await Fixture.run { fixture in
            let large = Counted(String(repeating: "k", count: 900_001), 1)
            await #expect(throws: PostgresError.self) {
                try await fixture.database.transaction { (tx: borrowing Transaction) in tx.publish(large) }
            }
        }
    }

    @Test func `a transaction still open is not overtaken by one that published after it`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            try await fixture.publish(0..<1)
            try await eventually(within: .seconds(40), "the relay works") { try await fixture.log().count == 1 }
            try await fixture.database.transaction { (tx: borrowing Transaction) in
                try await tx.execute(
                    Outbox.insert(
                        EventID(), topic: "telephony.leads", key: "k", type: "tests.counted.v1",
                        payload: Counted("k", 1).jsonText))
                try await fixture.database.transaction { (other: borrowing Transaction) in
                    other.publish(Counted("k", 2))
                }
                // Long enough for several looks of the relay, which must not send the second event.
                for _ in 0..<3 {
                    Relay.wakeAll()
                    try await EventLoop.sleep(for: .milliseconds(100))
                }
                #expect(try await fixture.log().count == 1)
            }
            try await eventually(within: .seconds(40), "both are there") { try await fixture.log().count == 3 }
            let numbers = try await fixture.log().filter { $0.key == "k" }.map { try $0.event(as: Counted.self).number }
            #expect(numbers == [1, 2])
            await relay.stop()
        }
    }

    @Test func `a long transaction that has published nothing holds nobody up`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            try await fixture.database.transaction { (tx: borrowing Transaction) in
                try await tx.execute("INSERT INTO counters (key, number) VALUES ('long', 1)")
                try await fixture.publish(1..<2)
                try await eventually(within: .seconds(40), "the event is there") { try await fixture.log().count == 1 }
            }
            await relay.stop()
        }
    }

    /// The order of transaction numbers would publish the second change first: its transaction is the older one.
    @Test func `who changes something last is heard last, whoever began first`() async throws {
        try await Fixture.run { fixture in
            let database = fixture.database
            let relay = try await fixture.relay()
            try await database.execute(
                "INSERT INTO counters (key, number) VALUES ('shared', 0), ('other', 0), ('third', 0)")
            try await database.transaction { (old: borrowing Transaction) in
                // Has its number now, and touches what both change only later.
                try await old.execute("UPDATE counters SET number = 1 WHERE key = 'other'")
                try await database.transaction { (bystander: borrowing Transaction) in
                    try await bystander.execute("UPDATE counters SET number = 1 WHERE key = 'third'")
                    try await database.transaction { (young: borrowing Transaction) in
                        try await young.execute("UPDATE counters SET number = number + 1 WHERE key = 'shared'")
                        young.publish(Counted("shared", 1))
                    }
                    try await eventually(within: .seconds(40), "the first change is heard") {
                        try await fixture.log().count == 1
                    }
                    try await old.execute("UPDATE counters SET number = number + 1 WHERE key = 'shared'")
                }
                old.publish(Counted("shared", 2))
            }
            try await eventually(within: .seconds(40), "both are there") { try await fixture.log().count == 2 }
            #expect(try await fixture.log().map { try $0.event(as: Counted.self).number } == [1, 2])
            await relay.stop()
        }
    }

    /// `PublishOrder` relies on it.
    @Test func `whoever has taken a place in the order is seen as a writer until the end`() async throws {
        try await Fixture.run { fixture in
            let database = fixture.database
            #expect(try await RelayStore.writers(database).isEmpty)
            try await database.transaction { (tx: borrowing Transaction) in
                try await tx.execute("INSERT INTO counters (key, number) VALUES ('no writer', 1)")
                #expect(try await RelayStore.writers(database).isEmpty)
                try await tx.execute(
                    Outbox.insert(EventID(), topic: "telephony.leads", key: "k", type: "t", payload: "{}"))
                #expect(try await RelayStore.writers(database).count == 1)
            }
            #expect(try await RelayStore.writers(database).isEmpty)
            // The lock comes before the place: a writer that waits for its place has the lock.
            _ = try await database.query(
                """
                CREATE FUNCTION sees_lock() RETURNS text LANGUAGE sql VOLATILE AS $$
                    SELECT count(*)::text FROM pg_locks WHERE relation = 'outbox'::regclass AND mode = 'RowExclusiveLock'
                $$
                """)
            _ = try await database.query("ALTER TABLE outbox ALTER trace SET DEFAULT sees_lock()")
            let row = try await database.queryOne(
                "INSERT INTO outbox (id, topic, key, type) VALUES (gen_random_uuid(), 't', 'k', 't') RETURNING trace")
            #expect(try row?.decode("trace", as: String.self) != "0")
        }
    }

    /// A server that compiles expensive plans (`jit_above_cost`, 100,000) would compile this one with every batch.
    @Test func `reading a batch looks cheap to the planner`() async throws {
        try await Fixture.run { fixture in
            try await fixture.database.execute(
                """
                INSERT INTO outbox (id, topic, key, type, payload)
                SELECT gen_random_uuid(), 't', 'k', 't', repeat('x', 500) FROM generate_series(1, 100000)
                """)
            // As after a restore: nobody has counted rows yet.
            let plan = try await fixture.database.transaction { (tx: borrowing Transaction) in
                try await tx.query("EXPLAIN (FORMAT JSON) \(fragment: RelayStore.next(limit: 500))")
            }
            let json: JSON = try #require(plan.first).decode("QUERY PLAN", as: JSON.self)
            let cost = json.array?.first?["Plan"]?["Total Cost"]?.double ?? .infinity
            #expect(cost < 50_000)
            #expect(try await fixture.database.queryOne("SHOW jit")?.decode("jit", as: String.self) == "off")
        }
    }

    @Test func `every key keeps its order over many writers and two relays`() async throws {
        try await Fixture.run { fixture in
            let relays = [try await fixture.relay(), try await fixture.relay()]
            let consumer = try await fixture.consumer()
            try await fixture.database.execute(
                "INSERT INTO counters (key, number) SELECT 'key ' || n, 0 FROM generate_series(0, 4) AS n")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        try await onLoop {
                            for turn in 0..<40 {
                                try await Self.count("key \((writer * 7 + turn) % 5)", fixture.database)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await eventually(within: .seconds(40), "every event had its effect") {
                try await fixture.effects().count == 320
            }
            for row in try await fixture.database.query(
                "SELECT key, array_agg(number ORDER BY place) AS numbers FROM effects GROUP BY key")
            {
                let numbers: [Int64] = try row["numbers"]
                #expect(numbers == Array(1...Int64(numbers.count)))
            }
            await consumer.stop()
            for relay in relays { await relay.stop() }
        }
    }

    private static func count(_ key: String, _ database: Database) async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            // Half of them have their number before they wait for the row.
            if Bool.random() {
                try await tx.execute("INSERT INTO counters (key, number) VALUES (gen_random_uuid()::text, 0)")
            }
            let row = try await tx.queryOne(
                "UPDATE counters SET number = number + 1 WHERE key = \(key) RETURNING number")
            let number = try #require(try row?.decode("number", as: Int.self))
            tx.publish(Counted(key, number))
        }
    }

    @Test func `a tombstone arrives without a payload`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            try await fixture.database.transaction { (tx: borrowing Transaction) in
                tx.publishTombstone(.telephonyLeads, key: "gone")
            }
            try await eventually(within: .seconds(40), "it is there") { try await fixture.log().count == 1 }
            let envelope = try #require(try await fixture.log().first)
            #expect(envelope.payload == nil && envelope.key == "gone")
            await relay.stop()
        }
    }

    @Test func `stopping publishes what is committed`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            try await eventually(within: .seconds(40), "the relay works") { relay.unready() == nil }
            try await fixture.publish(0..<50)
            await relay.stop()
            #expect(try await fixture.log().count == 50)
        }
    }

    @Test func `replay publishes again, marked, and has no second effect`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let consumer = try await fixture.consumer()
            try await fixture.publish(0..<10)
            try await fixture.eventuallyEffects(Array(0..<10))
            let since = Instant.now()
            try await fixture.publish(10..<20)
            try await fixture.eventuallyEffects(Array(0..<20))
            #expect(try await Replay.mark(since: since, fixture.database) == 10)
            try await eventually(within: .seconds(40), "they are published again") {
                try await fixture.log().count == 30
            }
            let log = try await fixture.log()
            #expect(log.count { $0.isRepublished } == 10)
            #expect(Set(log.map(\.id)).count == 20)
            try await fixture.publish(20..<21)
            try await fixture.eventuallyEffects(Array(0..<21))
            #expect(try await fixture.effects().sorted() == Array(0..<21))
            await consumer.stop()
            await relay.stop()
        }
    }

    @Test func `a relay whose connection is cut while it waits for the broker is taken over from`() async throws {
        let broker = try await onLoop {
            let broker = try PrivateBroker()
            try await broker.start()
            return broker
        }
        try await Fixture.run(brokers: broker.brokers) { fixture in
            let relays = [try await fixture.relay(), try await fixture.relay()]
            let consumer = try await fixture.consumer()
            try await fixture.publish(0..<20)
            try await fixture.eventuallyEffects(Array(0..<20))
            broker.pause()
            try await fixture.publish(20..<60)
            try await eventually(within: .seconds(40), "one relay holds the lock") {
                try await fixture.database.queryOne(
                    """
                    SELECT count(pg_terminate_backend(pid)) AS count FROM pg_locks
                    WHERE locktype = 'advisory' AND granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    HAVING count(*) > 0
                    """) != nil
            }
            broker.resume()
            try await fixture.eventuallyEffects(Array(0..<60))
            try await fixture.publish(60..<61)
            try await fixture.eventuallyEffects(Array(0..<61))
            #expect(try await fixture.effects().sorted() == Array(0..<61))
            for row in try await fixture.database.query(
                "SELECT array_agg(number ORDER BY place) AS numbers FROM effects GROUP BY key")
            {
                let numbers: [Int64] = try row["numbers"]
                #expect(numbers == numbers.sorted())
            }
            await consumer.stop()
            for relay in relays { await relay.stop() }
        }
        try await onLoop { try await broker.kill() }
    }
}
