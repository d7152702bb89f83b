import Runtime
import TestSupport
import Testing

@testable import Kafka

@Suite(.timeLimit(.minutes(2))) struct ProducerTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func `a library older than 2.2 is refused with the reason`() throws {
        #expect(throws: LibraryTooOld.self) { try Library.check(0x0200_02FF, "2.0.2") }
        try Library.check(0x0202_00FF, "2.2.0")
        do throws(LibraryTooOld) {
            try Library.check(0x0200_02FF, "2.0.2")
        } catch {
            #expect("\(error)".contains("2.0.2") && "\(error)".contains("2.2.0"))
        }
    }

    @Test func `what is sent arrives with its key, headers, emptiness and absence`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let topic = TopicDescription(name: "things", partitions: 1)
            try await Topics.ensure([topic], settings: settings)
            let producer = Producer(settings: settings)
            let sent = [
                Record(
                    topic: "things", key: bytes("k"), value: bytes("v"),
                    headers: [("ce_id", bytes("1")), ("empty", []), ("ce_id", bytes("2"))]),
                Record(topic: "things", key: nil, value: []),
                Record(topic: "things", key: [], value: nil),
            ]
            let deliveries = try await producer.send(sent)
            #expect(deliveries.map(\.offset) == [0, 1, 2])
            let reader = try Subscription.broadcast(topics: [topic], from: .beginning, settings: settings)
            var read: [Record] = []
            while read.count < 3 { read += try await reader.next() }
            #expect(read[0].topic == "things")
            #expect(read[0].key == bytes("k") && read[0].value == bytes("v"))
            #expect(read[0].headers.map(\.name) == ["ce_id", "empty", "ce_id"])
            #expect(read[0].headers.map(\.value) == [bytes("1"), [], bytes("2")])
            #expect(read[0].timestamp > 1_700_000_000_000)
            #expect(read[1].key == nil && read[1].value == [])
            #expect(read[2].key == [] && read[2].value == nil)
            await reader.close()
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `records of a key lie in one partition in the order they were sent`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            try await Topics.ensure([TopicDescription(name: "keys", partitions: 4)], settings: settings)
            let producer = Producer(settings: settings)
            var places: [String: [Delivery]] = [:]
            for _ in 0..<10 {
                let keys = (0..<40).map { "key \($0 % 8)" }
                let deliveries = try await producer.send(
                    keys.map { Record(topic: "keys", key: Array($0.utf8), value: [1]) })
                for (key, delivery) in zip(keys, deliveries) { places[key, default: []].append(delivery) }
            }
            for deliveries in places.values {
                #expect(Set(deliveries.map(\.partition)).count == 1)
                #expect(deliveries.map(\.offset) == deliveries.map(\.offset).sorted())
            }
            #expect(Set(places.values.compactMap { $0.first?.partition }).count > 1)
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `more records than the local queue holds wait for room`() async throws {
        try await onLoop {
            var settings = try TestBroker.settings()
            settings.options = [("queue.buffering.max.messages", "100")]
            try await Topics.ensure([TopicDescription(name: "many", partitions: 2)], settings: settings)
            let producer = Producer(settings: settings)
            async let first = producer.send((0..<3000).map { Record(topic: "many", key: [UInt8($0 % 7)], value: [0]) })
            async let second = producer.send((0..<3000).map { Record(topic: "many", key: [UInt8($0 % 7)], value: [0]) })
            let count = try await first.count + second.count
            #expect(count == 6000)
            let ends = try await Topics.ends(of: ["many"], settings: settings)
            #expect(ends.values.reduce(0) { $0 + $1.upperBound } == 6000)
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `a record that is too large fails and the next ones do not`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            try await Topics.ensure([TopicDescription(name: "sizes", partitions: 1)], settings: settings)
            let producer = Producer(settings: settings)
            let large = Record(topic: "sizes", key: nil, value: [UInt8](repeating: 7, count: 3 << 20))
            let small = Record(topic: "sizes", key: nil, value: [7])
            do {
                _ = try await producer.send([small, large, small])
                Issue.record("3 MB were accepted")
            } catch let error as KafkaError {
                #expect(error.isRecordRefused)
            }
            #expect(try await producer.send([small]).count == 1)
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `a producer is used from every loop`() async throws {
        let settings = try TestBroker.settings()
        let producer = Producer(settings: settings)
        try await onLoop {
            try await Topics.ensure([TopicDescription(name: "loops", partitions: 1)], settings: settings)
        }
        for loop in testLoops.loops {
            try await onLoop(loop) {
                _ = try await producer.send([Record(topic: "loops", key: nil, value: [1])])
                #expect(EventLoop.current === loop)
            }
        }
        try await onLoop { await producer.stop(deadline: .seconds(5)) }
    }

    @Test func `without a broker sending fails soon and works again when there is one`() async throws {
        try await onLoop {
            let broker = try PrivateBroker()
            let settings = TestBroker.settings(brokers: broker.brokers)
            let producer = Producer(settings: settings, deadline: .seconds(5))
            let record = Record(topic: "late", key: nil, value: [1])
            await #expect(throws: BrokerUnreachable.self) { try await producer.send([record]) }
            #expect(producer.unready() != nil)
            try await broker.start()
            try await Topics.ensure([TopicDescription(name: "late", partitions: 1)], settings: settings)
            try await eventually("the record is accepted") { (try? await producer.send([record])) != nil }
            #expect(producer.unready() == nil)
            await producer.stop(deadline: .seconds(5))
            try await broker.kill()
        }
    }

    @Test func `a producer goes on after its broker came back empty`() async throws {
        try await onLoop {
            let broker = try PrivateBroker()
            try await broker.start()
            let settings = TestBroker.settings(brokers: broker.brokers)
            let topic = TopicDescription(name: "again", partitions: 1)
            try await Topics.ensure([topic], settings: settings)
            let producer = Producer(settings: settings, deadline: .seconds(5))
            let record = Record(topic: "again", key: [1], value: [1])
            for _ in 0..<3 { _ = try await producer.send([record]) }
            try await broker.kill()
            try await broker.start()
            try await Topics.ensure([topic], settings: settings)
            var offset: Int64 = -1
            try await eventually("the record is accepted") {
                guard let delivery = try? await producer.send([record]).first else { return false }
                offset = delivery.offset
                return true
            }
            #expect(offset == 0)
            await producer.stop(deadline: .seconds(5))
            try await broker.kill()
        }
    }

    @Test func `stopping waits for what is under way and refuses the rest`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            try await Topics.ensure([TopicDescription(name: "last", partitions: 1)], settings: settings)
            let producer = Producer(settings: settings)
            async let sent = producer.send((0..<500).map { _ in Record(topic: "last", key: nil, value: [1]) })
            await Task.yield()
            await producer.stop(deadline: .seconds(10))
            #expect(try await sent.count == 500)
            await #expect(throws: KafkaClosed.self) {
                try await producer.send([Record(topic: "last", key: nil, value: [1])])
            }
        }
    }
}
