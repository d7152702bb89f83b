import Kafka
import Postgres
import Runtime
import Shared

/// The relay's loop. Lives on one event loop.
final class RelayWork {
    private let database: Database
    private let kafka: KafkaSettings
    private let program: String
    private let source: [UInt8]
    private let restate: [Topic: Relay.Restate]
    private let log: Log
    private let report: (String?) -> Void
    private let producer: Producer
    private let signal = Signal()
    private var isWoken = false
    private var isFinishing = false
    private var order = PublishOrder()
    /// Looks in a row that found a hole.
    private var holes = 0
    private var failures = 0
    private var disconnections = 0
    private var ensured: Set<String> = []
    /// The broker's log may be another one than it was: nothing goes out before they are compared.
    private var isInDoubt = true
    /// A comparison beside the publishing, as long as it takes.
    private var check: Task<Void, Never>?
    private var isChecking = false
    private var nextCheck = ContinuousClock.now
    private var nextHouse = ContinuousClock.now
    private var nextMeasure = ContinuousClock.now
    private let rows: Gauge
    private let age: Gauge
    private let published: Counter
    private let republished: Counter

    /// Enough to share a round trip, few enough that a failure repeats little.
    static let batchMax = 500
    /// A crash between a commit and its wake-up costs at most this.
    private static let lookEvery: Duration = .seconds(1)
    /// Between comparisons of the broker's logs with what was published; a lost connection causes one at once.
    private static let checkEvery: Duration = .seconds(15)
    private static let measureEvery: Duration = .seconds(5)
    private static let houseEvery: Duration = .seconds(600)
    private static let patience = Retry(attempts: .max, first: .milliseconds(50), longest: .seconds(2))

    init(
        database: Database, kafka: KafkaSettings, program: String, restate: [Topic: Relay.Restate], log: Log,
        report: @escaping (String?) -> Void
    ) {
        self.database = database
        self.kafka = kafka
        self.program = program
        source = Array("/switchboard/\(program)".utf8)
        self.restate = restate
        self.log = log
        self.report = report
        producer = Producer(settings: kafka)
        let label = ("program", program)
        rows = Metrics.shared.gauge("switchboard_outbox_rows", "Events not published yet.", label)
        age = Metrics.shared.gauge(
            "switchboard_outbox_age_seconds", "How long the oldest event not published yet has waited.", label)
        published = Metrics.shared.counter("switchboard_outbox_published_total", "Events published.", label)
        republished = Metrics.shared.counter(
            "switchboard_outbox_republished_total", "Events published again after the broker lost them.", label)
    }

    func wake() {
        isWoken = true
        signal.fire()
    }

    func finish() {
        isFinishing = true
        wake()
    }

    func run() async {
        while !Task.isCancelled {
            // A commit from here on is looked for again.
            isWoken = false
            let mayEnd = isFinishing
            do {
                let outcome = try await round()
                if failures > 0 { log.info("relay.resumed") }
                failures = 0
                report(nil)
                if outcome == .idle, mayEnd { break }
                try await pause(after: outcome)
            } catch is CancellationError where Task.isCancelled {
                break
            } catch {
                failures += 1
                if failures == 1 || failures.isMultiple(of: 20) { log.warn("relay.waiting", ("error", "\(error)")) }
                report("\(error)")
                // The broker may have come back as another one, or lack a topic.
                isInDoubt = true
                do { try await EventLoop.sleep(for: Self.patience.delay(after: failures)) } catch { break }
            }
        }
        check?.cancel()
        await producer.stop(deadline: .zero)
    }

    private enum Outcome { case idle, more, hole }

    private func round() async throws -> Outcome {
        if producer.disconnections != disconnections {
            disconnections = producer.disconnections
            isInDoubt = true
        }
        if isInDoubt {
            ensured.removeAll()
            if try await hasShorterLog() { try await settleDoubt() }
            isInDoubt = false
            nextCheck = .now + Self.checkEvery
        } else if ContinuousClock.now >= nextCheck, !isChecking {
            checkMeanwhile()
        }
        let outcome = try await publishBatch()
        if outcome != .more {
            if ContinuousClock.now >= nextMeasure {
                nextMeasure = .now + Self.measureEvery
                let depth = try await RelayStore.depth(database)
                rows.set(Double(depth.rows))
                age.set(depth.age)
            }
            if ContinuousClock.now >= nextHouse {
                nextHouse = .now + Self.houseEvery
                try await RelayStore.keepHouse(database)
            }
        }
        return outcome
    }

    private func pause(after outcome: Outcome) async throws {
        if outcome == .more || isWoken { return }
        // A hole fills with a commit, which wakes only its own replica, or never: look again soon, then less often.
        let wait = outcome == .hole ? min(.milliseconds(1 << min(holes - 1, 10)), Self.lookEvery) : Self.lookEvery
        let timer = EventLoop.required().after(wait) { [signal] in signal.fire() }
        defer { timer.cancel() }
        try await signal.wait()
    }

    // MARK: Publishing

