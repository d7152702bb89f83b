import Runtime
import TestSupport
import Testing

@testable import Kafka

@Suite(.timeLimit(.minutes(2))) struct TopicsTests {
    @Test func `topics are created once, however often and by however many they are asked for`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            let topics = [
                TopicDescription(name: "a", partitions: 3), TopicDescription(name: "b", partitions: 1, compacted: true),
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask { try await onLoop { try await Topics.ensure(topics, settings: settings) } }
                }
                try await group.waitForAll()
            }
            try await Topics.ensure(topics, settings: settings)
            let ends = try await Topics.ends(of: ["a", "b", "unknown"], settings: settings)
            #expect(Set(ends.keys.map(\.description)) == ["a/0", "a/1", "a/2", "b/0"])
            #expect(ends.values.allSatisfy { $0 == 0..<0 })
        }
    }

    @Test func `the log's end follows what was written`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            try await Topics.ensure([TopicDescription(name: "a", partitions: 1)], settings: settings)
            let producer = Producer(settings: settings)
            _ = try await producer.send((0..<5).map { _ in Record(topic: "a", key: nil, value: [1]) })
            let ends = try await Topics.ends(of: ["a"], settings: settings)
            #expect(ends[Partition(topic: "a", number: 0)] == 0..<5)
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `topics with another prefix are another installation's`() async throws {
        try await onLoop {
            let one = try TestBroker.settings()
            let other = try TestBroker.settings()
            try await Topics.ensure([TopicDescription(name: "a", partitions: 1)], settings: one)
            #expect(try await Topics.ends(of: ["a"], settings: other).isEmpty)
        }
    }

    @Test func `the end of a log that never rests is told all the same`() async throws {
        try await onLoop {
            let settings = try TestBroker.settings()
            try await Topics.ensure([TopicDescription(name: "busy", partitions: 1)], settings: settings)
            let producer = Producer(settings: settings)
            let record = Record(topic: "busy", key: nil, value: [1])
            let before = try #require(try await producer.send([record]).last).offset
            let writing = EventLoop.required().spawn("writing") {
                while !Task.isCancelled { _ = try? await producer.send([record, record, record]) }
            }
            for _ in 0..<3 {
                let began = ContinuousClock.now
                let end = try await Topics.ends(of: ["busy"], settings: settings)[Partition(topic: "busy", number: 0)]
                #expect(try #require(end).upperBound > before)
                #expect(began.duration(to: .now) < .seconds(4))
            }
            writing.cancel()
            await writing.value
            await producer.stop(deadline: .seconds(5))
        }
    }

    @Test func `an absent broker is reported, not waited for`() async throws {
        try await onLoop {
            let broker = try PrivateBroker()
            let settings = TestBroker.settings(brokers: broker.brokers)
            await #expect(throws: KafkaError.self) {
                try await Topics.ensure([TopicDescription(name: "a", partitions: 1)], settings: settings)
            }
        }
    }
}
