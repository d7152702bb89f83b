import Kafka
import Postgres
import Runtime
import Shared
import Synchronization

/// Moves what transactions published from the outbox to the broker: in order, at least once, and again when the broker
/// turns out to have forgotten.
///
/// One relay at a time works on a database, by advisory lock; each replica has one that waits its turn, so when the
/// holder dies the next goes on.
public final class Relay: Component {
    public let name = "relay"
    private let database: Database
    private let kafka: KafkaSettings
    private let source: String
    private let log: Log
    private let restate: [Topic: Restate]
    private let trouble = Mutex<String?>(nil)
    private let running = Mutex<Running?>(nil)
    private let rows: Gauge
    private let age: Gauge
    private let published: Counter

    /// States the present of a compacted topic again, by publishing it in the transaction.
    public typealias Restate = @Sendable (borrowing Transaction) async throws -> Void

    private struct Running: Sendable {
        var loop: EventLoop
        var task: Task<Void, Never>
    }

    private static let batchMax = 500
    /// A crash between a commit and its wake-up costs at most this.
    private static let lookEvery: Duration = .seconds(1)
    private static let houseEvery: Duration = .seconds(600)

    /// - Parameters:
    ///   - program: becomes `ce_source`.
    ///   - restate: for each compacted topic this program owns.
    public init(
        database: Database, kafka: KafkaSettings, program: String, restate: [Topic: Restate] = [:], log: Log? = nil
    ) {
        self.database = database
        self.kafka = kafka
        source = "/switchboard/\(program)"
        self.restate = restate
        self.log = log ?? Log(program: program)
        rows = Metrics.shared.gauge("switchboard_outbox_rows", "Events not published yet (up to 10000).")
        age = Metrics.shared.gauge("switchboard_outbox_age_seconds", "Age of the oldest event not published yet.")
        published = Metrics.shared.counter("switchboard_outbox_published_total", "Events published.")
    }

    // MARK: Waking

    private static let wakers = Mutex<[ObjectIdentifier: @Sendable () -> Void]>([:])

    /// Tells every relay of this process that something was committed.
    static func wakeAll() {
        for wake in wakers.withLock({ Array($0.values) }) { wake() }
    }

    // MARK: Component

    public func start(on group: EventLoopGroup) async throws {
        let loop = group.loops[0]
        let topics = Topic.allCases.map(Topics.Wanted.init)
        try await Topics.ensure(topics, kafka)
        let task = loop.spawn("relay") { [self] in await run() }
        running.withLock { $0 = Running(loop: loop, task: task) }
    }

    /// Publishes what is committed by now, then ends.
    public func stop(deadline: Duration) async {
        guard let running = running.withLock({ $0 }) else { return }
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end, let depth = try? await RelayStore.depth(database), depth.rows > 0 {
            Self.wakeAll()
            try? await EventLoop.sleep(for: .milliseconds(20))
        }
        running.task.cancel()
        await running.task.value
    }

    public func unready() -> String? { trouble.withLock { $0 } }

    // MARK: Work

    private func run() async {
        let loop = EventLoop.required()
        let wake = Signal()
        // Set before the wait begins: a commit while we publish must not be forgotten.
        let pending = Flag()
        let id = ObjectIdentifier(self)
        let waker = OnLoop { pending.isSet = true; wake.fire() }
        Self.wakers.withLock { $0[id] = { loop.execute { waker.action() } } }
        defer { Self.wakers.withLock { _ = $0.removeValue(forKey: id) } }
        var producer: Producer?
        var nextCheck = ContinuousClock.now
        var nextHouse = ContinuousClock.now
        var failures = 0
        var sent = Sent()
        while !Task.isCancelled {
            do {
                pending.isSet = false
                let sender = try producer ?? Producer(kafka)
                producer = sender
                if ContinuousClock.now >= nextCheck {
                    try await checkLogs(sender)
                    nextCheck = ContinuousClock.now + (kafka.profile == .local ? .seconds(2) : .seconds(15))
                }
                while try await publishBatch(sender, &sent) {}
                try await restatePresent()
                if ContinuousClock.now >= nextHouse {
                    try await RelayStore.keepHouse(database)
                    nextHouse = ContinuousClock.now + Self.houseEvery
                }
                failures = 0
                trouble.withLock { $0 = nil }
                if !pending.isSet {
                    do { try await withDeadline(Self.lookEvery) { try await wake.wait() } } catch is DeadlineExceeded {
                        try await measure()
                    }
                }
            } catch is CancellationError {
                break
            } catch {
                failures += 1
                trouble.withLock { $0 = "\(error)" }
                if failures == 1 || failures % 20 == 0 { log.warn("relay.waiting", ("error", "\(error)")) }
                if case KafkaError.notDelivered(_, _, unknownTopic: true) = error {
                    nextCheck = .now
                    try? await Topics.ensure(Topic.allCases.map(Topics.Wanted.init), kafka)
                }
                let wait = Retry(attempts: .max, first: .milliseconds(50), longest: .seconds(2)).delay(after: failures)
                try? await EventLoop.sleep(for: wait)
            }
        }
        if let producer { await producer.close() }
    }