    /// Publishes the next rows.
    ///
    /// The broker is asked inside the transaction, against the rule of the house: the transaction is what holds the lock.
    /// It has written nothing by then, so it holds nobody up; and when its connection breaks, the lock is free and the
    /// cursor where it was.
    private func publishBatch() async throws -> Outcome {
        var hole: Int64?
        var mustRestate = false
        let outcome = try await database.transaction { (tx: borrowing Transaction) -> Outcome in
            hole = nil
            RelayStore.lockLightly(tx)
            let state = try await RelayStore.state(limit: Self.batchMax, tx)
            mustRestate = state.restate
            let count = order.ready(after: state.published, rows: state.rows.map(\.seq))
            guard count > 0 else {
                hole = state.rows.last?.seq
                return hole == nil ? .idle : .hole
            }
            let batch = state.rows[..<count]
            try await ensure(Set(batch.map(\.topic)))
            let deliveries = try await producer.send(batch.map { record($0, isRepublished: $0.seq <= state.highest) })
            guard let firsts = firstOffsets(of: batch, deliveries, after: state.offsets) else {
                beginAnew(tx)
                return .more
            }
            if let last = batch.last { RelayStore.move(to: last.seq, offsets: firsts, tx) }
            note(batch, highest: state.highest)
            return count == state.rows.count && count < Self.batchMax ? .idle : .more
        }
        holes = outcome == .hole ? holes + 1 : 0
        // Most holes are commits on their way. One that is still there at the second look is worth a question.
        if let hole, holes > 1 { order.blocked(upTo: hole, writers: try await RelayStore.writers(database)) }
        if mustRestate { try await restatePresent() }
        return outcome
    }

    /// What is kept to compare with a log's end is each partition's first offset of the batch: some brokers say that a log
    /// ends behind the first record of its last batch, not behind the last one. nil: offsets only grow, unless the log
    /// began anew since the last batch, and this one did.
    private func firstOffsets(
        of batch: ArraySlice<RelayStore.Row>, _ deliveries: [Delivery], after known: [String: Int64]
    ) -> [String: Int64]? {
        var places: [Partition: (first: Int64, last: Int64)] = [:]
        for (row, delivery) in zip(batch, deliveries) {
            let place = Partition(topic: row.topic, number: delivery.partition)
            guard let seen = places[place] else {
                if let last = known[place.description], delivery.offset <= last { return nil }
                places[place] = (delivery.offset, delivery.offset)
                continue
            }
            if delivery.offset <= seen.last { return nil }
            places[place]?.last = delivery.offset
        }
        return Dictionary(uniqueKeysWithValues: places.map { ($0.key.description, $0.value.first) })
    }

    private func note(_ batch: ArraySlice<RelayStore.Row>, highest: Int64) {
        published.add(batch.count)
        republished.add(batch.count { $0.seq <= highest })
    }

    private func record(_ row: RelayStore.Row, isRepublished: Bool) -> Record {
        .event(
            row.id, topic: row.topic, key: row.key, type: row.type, source: source, time: row.createdAt,
            payload: row.payload.map { Array($0.utf8) }, trace: row.trace, isRepublished: isRepublished)
    }

    // MARK: A broker that lost its log

    /// Whether a log ends before what was published into it. Asked without the lock, which would hold up every replica for
    /// as long as the broker takes: the offsets are read before the ends, and both only grow, so a log that is still the
    /// same is never taken for another one. The other way round somebody may have settled it meanwhile, so whoever hears
    /// yes asks again under the lock.
    private func hasShorterLog() async throws -> Bool {
        try await Self.isShorter(try await RelayStore.offsets(database), kafka)
    }

    /// Compares under the lock: between asking the broker and looking here nobody may have published. A log that ends
    /// earlier is another log: everything in the retention goes out again.
    private func settleDoubt() async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            RelayStore.lock(tx)
            let offsets = try await RelayStore.state(limit: 0, tx).offsets
            if try await Self.isShorter(offsets, kafka) { beginAnew(tx) }
        }
    }

    /// - Parameter offsets: of each "topic/partition", one that was written.
    private static func isShorter(_ offsets: [String: Int64], _ kafka: KafkaSettings) async throws -> Bool {
        let topics = Set(offsets.keys.map { String($0[..<($0.lastIndex(of: "/") ?? $0.endIndex)]) })
        guard !topics.isEmpty else { return false }
        try await Topics.ensure(topics.map(described), settings: kafka)
        var ends: [String: Int64] = [:]
        for (place, range) in try await Topics.ends(of: Array(topics), settings: kafka) {
            ends[place.description] = range.upperBound
        }
        return offsets.contains { (ends[$0.key] ?? 0) <= $0.value }
    }

    /// Now and then, while events go out: whether all is as it was. A broker that was replaced without our losing the
    /// connection is rare, and the offsets of what is published tell it too.
    private func checkMeanwhile() {
        isChecking = true
        let me = Confined(self)
        check = EventLoop.required().spawn("relay.check") { await me.value.checkOnce() }
    }

    private func checkOnce() async {
        do {
            if try await hasShorterLog() { isInDoubt = true }
        } catch {
            // A broker that is gone is noticed by who publishes; one that is only busy must not be kept from it.
            log.debug("relay.not_compared", ("error", "\(error)"))
        }
        nextCheck = .now + Self.checkEvery
        isChecking = false
        if isInDoubt { wake() }
    }

    /// Creates topics this relay has not seen since it last had a doubt.
    private func ensure(_ topics: Set<String>) async throws {
        let new = topics.subtracting(ensured)
        guard !new.isEmpty else { return }
        try await Topics.ensure(new.map(Self.described), settings: kafka)
        ensured.formUnion(new)
    }

    private static func described(_ name: String) -> TopicDescription {
        Topic(rawValue: name).map { TopicDescription($0) } ?? TopicDescription(name: name, partitions: 1)
    }

    private func beginAnew(_ tx: borrowing Transaction) {
        log.warn("relay.new_log")
        RelayStore.beginAnew(tx)
        isWoken = true
    }

    private func restatePresent() async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            guard try await RelayStore.takeRestating(tx) else { return }
            for state in restate.values { try await state(tx) }
        }
        isWoken = true
    }
}

/// The relay's work in a task of its own loop.
///
/// `@unchecked Sendable`: the task runs on the loop the work lives on.
private struct Confined: @unchecked Sendable {
    let value: RelayWork
    init(_ value: RelayWork) { self.value = value }
}
