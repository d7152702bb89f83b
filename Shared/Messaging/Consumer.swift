import Kafka
import Postgres
import Runtime
import Shared

/// Gives each event of its topics its effect once, together with all replicas of its program: the claim in the inbox and
/// the effects commit together, then the offset is stored.
///
/// An event whose handler fails on its content five times is put aside (`DeadLetters`) and its partition goes on. A
/// database or a broker that is away is never the event's fault: wait, try again, say so in `/readyz`.
public final class Consumer: Component {
    /// Called for the events of a key in the order they were published. It may be called again for the same event if its
    /// transaction did not commit, so everything it does belongs into the transaction (or into `afterCommit`).
    public typealias Handler = @Sendable (Envelope, borrowing Transaction) async throws -> Void
    /// Called with all events of a transaction at once, in order, for effects that are cheaper together: what they wait for
    /// is waited for once. The same holds for it; one bad event fails all, and then they come one by one.
    public typealias BatchHandler = @Sendable ([Envelope], borrowing Transaction) async throws -> Void
    /// Called with the events that have just had their effect; not called for them again, and not at all after a crash.
    public typealias AfterCommit = @Sendable ([Envelope]) async -> Void

    public let name: String
    private let group: String
    private let topics: [Topic]
    private let database: Database
    private let kafka: KafkaSettings
    private let afterCommit: AfterCommit?
    private let effect: Effect
    private let log: Log
    let trouble = Guarded<String?>("joining the group")
    private let running = Guarded<Running?>(nil)

    /// How events get their effect.
    enum Effect: Sendable {
        case each(Handler)
        case together(BatchHandler)

        /// Events in one transaction: enough to share a commit, few enough that a failure repeats little. One by one, each
        /// may wait for the database a few times, while the rows of those before it stay locked.
        var batchMax: Int {
            switch self {
            case .each: 16
            case .together: 128
            }
        }

        func apply(_ envelopes: [Envelope], _ tx: borrowing Transaction) async throws {
            switch self {
            case .each(let handle):
                for envelope in envelopes {
                    try await TraceContext.$current.withValue(envelope.trace?.child()) {
                        try await handle(envelope, tx)
                    }
                }
            case .together(let handle): try await handle(envelopes, tx)
            }
        }
    }

    private struct Running: Sendable {
        let loop: EventLoop
        let handle: ConsumerHandle
        let task: Task<Void, Never>
    }

    /// - Parameters:
    ///   - program: the group, and the name in the inbox.
    ///   - name: tells several consumers of a program apart; each is a group of its own.
    public convenience init(
        _ program: String, name: String = "consumer", topics: [Topic], database: Database, kafka: KafkaSettings,
        log: Log? = nil, afterCommit: AfterCommit? = nil, handle: @escaping Handler
    ) {
        self.init(program, name, topics, database, kafka, log, afterCommit, .each(handle))
    }

    /// The same for a handler that takes all events of a transaction at once. Each event's `trace` is its own to set.
    public static func ofBatches(
        _ program: String, topics: [Topic], database: Database, kafka: KafkaSettings, log: Log? = nil,
        handle: @escaping BatchHandler
    ) -> Consumer {
        Consumer(program, "consumer", topics, database, kafka, log, nil, .together(handle))
    }

    private init(
        _ program: String, _ name: String, _ topics: [Topic], _ database: Database, _ kafka: KafkaSettings,
        _ log: Log?, _ afterCommit: AfterCommit?, _ effect: Effect
    ) {
        self.name = name
        group = name == "consumer" ? program : "\(program).\(name)"
        self.topics = topics
        self.database = database
        self.kafka = kafka
        self.log = log ?? Log(program: program)
        self.afterCommit = afterCommit
        self.effect = effect
    }

    public func start(on loops: EventLoopGroup) async throws {
        try Library.check()
        let loop = loops.next()
        let handle = ConsumerHandle(loop)
        let task = loop.spawn("consumer") { [self] in
            do {
                let subscription = try Subscription.shared(
                    group: group, topics: topics.map { TopicDescription($0) }, settings: kafka)
                let work = ConsumerWork(
                    name: group, subscription: subscription, database: database, log: log, afterCommit: afterCommit,
                    effect: effect, report: tell)
                handle.attach(work)
                await work.run()
                await subscription.close()
            } catch {
                // Settings librdkafka refuses; no use in trying again.
                log.error("consumer.failed", ("error", "\(error)"))
                tell("\(error)")
            }
        }
        running.withLock { $0 = Running(loop: loop, handle: handle, task: task) }
    }

    /// Finishes the events under way, commits where it is and leaves the group.
    public func stop(deadline: Duration) async {
        guard let running = running.withLock({ $0 }) else { return }
        running.handle.finish()
        let timer = running.loop.spawn("consumer.stop") {
            do {
                try await EventLoop.sleep(for: deadline)
                running.task.cancel()
            } catch {}
        }
        await running.task.value
        timer.cancel()
    }

    public func unready() -> String? { trouble.withLock { $0 } }

    private func tell(_ reason: String?) { trouble.withLock { $0 = reason } }

    /// Gives dead letters another try, each in a transaction of its own. Returns how many had their effect; the others
    /// keep the new error.
    /// - Parameter id: nil for all.
    public func retryDead(_ id: EventID?) async throws -> Int {
        var done = 0
        let known = Set(topics.map(\.rawValue))
        for letter in try await InboxStore.letters(id, consumer: group, limit: 100_000, database)
        where known.contains(letter.topic) {
            let envelope = letter.envelope
            do {
                try await database.transaction { (tx: borrowing Transaction) in
                    try await effect.apply([envelope], tx)
                    InboxStore.forget(letter, tx)
                }
                done += 1
                await afterCommit?([envelope])
            } catch  where !ConsumerWork.isOutage(error) {
                try await InboxStore.failedAgain(letter, error: "\(error)", database)
            }
        }
        return done
    }
}

/// A consumer's work as seen from other threads.
///
/// `@unchecked Sendable`: the work is touched on its loop only.
final class ConsumerHandle: @unchecked Sendable {
    private let loop: EventLoop
    private var work: ConsumerWork?

    init(_ loop: EventLoop) { self.loop = loop }

    func attach(_ work: ConsumerWork) { self.work = work }

    func finish() { loop.execute { self.work?.finish() } }
}
