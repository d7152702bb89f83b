import Kafka
import Postgres
import Runtime
import Shared

/// The consumer's loop. Lives on one event loop.
final class ConsumerWork {
    private let name: String
    private let subscription: Subscription
    private let database: Database
    private let log: Log
    private let afterCommit: Consumer.AfterCommit?
    private let effect: Consumer.Effect
    private let report: (String?) -> Void
    private var isFinishing = false
    private var isWaiting = false
    private var databaseTrouble: String?
    private let handled: Counter
    private let repeated: Counter
    private let dead: Counter

    /// Attempts before an event is put aside.
    static let attemptsMax = 5
    private static let outage = Retry(attempts: .max, first: .milliseconds(100), longest: .seconds(2))

    init(
        name: String, subscription: Subscription, database: Database, log: Log, afterCommit: Consumer.AfterCommit?,
        effect: Consumer.Effect, report: @escaping (String?) -> Void
    ) {
        self.name = name
        self.subscription = subscription
        self.database = database
        self.log = log
        self.afterCommit = afterCommit
        self.effect = effect
        self.report = report
        let label = ("consumer", name)
        handled = Metrics.shared.counter("switchboard_events_handled_total", "Events that had their effect.", label)
        repeated = Metrics.shared.counter(
            "switchboard_events_repeated_total", "Events that came again after their effect.", label)
        dead = Metrics.shared.counter("switchboard_events_dead_total", "Events put aside as dead letters.", label)
    }

    func finish() {
        isFinishing = true
        if isWaiting { subscription.interrupt() }
    }

    func run() async {
        let watch = watchTrouble()
        defer { watch.cancel() }
        do {
            while !isFinishing, !Task.isCancelled {
                isWaiting = true
                let records = try await subscription.next(max: effect.batchMax)
                isWaiting = false
                guard !records.isEmpty else { continue }
                try await take(records)
                subscription.store(records)
            }
        } catch is CancellationError {
            // Out of time: what is not committed comes again.
        } catch {
            log.error("consumer.failed", ("error", "\(error)"))
            report("\(error)")
        }
    }

    /// Readiness follows the subscription, which has its own troubles.
    private func watchTrouble() -> Repeating {
        Repeating(.required(), every: .milliseconds(200)) { [weak self] in
            guard let self else { return }
            self.report(self.databaseTrouble ?? self.subscription.trouble)
        }
    }

    // MARK: Giving events their effect

    /// All in one transaction; when that fails, each in one of its own, so that one bad event harms no other.
    private func take(_ records: [Record]) async throws {
        let envelopes = records.map { record in
            do { return try Envelope(record) } catch { return Envelope.nameless(record) }
        }
        if envelopes.count > 1 {
            do { return try await apply(envelopes) } catch { try Task.checkCancellation() }
        }
        for envelope in envelopes { try await takeOne(envelope) }
    }

    private func takeOne(_ envelope: Envelope) async throws {
        var attempts = 0
        var waits = 0
        while true {
            do {
                try await apply([envelope])
                databaseTrouble = nil
                return
            } catch {
                try Task.checkCancellation()
                if Self.isOutage(error) {
                    waits += 1
                    databaseTrouble = "\(error)"
                    if waits == 1 || waits.isMultiple(of: 20) { log.warn("consumer.waiting", ("error", "\(error)")) }
                    // A program that stops waits for nobody: the event comes again.
                    if isFinishing { throw CancellationError() }
                    try await EventLoop.sleep(for: Self.outage.delay(after: waits))
                    continue
                }
                attempts += 1
                if attempts == Self.attemptsMax { return try await bury(envelope, error, attempts) }
                try await EventLoop.sleep(for: .milliseconds(10 << attempts))
            }
        }
    }

    private func apply(_ envelopes: [Envelope]) async throws {
        let fresh = try await database.transaction { (tx: borrowing Transaction) in
            var fresh = try await InboxStore.claim(Array(Set(envelopes.map(\.id))), consumer: name, tx)
            // The same event can be in a batch twice: it is taken out at its first.
            let news = envelopes.filter { fresh.remove($0.id) != nil }
            guard news.allSatisfy({ $0.type != "malformed" }) else {
                throw Envelope.Malformed(header: Envelope.Header.id)
            }
            try await effect.apply(news, tx)
            return news
        }
        handled.add(fresh.count)
        repeated.add(envelopes.count - fresh.count)
        if !fresh.isEmpty { await afterCommit?(fresh) }
    }

    private func bury(_ envelope: Envelope, _ error: any Error, _ attempts: Int) async throws {
        dead.add()
        log.error(
            "event.dead", ("topic", "\(envelope.topic)"), ("type", "\(envelope.type)"), ("id", "\(envelope.id.text)"),
            ("key", "\(envelope.key)"), ("offset", .int(envelope.offset)), ("error", "\(error)"))
        let patience = Retry(attempts: .max, first: .milliseconds(100), longest: .seconds(2))
        try await patience {
            try await database.transaction { (tx: borrowing Transaction) in
                // Claimed, so that it does not come back by itself when the topic is published again.
                _ = try await InboxStore.claim([envelope.id], consumer: name, tx)
                InboxStore.bury(envelope, consumer: name, error: "\(error)", attempts: attempts, tx)
                tx.onCommit { Relay.wakeAll() }
            }
        }
    }

    /// Whether an error is about the world and not about the event.
    static func isOutage(_ error: any Error) -> Bool {
        switch error {
        case is ConnectionLost, is ConnectionRefused, is PoolTimeout, is CommitOutcomeUnknown, is DatabaseClosed,
            is DeadlineExceeded, is Blocking.Full, is CancellationError:
            return true
        case let error as PostgresError:
            // Connection, lost against another transaction, no resources, operator intervention, system; a lock somebody
            // else holds; a server that is only a copy. Not 57014: a statement of this event that takes too long will the
            // next time too.
            return error.sqlState != "57014"
                && (["08", "40", "53", "57", "58"].contains { error.sqlState.hasPrefix($0) }
                    || ["55P03", "25006"].contains(error.sqlState))
        default:
            return false
        }
    }
}

/// Does something again and again until cancelled. Lives on one loop.
final class Repeating {
    private var timer: Timer?

    init(_ loop: EventLoop, every interval: Duration, _ action: @escaping () -> Void) {
        again(loop, interval, action)
    }

    private func again(_ loop: EventLoop, _ interval: Duration, _ action: @escaping () -> Void) {
        timer = loop.after(interval) { [weak self] in
            action()
            self?.again(loop, interval, action)
        }
    }

    func cancel() {
        timer?.cancel()
        timer = nil
    }
}
