import Runtime
import TestSupport
import Testing

@testable import Kafka

@Suite(.timeLimit(.minutes(2))) struct SubscriptionTests {
    private let topic = TopicDescription(name: "numbers", partitions: 4)

    private func number(_ record: Record) -> Int { Int(String(decoding: record.value ?? [], as: UTF8.self)) ?? -1 }

    private func send(_ numbers: Range<Int>, _ producer: Producer) async throws {
        _ = try await producer.send(
            numbers.map { Record(topic: "numbers", key: Array("\($0 % 16)".utf8), value: Array("\($0)".utf8)) })
    }

    private struct Missing: Error { let have: [Int], want: Int }

    /// Reads until that many records have come, storing each batch.
    private func read(_ count: Int, _ reader: Subscription, store: Bool = true) async throws -> [Record] {
        var records: [Record] = []
        let timer = EventLoop.required().after(.seconds(40)) { reader.interrupt() }
        defer { timer.cancel() }
        while records.count < count {
            let batch = try await reader.next()
            guard !batch.isEmpty else {
                throw Missing(have: records.map(number).sorted(), want: count)
            }
            if store { reader.store(batch) }
            records += batch
        }
        return records
    }

    @Test func `a member of a group reads everything once and a later one goes on after it`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let group = TestBroker.group()
            let producer = Producer(settings: settings)
            let first = try Subscription.shared(group: group, topics: [topic], settings: settings)
            try await eventually(within: .seconds(40), "the member has its part") { first.trouble == nil }
            try await send(0..<100, producer)
            let before = try await read(100, first)
            #expect(before.map(number).sorted() == Array(0..<100))
            await first.close()
            try await send(100..<150, producer)
            let second = try Subscription.shared(group: group, topics: [topic], settings: settings)
            let after = try await read(50, second)
            #expect(after.map(number).sorted() == Array(100..<150))
            await second.close()
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `records that were not stored come again`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let group = TestBroker.group()
            let producer = Producer(settings: settings)
            try await Topics.ensure([topic], settings: settings)
            try await send(0..<40, producer)
            let first = try Subscription.shared(group: group, topics: [topic], settings: settings)
            _ = try await read(40, first, store: false)
            await first.close()
            let second = try Subscription.shared(group: group, topics: [topic], settings: settings)
            #expect(try await read(40, second).map(number).sorted() == Array(0..<40))
            await second.close()
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `the partitions of a group are divided and each keeps its order`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let group = TestBroker.group()
            let producer = Producer(settings: settings)
            try await Topics.ensure([topic], settings: settings)
            let readers = try (0..<2).map { _ in
                try Subscription.shared(group: group, topics: [topic], settings: settings)
            }
            try await eventually(within: .seconds(40), "both members have two partitions") {
                // The first gives half up only when it is asked, and it is asked while it reads.
                for reader in readers { _ = try? await withDeadline(.milliseconds(20)) { try await reader.next() } }
                return readers.allSatisfy { $0.assigned.count == 2 }
            }
            try await send(0..<400, producer)
            var seen: [Int: [Int]] = [:]
            var counts = [0, 0]
            while counts.reduce(0, +) < 400 {
                for (place, reader) in readers.enumerated() {
                    let batch = (try? await withDeadline(.milliseconds(50)) { try await reader.next() }) ?? []
                    reader.store(batch)
                    counts[place] += batch.count
                    for record in batch { seen[number(record) % 16, default: []].append(number(record)) }
                }
            }
            #expect(counts.reduce(0, +) == 400)
            #expect(counts.allSatisfy { $0 > 0 })
            for numbers in seen.values { #expect(numbers == numbers.sorted()) }
            for reader in readers { await reader.close() }
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `a busy member fetches nothing more but takes part when another joins`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let group = TestBroker.group()
            let producer = Producer(settings: settings)
            try await Topics.ensure([topic], settings: settings)
            let busy = try Subscription.shared(group: group, topics: [topic], settings: settings)
            try await send(0..<1, producer)
            _ = try await read(1, busy)
            // From here on nobody asks `busy` for records.
            let other = try Subscription.shared(group: group, topics: [topic], settings: settings)
            try await eventually(within: .seconds(40), "the other has its half") {
                _ = try? await withDeadline(.milliseconds(20)) { try await other.next() }
                return other.assigned.count == 2
            }
            #expect(busy.assigned.count == 2)
            await other.close()
            try await send(1..<101, producer)
            // And what was paused goes on, each record once.
            #expect(try await read(100, busy).map(number).sorted() == Array(1..<101))
            await busy.close()
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `a broadcast from the beginning knows when it has caught up`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let producer = Producer(settings: settings)
            try await Topics.ensure([topic], settings: settings)
            try await send(0..<50, producer)
            let reader = try Subscription.broadcast(topics: [topic], from: .beginning, settings: settings)
            #expect(!reader.isReady)
            #expect(try await read(50, reader, store: false).map(number).sorted() == Array(0..<50))
            #expect(reader.isReady)
            await reader.close()
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `a broadcast from the end reads what comes after it is ready, and nothing else`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let producer = Producer(settings: settings)
            try await Topics.ensure([topic], settings: settings)
            try await send(0..<50, producer)
            let reader = try Subscription.broadcast(topics: [topic], from: .end, settings: settings)
            try await eventually(within: .seconds(40), "the reader stands at the end") { reader.trouble == nil }
            try await send(50..<80, producer)
            #expect(try await read(30, reader, store: false).map(number).sorted() == Array(50..<80))
            await reader.close()
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `a reader waits for a broker that is not there yet`() async throws {
        try await onLoop {
            let broker = try PrivateBroker()
            let settings = TestBroker.settings(brokers: broker.brokers)
            let reader = try Subscription.broadcast(topics: [topic], from: .beginning, settings: settings)
            let member = try Subscription.shared(group: "g", topics: [topic], settings: settings)
            try await eventually(within: .seconds(40), "both say why") {
                reader.trouble != nil && member.trouble != nil
            }
            try await broker.start()
            let producer = Producer(settings: settings)
            try await eventually(within: .seconds(40), "the topic is there") {
                (try? await self.send(0..<1, producer)) != nil
            }
            #expect(try await read(1, reader, store: false).count == 1)
            #expect(try await read(1, member).count == 1)
            try await eventually(within: .seconds(40), "neither has a complaint") {
                reader.trouble == nil && member.trouble == nil
            }
            await reader.close()
            await member.close()
            await producer.stop(deadline: .seconds(5))
            try await broker.kill()
        }
    }

    /// How long the new log is when the readers come back, against 60 records in the old one.
    @Test(arguments: [8, 60, 300]) func `a log that began anew is read from its beginning`(count: Int) async throws {
        try await onLoop {
            let broker = try PrivateBroker()
            try await broker.start()
            let settings = TestBroker.settings(brokers: broker.brokers)
            let producer = Producer(settings: settings, deadline: .seconds(5))
            try await Topics.ensure([topic], settings: settings)
            let group = TestBroker.group()
            let begin = try Subscription.broadcast(topics: [topic], from: .beginning, settings: settings)
            let member = try Subscription.shared(group: group, topics: [topic], settings: settings)
            try await send(0..<60, producer)
            let end = try Subscription.broadcast(topics: [topic], from: .end, settings: settings)
            try await eventually(within: .seconds(40), "the reader stands at the end") { end.trouble == nil }
            #expect(try await read(60, begin, store: false).count == 60)
            #expect(try await read(60, member).count == 60)
            try await send(60..<64, producer)
            #expect(try await read(4, end, store: false).count == 4)
            #expect(try await read(4, begin, store: false).count == 4)
            #expect(try await read(4, member).count == 4)

            try await broker.kill()
            try await broker.start()
            try await Topics.ensure([topic], settings: settings)
            try await eventually(within: .seconds(40), "the new log is written") {
                (try? await self.send(1000..<1000 + count, producer)) != nil
            }
            let wanted = Array(1000..<1000 + count)
            #expect(Set(try await read(count, begin, store: false).map(number)) == Set(wanted))
            #expect(Set(try await read(count, end, store: false).map(number)) == Set(wanted))
            #expect(Set(try await read(count, member).map(number)) == Set(wanted))
            for reader in [begin, end, member] { await reader.close() }
            await producer.stop(deadline: .seconds(5))
            try await broker.kill()
        }
    }
}
