import Kafka
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Messaging

@Suite(.timeLimit(.minutes(2))) struct ConsumerTests {
    @Test func `records that come twice have their effect once`() async throws {
        try await Fixture.run { fixture in
            let consumer = try await fixture.consumer()
            let relay = try await fixture.relay()
            try await fixture.publish(0..<20)
            try await fixture.eventuallyEffects(Array(0..<20))
            let producer = Producer(settings: fixture.kafka)
            let again = try await fixture.log().map { envelope in
                Record.event(
                    envelope.id, topic: envelope.topic, key: envelope.key, type: envelope.type,
                    source: Array(envelope.source.utf8), time: envelope.time, payload: envelope.payload, trace: nil,
                    isRepublished: false)
            }
            _ = try await producer.send(again + again)
            try await fixture.publish(20..<21)
            try await fixture.eventuallyEffects(Array(0..<21))
            try await eventually(within: .seconds(40), "the repetitions were read") {
                try await fixture.database.queryOne("SELECT count(*) AS count FROM inbox")?["count"] == 21
            }
            #expect(try await fixture.effects().sorted() == Array(0..<21))
            await consumer.stop()
            await relay.stop()
            await producer.stop()
        }
    }

    @Test func `a crash between commit and stored offset repeats nothing`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let consumer = try await fixture.consumer()
            try await fixture.publish(0..<40)
            try await fixture.eventuallyEffects(Array(0..<40))
            await consumer.stop()
            // What a member finds whose predecessor stored nothing: the same inbox, a group without offsets.
            let subscription = try Subscription.shared(
                group: TestBroker.group(), topics: [TopicDescription(.telephonyLeads)], settings: fixture.kafka)
            let work = ConsumerWork(
                name: fixture.program, subscription: subscription, database: fixture.database, log: fixture.kafka.log,
                afterCommit: nil,
                effect: .each { envelope, tx in
                    try await Fixture.writeDown(try envelope.event(as: Counted.self), tx)
                },
                report: { _ in })
            try await fixture.publish(40..<41)
            let running = RunningWork(work)
            let task = EventLoop.required().spawn("test") { await running.work.run() }
            try await fixture.eventuallyEffects(Array(0..<41))
            work.finish()
            await task.value
            await subscription.close()
            #expect(try await fixture.effects().sorted() == Array(0..<41))
            await relay.stop()
        }
    }

    /// Sendable because both ends are on one loop.
    private struct RunningWork: @unchecked Sendable {
        let work: ConsumerWork
        init(_ work: ConsumerWork) { self.work = work }
    }

    @Test func `one bad event of a batch harms no other`() async throws {
        try await Fixture.run { fixture in
            struct Unlucky: Error {}
            let relay = try await fixture.relay()
            let sizes = Collected<Int>()
            let consumer = Consumer.ofBatches(
                fixture.program, topics: [.telephonyLeads], database: fixture.database, kafka: fixture.kafka,
                log: Log(program: "tests") { _ in }
            ) { envelopes, tx in
                sizes.add(envelopes.count)
                for envelope in envelopes {
                    let event = try envelope.event(as: Counted.self)
                    if event.number == 13 { throw Unlucky() }
                    try await Fixture.writeDown(event, tx)
                }
            }
            try await fixture.publish(0..<40)
            try await eventually(within: .seconds(40), "all are published") { try await fixture.log().count == 40 }
            try await consumer.start(on: testLoops)
            let rest = (0..<40).filter { $0 != 13 }
            try await fixture.eventuallyEffects(rest)
            try await eventually(within: .seconds(40), "the bad one is put aside") {
                try await DeadLetters.list(fixture.database).count == 1
            }
            #expect(try await fixture.effects().sorted() == rest)
            #expect(sizes.all.contains { $0 > 1 })
            await consumer.stop()
            await relay.stop()
        }
    }

    @Test func `an event that fails five times is put aside and the next ones go on`() async throws {
        try await Fixture.run { fixture in
            struct Unlucky: Error {}
            let relay = try await fixture.relay()
            let attempts = Collected<Int>()
            let consumer = try await fixture.consumer { event in
                guard event.number == 13 else { return }
                attempts.add(event.number)
                throw Unlucky()
            }
            try await fixture.publish(0..<30, keys: 1)
            try await fixture.eventuallyEffects(Array(0..<29))
            #expect(try await fixture.effects() == Array(0..<30).filter { $0 != 13 })
            let letter = try #require(try await DeadLetters.list(fixture.database).first)
            #expect(letter.key == "key 0" && letter.topic == "telephony.leads" && letter.attempts == 5)
            #expect(letter.error.contains("Unlucky"))
            // Once with the others, then five times alone.
            #expect((5...6).contains(attempts.all.count))
            try await eventually(within: .seconds(40), "it is on the topic's dead letters") {
                let ends = try await Topics.ends(of: ["telephony.leads.dead"], settings: fixture.kafka)
                return ends.values.reduce(0) { $0 + $1.upperBound } == 1
            }

            // Still failing: it stays, and says so.
            #expect(try await consumer.retryDead(nil) == 0)
            #expect(try await DeadLetters.list(fixture.database).first?.attempts == 6)
            let mended = fixture.unstartedConsumer()
            #expect(try await mended.retryDead(EventID()) == 0)
            #expect(try await mended.retryDead(letter.id) == 1)
            #expect(try await fixture.effects().sorted() == Array(0..<30))
            #expect(try await DeadLetters.list(fixture.database).isEmpty)
            #expect(try await mended.retryDead(nil) == 0)
            await consumer.stop()
            await relay.stop()
        }
    }

    @Test func `a record that is no event is put aside too`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let consumer = try await fixture.consumer()
            let producer = Producer(settings: fixture.kafka)
            try await Topics.ensure([TopicDescription(.telephonyLeads)], settings: fixture.kafka)
            _ = try await producer.send([
                Record(topic: "telephony.leads", key: nil, value: [0, 1, 2]),
                Record(topic: "telephony.leads", key: [1], value: nil, headers: [("ce_id", [1])]),
            ])
            try await fixture.publish(0..<5)
            try await fixture.eventuallyEffects(Array(0..<5))
            try await eventually(within: .seconds(40), "both are put aside") {
                try await DeadLetters.list(fixture.database).count == 2
            }
            await consumer.stop()
            await relay.stop()
            await producer.stop()
        }
    }

    @Test func `an absent database is not the event's fault`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let failures = Guarded(0)
            let consumer = try await fixture.consumer { event in
                // More often than an event may fail.
                let count = failures.withLock {
                    $0 += 1
                    return $0
                }
                if count < 9 { throw PostgresError(sqlState: "57P03", message: "the test says so") }
            }
            try await fixture.publish(0..<3)
            try await eventually(within: .seconds(40), "it says so") {
                consumer.unready()?.contains("the test says so") == true
            }
            try await fixture.eventuallyEffects(Array(0..<3))
            #expect(try await DeadLetters.list(fixture.database).isEmpty)
            try await eventually(within: .seconds(40), "it is ready again") { consumer.unready() == nil }
            await consumer.stop()
            await relay.stop()
        }
    }

    @Test func `errors of the world and of the event are told apart`() {
        for state in ["08006", "40001", "40P01", "53300", "57P01", "58030", "55P03", "25006"] {
            #expect(ConsumerWork.isOutage(PostgresError(sqlState: state, message: "")), "\(state)")
        }
        for state in ["23505", "22P02", "42P01", "57014", "P0001"] {
            #expect(!ConsumerWork.isOutage(PostgresError(sqlState: state, message: "")), "\(state)")
        }
        #expect(!ConsumerWork.isOutage(EventError.unknownType("x")))
    }

    @Test func `stopping finishes the event under way and the next member goes on after it`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let started = Collected<Int>()
            let first = try await fixture.consumer { event in
                started.add(event.number)
                if event.number == 0 { try await EventLoop.sleep(for: .milliseconds(300)) }
            }
            try await fixture.publish(0..<1)
            try await eventually(within: .seconds(40), "the handler is at work") { started.all.count == 1 }
            await first.stop()
            #expect(try await fixture.effects() == [0])
            try await fixture.publish(1..<3, keys: 1)
            let second = try await fixture.consumer { started.add($0.number) }
            try await fixture.eventuallyEffects([0, 1, 2])
            #expect(started.all == [0, 1, 2])
            await second.stop()
            await relay.stop()
        }
    }

    @Test func `two members share the work and each event has one effect`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            // One change of the group at a time: when its leader leaves while others join, the embedded broker goes on
            // naming the one who left, and the others wait for its word for ever.
            let first = try await fixture.member()
            try await fixture.publish(0..<50)
            try await fixture.eventuallyEffects(Array(0..<50))
            let second = try await fixture.member()
            try await fixture.publish(50..<150)
            try await fixture.eventuallyEffects(Array(0..<150))
            let third = try await fixture.member()
            try await fixture.publish(150..<300)
            try await fixture.eventuallyEffects(Array(0..<300))
            await first.stop()
            try await fixture.publish(300..<400)
            try await fixture.eventuallyEffects(Array(0..<400))
            #expect(try await fixture.effects().sorted() == Array(0..<400))
            for row in try await fixture.database.query(
                "SELECT array_agg(number ORDER BY place) AS numbers FROM effects GROUP BY key")
            {
                let numbers: [Int64] = try row["numbers"]
                #expect(numbers == numbers.sorted())
            }
            await second.stop()
            await third.stop()
            await relay.stop()
        }
    }

    @Test func `what runs after the commit runs once for each event`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let told = Collected<EventID>()
            let consumer = Consumer(
                fixture.program, topics: [.telephonyLeads], database: fixture.database, kafka: fixture.kafka,
                log: fixture.kafka.log, afterCommit: { for envelope in $0 { told.add(envelope.id) } }
            ) { envelope, tx in
                try await Fixture.writeDown(try envelope.event(as: Counted.self), tx)
            }
            try await consumer.start(on: testLoops)
            try await fixture.publish(0..<30)
            try await eventually(within: .seconds(40), "all are told") { told.all.count == 30 }
            #expect(Set(told.all).count == 30)
            await consumer.stop()
            await relay.stop()
        }
    }
}
