import Kafka
import Postgres
import Runtime
import Shared

/// The relay's loop. Lives on one event loop.
final class RelayWork {
    private let database: Database
    private let kafka: KafkaSettings
    private let program: String
    private let source: String
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
        source = "/switchboard/\(program)"
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
                nextCheck = .now
                do { try await EventLoop.sleep(for: Self.patience.delay(after: failures)) } catch { break }
            }
        }
        await producer.stop(deadline: .zero)
    }

    private enum Outcome { case idle, more, hole }

    private func round() async throws -> Outcome {
        if producer.disconnections != disconnections {
            disconnections = producer.disconnections
            nextCheck = .now
        }
        if ContinuousClock.now >= nextCheck {
            try await checkLogs()
            nextCheck = .now + Self.checkEvery
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
        let wait = outcome == .hole ? min(.milliseconds(1 << min(holes, 10)), Self.lookEvery) : Self.lookEvery
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
            try await RelayStore.lock(tx)
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
            var ends: [String: Int64] = [:]
            // What is kept to compare with a log's end is each partition's first offset of the batch: some brokers say
            // that a log ends behind the first record of its last batch, not behind the last one.
            var firsts: [String: Int64] = [:]
            var isNewLog = false
            for (row, delivery) in zip(batch, deliveries) {
                let place = "\(row.topic)/\(delivery.partition)"
                // Offsets only grow, unless the log began anew since the last batch.
                if let last = ends[place] ?? state.offsets[place], delivery.offset <= last { isNewLog = true }
                ends[place] = delivery.offset
                firsts[place] = firsts[place] ?? delivery.offset
            }
            guard !isNewLog else {
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

    /// Compares where the logs end with what was published. A log that ends earlier is another log: everything in the
    /// retention goes out again.
    private func checkLogs() async throws {
        ensured.removeAll()
        try await database.transaction { (tx: borrowing Transaction) in
            // Under the lock: between asking the broker and looking here nobody may have published.
            try await RelayStore.lock(tx)
            let offsets = try await RelayStore.state(limit: 0, tx).offsets
            let topics = Set(offsets.keys.map { String($0[..<($0.lastIndex(of: "/") ?? $0.endIndex)]) })
            guard !topics.isEmpty else { return }
            try await ensure(topics)
            var ends: [String: Int64] = [:]
            for (place, range) in try await Topics.ends(of: Array(topics), settings: kafka) {
                ends[place.description] = range.upperBound
            }
            if offsets.contains(where: { (ends[$0.key] ?? 0) <= $0.value }) { beginAnew(tx) }
        }
    }

    /// Creates topics this relay has not seen since it last had a doubt.
    private func ensure(_ topics: Set<String>) async throws {
        let new = topics.subtracting(ensured)
        guard !new.isEmpty else { return }
        try await Topics.ensure(
            new.map { name in
                Topic(rawValue: name).map { TopicDescription($0) } ?? TopicDescription(name: name, partitions: 1)
            }, settings: kafka)
        ensured.formUnion(new)
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
