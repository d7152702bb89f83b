import Kafka
import Postgres
import Runtime
import Shared
import Synchronization

/// Handles each event of its topics once, together with all replicas of its program: the claim in the inbox and the
/// effects commit together, then the offset is stored.
///
/// An event whose handler fails on its content five times goes to the dead letters and its partition goes on. A database
/// or a broker that is away is never the event's fault: wait, try again, say so in `/readyz`.
public final class Consumer: Component {
    public typealias Handler = @Sendable (Envelope, borrowing Transaction) async throws -> Void

    public let name: String
    private let program: String
    private let topics: [Topic]
    private let database: Database
    private let kafka: KafkaSettings
    private let handle: Handler
    private let log: Log
    private let trouble = Mutex<String?>("joining the group")
    private let running = Mutex<Task<Void, Never>?>(nil)
    private let handled: Counter
    private let repeated: Counter
    private let dead: Counter
    private let lag: Gauge

    /// Events in one transaction: enough to spare commits, few enough that a failure repeats little.
    private static let batchMax = 64
    private static let triesMax = 5

    /// - Parameter program: the group; also `name` unless a program has several consumers.
    public init(
        _ program: String, name: String = "consumer", topics: [Topic], database: Database, kafka: KafkaSettings,
        log: Log? = nil, handle: @escaping Handler
    ) {
        self.program = program
        self.name = name
        self.topics = topics
        self.database = database
        self.kafka = kafka
        self.handle = handle
        self.log = log ?? Log(program: program)
        let metrics = Metrics.shared
        handled = metrics.counter("switchboard_events_handled_total", "Events that had their effect.", ("consumer", name))
        repeated = metrics.counter("switchboard_events_repeated_total", "Events that had had it before.", ("consumer", name))
        dead = metrics.counter("switchboard_events_dead_total", "Events that went to the dead letters.", ("consumer", name))
        lag = metrics.gauge("switchboard_consumer_lag", "Records not read yet.", ("consumer", name))
    }

    public func start(on group: EventLoopGroup) async throws {
        try await Topics.ensure(
            topics.map(Topics.Wanted.init)
                + topics.map { .init(name: $0.deadLetters, partitions: 1, compacted: false) }, kafka)
        let task = group.next().spawn("consumer") { [self] in await run() }
        running.withLock { $0 = task }
    }

    /// Finishes the event under way, commits its offset and leaves the group.
    public func stop(deadline: Duration) async {
        let task = running.withLock { $0 }
        task?.cancel()
        await task?.value
    }

    public func unready() -> String? { trouble.withLock { $0 } }

    private func run() async {
        var failures = 0
        while !Task.isCancelled {
            do {
                let subscription = try Subscription(
                    kafka, .shared(group: program), topics: topics.map(\.rawValue), log: log)
                try await subscription.start()
                do { try await serve(subscription) } catch {
                    await subscription.close()
                    throw error
                }
            } catch is CancellationError {
                return
            } catch {
                failures += 1
                trouble.withLock { $0 = "\(error)" }
                log.warn("consumer.waiting", ("error", "\(error)"))
                try? await EventLoop.sleep(for: Retry.forever.delay(after: failures))
            }
        }
    }

    private func serve(_ subscription: Subscription) async throws {
        let loop = EventLoop.required()
        let watch = Repeating(loop, every: .seconds(1)) { [self] in
            lag.set(Double(subscription.lag))
            if subscription.isAssigned { trouble.withLock { if $0 == "joining the group" { $0 = nil } } }
        }
        defer { watch.cancel() }
        while true {
            try Task.checkCancellation()
            let records = try await subscription.next()
            trouble.withLock { $0 = nil }
            var start = 0
            while start < records.count {
                let end = min(start + Self.batchMax, records.count)
                let batch = records[start..<end]
                try await take(batch)
                for record in Self.lastOfEach(batch) { subscription.store(record) }
                start = end
            }
        }
    }

    /// The last record of each partition: storing its offset stores all before it.
    private static func lastOfEach(_ records: ArraySlice<Record>) -> [Record] {
        var last: [Subscription.TopicPartition: Record] = [:]
        for record in records { last[.init(topic: record.topic, partition: record.partition)] = record }
        return Array(last.values)
    }

