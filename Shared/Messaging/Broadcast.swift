import Kafka
import Runtime
import Shared
import Synchronization

/// Every event of its topics, on this instance: commands for live calls, frames for open sockets, revocations. Keeps
/// nothing and commits nothing; what it is told twice it must bear.
public final class Broadcast: Component {
    public typealias Handler = @Sendable (Envelope) async throws -> Void

    public let name: String
    private let topics: [Topic]
    private let start: Subscription.Start
    private let kafka: KafkaSettings
    private let handle: Handler
    private let log: Log
    private let isCaughtUp = Mutex<Bool>(false)
    private let running = Mutex<Task<Void, Never>?>(nil)

    /// - Parameters:
    ///   - start: from the beginning (and not ready before all that was there is read), or only what is new.
    ///   - handle: called in order, one event after another.
    public init(
        name: String, topics: [Topic], from start: Subscription.Start, kafka: KafkaSettings, log: Log,
        handle: @escaping Handler
    ) {
        self.name = name
        self.topics = topics
        self.start = start
        self.kafka = kafka
        self.handle = handle
        self.log = log
    }

    /// Returns when everything that was there has been read.
    public func start(on group: EventLoopGroup) async throws {
        try await Topics.ensure(topics.map(Topics.Wanted.init), kafka)
        let task = group.loops[0].spawn("broadcast") { [self] in await run() }
        running.withLock { $0 = task }
        while !isCaughtUp.withLock({ $0 }) { try await EventLoop.sleep(for: .milliseconds(10)) }
    }

    public func stop(deadline: Duration) async {
        let task = running.withLock { $0 }
        task?.cancel()
        await task?.value
    }

    public func unready() -> String? { isCaughtUp.withLock { $0 } ? nil : "reading what is there" }

    private func run() async {
        var failures = 0
        while !Task.isCancelled {
            do {
                let subscription = try Subscription(kafka, .broadcast(from: start), topics: topics.map(\.rawValue), log: log)
                try await subscription.start()
                do { try await serve(subscription) } catch {
                    await subscription.close()
                    throw error
                }
            } catch is CancellationError {
                return
            } catch {
                failures += 1
                log.warn("broadcast.waiting", ("name", "\(name)"), ("error", "\(error)"))
                try? await EventLoop.sleep(for: Retry.forever.delay(after: failures))
            }
        }
    }

    private func serve(_ subscription: Subscription) async throws {
        if subscription.isCaughtUp { isCaughtUp.withLock { $0 = true } }
        while true {
            for record in try await subscription.next() {
                do {
                    let envelope = try Envelope(record)
                    try await TraceContext.$current.withValue(envelope.trace?.child()) { try await handle(envelope) }
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    log.error(
                        "event.refused", ("topic", "\(record.topic)"), ("offset", .int(record.offset)),
                        ("error", "\(error)"))
                }
            }
            if subscription.isCaughtUp { isCaughtUp.withLock { $0 = true } }
        }
    }
}