    private func measure() async throws {
        let depth = try await RelayStore.depth(database)
        rows.set(Double(depth.rows))
        age.set(depth.age)
    }

    /// Publishes up to ``batchMax`` rows; true when there may be more.
    ///
    /// The broker is asked inside the transaction, against the rule of the house: the transaction is what holds the lock
    /// that makes this the only relay, and it has written nothing by then.
    private func publishBatch(_ producer: Producer, _ sent: inout Sent) async throws -> Bool {
        var ends: [Subscription.TopicPartition: Int64] = [:]
        let more = try await database.transaction { tx in
            ends = [:]
            guard let state = try await RelayStore.lock(tx) else { return false }
            let batch: [RelayStore.Row]
            if let resending = state.resending {
                batch = try await RelayStore.resent(
                    state, topic: resending.topic, afterXid: resending.xid, afterSeq: resending.seq,
                    limit: Self.batchMax, tx)
                // No row left: nulls end the resending.
                RelayStore.moveResending(of: resending.topic, to: batch.last, tx)
            } else {
                batch = try await RelayStore.pending(after: state, limit: Self.batchMax, tx)
                guard let last = batch.last else { return false }
                RelayStore.move(to: last, tx)
            }
            guard !batch.isEmpty else { return true }
            let epochs = try await RelayStore.epochs(tx)
            let deliveries = try await producer.send(batch.map { record($0, epoch: epochs[$0.topic] ?? 1) })
            for (row, delivery) in zip(batch, deliveries) {
                ends[.init(topic: row.topic, partition: delivery.partition)] = delivery.offset
            }
            RelayStore.keep(ends.map { ($0.key.topic, $0.key.partition, $0.value) }, tx)
            published.add(batch.count)
            return state.resending != nil || batch.count == Self.batchMax
        }
        // An offset at or below one given out before: the log began anew between two looks.
        let shorter = Set(ends.filter { sent.last[$0.key].map { last in last >= $0.value } ?? false }.map(\.key.topic))
        sent.last.merge(ends) { $1 }
        if !shorter.isEmpty {
            sent.last = sent.last.filter { !shorter.contains($0.key.topic) }
            try await beginAnew(shorter.sorted())
            return true
        }
        return more
    }

    /// What this relay has sent, to notice when offsets run backwards.
    private struct Sent { var last: [Subscription.TopicPartition: Int64] = [:] }

    private func record(_ row: RelayStore.Row, epoch: Int64) -> Record {
        var headers: [(name: String, value: [UInt8])] = [
            ("ce_specversion", Array("1.0".utf8)), ("ce_id", Array(row.id.text.utf8)), ("ce_type", Array(row.type.utf8)),
            ("ce_source", Array(source.utf8)), ("ce_time", Array(row.createdAt.iso.utf8)),
            ("content-type", Array("application/json".utf8)), (Subscription.epochHeader, Array("\(epoch)".utf8)),
        ]
        if let trace = row.trace { headers.append(("traceparent", Array(trace.utf8))) }
        return Record(
            topic: row.topic, key: Array(row.key.utf8), value: row.payload.map { Array($0.utf8) }, headers: headers)
    }

    /// Compares what was published with where the logs end. A log that ends earlier is another log: its topic begins a
    /// new epoch and everything in the retention is sent again.
    private func checkLogs(_ producer: Producer) async throws {
        let known = try await RelayStore.offsets(database)
        guard !known.isEmpty else { return }
        let topics = Array(Set(known.map(\.topic)))
        let ends = try await producer.ends(of: topics)
        let lost = Set(known.filter { ends[.init(topic: $0.topic, partition: $0.partition), default: 0] <= $0.last }.map(\.topic))
        if !lost.isEmpty { try await beginAnew(lost.sorted()) }
    }

    private func beginAnew(_ lost: [String]) async throws {
        log.warn("relay.log_began_anew", ("topics", "\(lost.joined(separator: " "))"))
        try await Topics.ensure(Topic.allCases.map(Topics.Wanted.init), kafka)
        try await database.transaction { tx in
            // Another replica may have seen it too, and begun: ask again under the lock.
            _ = try await RelayStore.lock(tx)
            let topics = try await RelayStore.stillLost(lost, tx)
            if !topics.isEmpty { RelayStore.beginAnew(topics, tx) }
        }
    }

    private func restatePresent() async throws {
        guard !restate.isEmpty else { return }
        for topic in try await RelayStore.toRestate(database) {
            guard let known = Topic(rawValue: topic), let state = restate[known] else { continue }
            do { try await database.transaction { tx in try await state(tx) } } catch {
                try await RelayStore.restateAgain(topic, database)
                throw error
            }
        }
    }
}

/// Set and read on one loop only.
private final class Flag { var isSet = false }

/// `@unchecked Sendable`: the action is called on the loop that made it.
private struct OnLoop: @unchecked Sendable {
    let action: () -> Void
    init(_ action: @escaping () -> Void) { self.action = action }
}
