import Kafka
import Runtime
import Shared
import TestSupport
import Testing

@testable import Messaging

@Suite(.timeLimit(.minutes(2))) struct BroadcastTests {
    @Test func `from the beginning it starts when everything there was handled`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            try await fixture.publish(0..<40)
            try await eventually(within: .seconds(40), "they are there") { try await fixture.log().count == 40 }
            let got = Collected<Int>()
            let broadcast = Broadcast(
                name: "test", topics: [.telephonyLeads], from: .beginning, kafka: fixture.kafka, log: fixture.kafka.log
            ) { got.add(try $0.event(as: Counted.self).number) }
            try await broadcast.start(on: testLoops)
            #expect(got.all.sorted() == Array(0..<40))
            try await eventually(within: .seconds(40), "it is ready") { broadcast.unready() == nil }
            await broadcast.stop()
            await relay.stop()
        }
    }

    @Test func `from the end it gets everything that comes after its start and nothing before`() async throws {
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            try await fixture.publish(0..<40)
            try await eventually(within: .seconds(40), "they are there") { try await fixture.log().count == 40 }
            let got = Collected<Int>()
            let broadcast = Broadcast(
                name: "test", topics: [.telephonyLeads], from: .end, kafka: fixture.kafka, log: fixture.kafka.log
            ) { got.add(try $0.event(as: Counted.self).number) }
            try await broadcast.start(on: testLoops)
            try await fixture.publish(40..<60)
            try await eventually(within: .seconds(40), "they come") { got.all.count == 20 }
            #expect(got.all.sorted() == Array(40..<60))
            await broadcast.stop()
            await relay.stop()
        }
    }

    @Test func `an event whose handler fails is tried again before it is left behind`() async throws {
        struct Unlucky: Error {}
        try await Fixture.run { fixture in
            let relay = try await fixture.relay()
            let got = Collected<Int>()
            let failures = Guarded(0)
            let broadcast = Broadcast(
                name: "test", topics: [.telephonyLeads], from: .end, kafka: fixture.kafka, log: fixture.kafka.log
            ) { envelope in
                let number = try envelope.event(as: Counted.self).number
                if number == 0 { throw Unlucky() }
                let mustFail = failures.withLock { count in
                    defer { count += number == 1 ? 1 : 0 }
                    return number == 1 && count < 3
                }
                if mustFail { throw Unlucky() }
                got.add(number)
            }
            try await broadcast.start(on: testLoops)
            try await fixture.publish(0..<3, keys: 1)
            try await eventually(within: .seconds(40), "the others come") { got.all.count == 2 }
            #expect(got.all == [1, 2])
            await broadcast.stop()
            await relay.stop()
        }
    }

    @Test func `what was here lately is known, and what is old and sent again is not wanted`() {
        let now = Instant.now()
        var recent = Recent(floor: now - .seconds(60), max: 3)
        let old = EventID(high: UInt64((now - .seconds(600)).microseconds / 1000) << 16 | 0x7000, low: 1)
        let ids = (0..<4).map { _ in EventID() }
        var admitted: [Bool] = []
        for (id, isRepublished) in [
            (ids[0], false), (ids[0], false), (ids[0], true), (old, true), (old, false), (ids[1], true),
            // These two push the first ones out.
            (ids[2], false), (ids[3], false), (ids[0], false),
        ] {
            admitted.append(recent.admit(id, isRepublished: isRepublished))
        }
        #expect(admitted == [true, false, false, false, true, true, true, true, true])
    }
}