    /// Gives a batch its effect in one transaction; when that fails, each record in one of its own.
    private func take(_ records: ArraySlice<Record>) async throws {
        let envelopes = records.compactMap(read)
        guard !envelopes.isEmpty else { return }
        do {
            try await apply(envelopes[...])
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            for place in envelopes.indices { try await takeOne(envelopes[place...place]) }
        }
    }

    private func read(_ record: Record) -> Envelope? {
        do { return try Envelope(record) } catch {
            // Nobody of ours wrote it; it has no id to keep it under.
            dead.add()
            log.error(
                "event.malformed", ("topic", "\(record.topic)"), ("partition", .int(Int64(record.partition))),
                ("offset", .int(record.offset)), ("error", "\(error)"))
            return nil
        }
    }

    private func takeOne(_ envelope: ArraySlice<Envelope>) async throws {
        var tries = 0
        var waits = 0
        while true {
            do {
                try await apply(envelope)
                return
            } catch is CancellationError {
                throw CancellationError()
            } catch where Self.isOutage(error) {
                waits += 1
                trouble.withLock { $0 = "\(error)" }
                if waits == 1 || waits % 20 == 0 { log.warn("consumer.waiting", ("error", "\(error)")) }
                try await EventLoop.sleep(for: Retry.forever.delay(after: waits))
            } catch {
                tries += 1
                guard tries < Self.triesMax else {
                    if let one = envelope.first { try await bury(one, "\(error)") }
                    return
                }
                try await EventLoop.sleep(for: .milliseconds(20 << tries))
            }
        }
    }

    private func apply(_ envelopes: ArraySlice<Envelope>) async throws {
        let fresh = try await database.transaction { tx in
            let fresh = try await InboxStore.claim(envelopes.map(\.id), tx)
            for envelope in envelopes where fresh.contains(envelope.id) {
                try await TraceContext.$current.withValue(envelope.trace?.child()) {
                    try await handle(envelope, tx)
                }
            }
            return fresh.count
        }
        handled.add(fresh)
        repeated.add(envelopes.count - fresh)
    }

    private func bury(_ envelope: Envelope, _ error: String) async throws {
        dead.add()
        log.error(
            "event.dead", ("topic", "\(envelope.topic)"), ("type", "\(envelope.type)"), ("id", "\(envelope.id.text)"),
            ("key", "\(envelope.key)"), ("error", "\(error)"))
        try await Retry.forever { [database] in
            try await database.transaction { tx in
                _ = try await InboxStore.claim([envelope.id], tx)
                InboxStore.bury(envelope, error: error, tx)
                tx.onCommit { Relay.wakeAll() }
            }
        }
    }

    /// Whether the error is about the world and not about the event.
    static func isOutage(_ error: any Error) -> Bool {
        switch error {
        case is ConnectionLost, is ConnectionRefused, is PoolTimeout, is CommitOutcomeUnknown, is DatabaseClosed,
            is DeadlineExceeded:
            return true
        case let error as PostgresError:
            // 08 connection, 40 rollback, 53 resources, 57 operator intervention, 58 system.
            return ["08", "40", "53", "57", "58"].contains { error.sqlState.hasPrefix($0) }
        default:
            return false
        }
    }

    /// Gives dead letters another try, as a mended program does it. Returns how many had their effect.
    public func retryDead(_ id: EventID?) async throws -> Int {
        var done = 0
        for record in try await InboxStore.letters(id, database) {
            guard let envelope = try? Envelope(record), topics.contains(where: { $0.rawValue == envelope.topic }) else {
                continue
            }
            try await database.transaction { tx in
                try await handle(envelope, tx)
                InboxStore.forget(envelope.id, tx)
            }
            done += 1
        }
        return done
    }
}

/// Does something again and again until cancelled. Lives on one loop.
final class Repeating {
    private var timer: Runtime.Timer?

    init(_ loop: EventLoop, every interval: Duration, _ action: @escaping () -> Void) {
        again(loop, interval, action)
    }

    private func again(_ loop: EventLoop, _ interval: Duration, _ action: @escaping () -> Void) {
        timer = loop.after(interval) { [weak self] in
            action()
            self?.again(loop, interval, action)
        }
    }

    func cancel() { timer?.cancel() }
}
