import Kafka
import Runtime
import Shared

/// Every event of its topics, on this instance: commands for live calls, frames for open sockets, revocations. Keeps
/// nothing and commits nothing; the same event is not handed over twice, as far as memory reaches.
public final class Broadcast: Component {
    public typealias Handler = @Sendable (Envelope) async throws -> Void

    public let name: String
    private let topics: [Topic]
    private let start: Subscription.Start
    private let kafka: KafkaSettings
    private let handle: Handler
    private let log: Log
    private let trouble = Guarded<String?>("reading what is there")
    private let hasCaughtUp = Guarded<Bool>(false)
    private let running = Guarded<Task<Void, Never>?>(nil)

    /// Attempts at one event before it is left behind.
    private static let attemptsMax = 5
    /// How long the start waits for a broker when only new events matter.
    private static let startMax: Duration = .seconds(5)

    /// - Parameters:
    ///   - start: from the beginning (and not ready before all that was there is read), or only what is new.
    ///   - handle: called on one loop, in order, one event after another.
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

    /// From the beginning: returns when everything that was there has been handled, however long the broker is away. From
    /// the end: returns when every later event will come, or after five seconds without a broker.
    public func start(on group: EventLoopGroup) async throws {
        try Library.check()
        let task = group.loops[0].spawn("broadcast") { [self] in
            do {
                let subscription = try Subscription.broadcast(
                    topics: topics.map { TopicDescription($0) }, from: start, settings: kafka)
                await serve(subscription)
                await subscription.close()
            } catch {
                log.error("broadcast.failed", ("name", "\(name)"), ("error", "\(error)"))
                trouble.withLock { $0 = "\(error)" }
            }
        }
        running.withLock { $0 = task }
        let end = ContinuousClock.now + Self.startMax
        while !hasCaughtUp.withLock({ $0 }), start == .beginning || ContinuousClock.now < end {
            try await EventLoop.sleep(for: .milliseconds(5))
        }
    }

    public func stop(deadline: Duration) async {
        let task = running.withLock { $0 }
        task?.cancel()
        await task?.value
    }

    /// Whether everything that was there has been handled and every later event will come.
    public var isFollowing: Bool { hasCaughtUp.withLock { $0 } }

    public func unready() -> String? { trouble.withLock { $0 } }

    private func serve(_ subscription: Subscription) async {
        var recent = Recent(floor: start == .end ? Instant.now() - .seconds(60) : Instant(seconds: 0))
        let work = Work()
        let watch = Repeating(.required(), every: .milliseconds(20)) { [self] in
            if !work.isBusy, subscription.isReady, subscription.trouble == nil { hasCaughtUp.withLock { $0 = true } }
            let reading = hasCaughtUp.withLock { $0 } ? nil : "reading what is there"
            trouble.withLock { $0 = subscription.trouble ?? reading }
        }
        defer { watch.cancel() }
        do {
            while true {
                let records = try await subscription.next()
                work.isBusy = true
                for record in records {
                    guard let envelope = read(record),
                        recent.admit(envelope.id, isRepublished: envelope.isRepublished)
                    else { continue }
                    try await act(envelope)
                }
                work.isBusy = false
            }
        } catch {
            // Cancelled, or closed.
        }
    }

    /// Between two batches, or in one. Used on one loop.
    private final class Work { var isBusy = false }

    private func read(_ record: Record) -> Envelope? {
        do { return try Envelope(record) } catch {
            log.error(
                "event.malformed", ("topic", "\(record.topic)"), ("offset", .int(record.offset)), ("error", "\(error)"))
            return nil
        }
    }

    private func act(_ envelope: Envelope) async throws {
        var attempts = 0
        while true {
            do {
                return try await TraceContext.$current.withValue(envelope.trace?.child()) { try await handle(envelope) }
            } catch {
                try Task.checkCancellation()
                attempts += 1
                guard attempts < Self.attemptsMax else {
                    log.error(
                        "event.refused", ("topic", "\(envelope.topic)"), ("type", "\(envelope.type)"),
                        ("id", "\(envelope.id.text)"), ("error", "\(error)"))
                    return
                }
                try await EventLoop.sleep(for: .milliseconds(10 << attempts))
            }
        }
    }
}
