import Kafka
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Messaging

@Suite(.timeLimit(.minutes(2))) struct EmptyBrokerTests {
    private func withBroker(_ body: @escaping @Sendable (PrivateBroker, Fixture) async throws -> Void) async throws {
        let broker = try await onLoop {
            let broker = try PrivateBroker()
            try await broker.start()
            return broker
        }
        try await Fixture.run(brokers: broker.brokers) { try await body(broker, $0) }
        try await onLoop { try await broker.kill() }
    }

    @Test func `a broker that comes back empty gets everything again and nothing happens twice`() async throws {
        try await withBroker { broker, fixture in
            let relay = try await fixture.relay()
            let consumer = try await fixture.consumer()
            try await fixture.publish(0..<100)
            try await fixture.eventuallyEffects(Array(0..<100))
            try await broker.kill()
            try await fixture.publish(100..<120)
            try await eventually(within: .seconds(40), "both say that the broker is away") {
                relay.unready() != nil && consumer.unready() != nil
            }
            try await broker.start()
            try await fixture.eventuallyEffects(Array(0..<120))
            try await fixture.publish(120..<130)
            try await fixture.eventuallyEffects(Array(0..<130))
            #expect(try await fixture.effects().sorted() == Array(0..<130))
            try await eventually(within: .seconds(40), "both are ready again") {
                relay.unready() == nil && consumer.unready() == nil
            }
            let log = try await fixture.log()
            #expect(Set(log.map(\.id)).count == 130)
            for key in 0..<8 {
                // In the new log too, every key is in order, repetitions aside.
                var seen: Set<EventID> = []
                let numbers = try log.filter { $0.key == "key \(key)" && seen.insert($0.id).inserted }
                    .map { try $0.event(as: Counted.self).number }
                #expect(numbers == numbers.sorted())
            }
            await consumer.stop()
            await relay.stop()
        }
    }

    @Test func `nothing has to be published for it to be noticed`() async throws {
        try await withBroker { broker, fixture in
            let relay = try await fixture.relay()
            try await fixture.publish(0..<30)
            try await eventually(within: .seconds(40), "they are there") { try await fixture.log().count == 30 }
            try await broker.kill()
            try await broker.start()
            try await eventually(within: .seconds(40), "they are there again") {
                (try? await fixture.log().count) == 30
            }
            #expect(try await fixture.log().allSatisfy { $0.isRepublished })
            await relay.stop()
        }
    }

    @Test func `a relay that starts after the broker lost its log notices too`() async throws {
        try await withBroker { broker, fixture in
            let first = try await fixture.relay()
            try await fixture.publish(0..<30)
            try await eventually(within: .seconds(40), "they are there") { try await fixture.log().count == 30 }
            await first.stop()
            try await broker.kill()
            try await broker.start()
            let second = try await fixture.relay()
            try await eventually(within: .seconds(40), "they are there again") {
                (try? await fixture.log().count) == 30
            }
            await second.stop()
        }
    }

    /// The broker may take seconds to answer; every other replica would wait as long.
    @Test func `whoever compares the broker's logs holds no lock meanwhile`() async throws {
        try await withBroker { broker, fixture in
            let first = try await fixture.relay()
            try await fixture.publish(0..<5)
            try await eventually(within: .seconds(40), "they are there") { try await fixture.log().count == 5 }
            await first.stop()
            broker.pause()
            let second = try await fixture.relay()
            for _ in 0..<20 {
                let row = try await fixture.database.queryOne(
                    """
                    SELECT count(*) AS count FROM pg_locks WHERE locktype = 'advisory'
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    """)
                #expect(try row?.decode("count", as: Int.self) == 0)
                try await EventLoop.sleep(for: .milliseconds(50))
            }
            broker.resume()
            try await fixture.publish(5..<6)
            try await eventually(within: .seconds(40), "the next is there") {
                (try? await fixture.log().count) == 6
            }
            await second.stop()
        }
    }

    @Test func `owners of compacted topics publish their present state again`() async throws {
        try await withBroker { broker, fixture in
            try await fixture.database.execute("INSERT INTO counters (key, number) VALUES ('present', 42)")
            let relay = try await fixture.relay(restate: [
                .knowledgeConfigs: { tx in
                    for row in try await tx.query("SELECT key, number FROM counters FOR SHARE") {
                        tx.publish(Counted(try row["key"], try row["number"]))
                    }
                }
            ])
            try await fixture.publish(0..<5)
            try await eventually(within: .seconds(40), "they are there") { try await fixture.log().count == 5 }
            // Older than the retention: only the owner still knows.
            try await fixture.database.execute("DELETE FROM outbox")
            try await broker.kill()
            try await broker.start()
            try await eventually(within: .seconds(40), "the state is there") { (try? await fixture.log().count) == 1 }
            #expect(try await fixture.log().map { try $0.event(as: Counted.self).number } == [42])
            await relay.stop()
        }
    }

    @Test func `a broadcast of what is new gets what it missed and nothing old again`() async throws {
        try await withBroker { broker, fixture in
            let relay = try await fixture.relay()
            try await fixture.publish(0..<20)
            try await eventually(within: .seconds(40), "they are there") { try await fixture.log().count == 20 }
            let got = Collected<Int>()
            let broadcast = Broadcast(
                name: "test", topics: [.telephonyLeads], from: .end, kafka: fixture.kafka, log: fixture.kafka.log
            ) { got.add(try $0.event(as: Counted.self).number) }
            try await broadcast.start(on: testLoops)
            try await fixture.publish(20..<30)
            try await eventually(within: .seconds(40), "the new ones come") { got.all.count == 10 }
            try await broker.kill()
            try await fixture.publish(30..<40)
            try await broker.start()
            try await eventually(within: .seconds(40), "the missed ones come") { Set(got.all).isSuperset(of: 20..<40) }
            try await fixture.publish(40..<50)
            try await eventually(within: .seconds(40), "the later ones come") { Set(got.all).isSuperset(of: 20..<50) }
            // Those before it began are republished too, and may come once: they are younger than its memory's floor.
            #expect(got.all.count == Set(got.all).count)
            await broadcast.stop()
            await relay.stop()
        }
    }
}
