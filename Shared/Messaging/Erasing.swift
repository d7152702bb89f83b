import Postgres
import Runtime
import Shared

/// Takes away what is to be erased, batch by batch, and reports to auth when nothing is left.
///
/// Every replica has one. A job belongs to a replica for some seconds at a time; that two work at the same one does no
/// harm, since every batch finds only what is left. What is committed stays done, whatever dies when.
public final class Erasing: Component {
    public let name = "erasing"
    private let program: String
    private let database: Database
    private let steps: [ErasureStep]
    private let log: Log

    private static let lookEvery: Duration = .seconds(1)
    private static let pruneEvery: Duration = .seconds(3600)
    /// Wait before a job that failed, or has to wait for the broker, is tried again.
    private static let patienceSeconds = 1

    public init(program: String, database: Database, steps: [ErasureStep], log: Log) {
        self.program = program
        self.database = database
        self.steps = steps
        self.log = log
    }

    public func start(on group: EventLoopGroup) async throws {
        group.loops[0].spawn("erasing") { [self] in
            let signal = Signal()
            Self.wakers.withLock { $0[ObjectIdentifier(self)] = Waker(.required(), signal) }
            defer { Self.wakers.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(self)) } }
            var nextPrune = ContinuousClock.now
            while !Task.isCancelled {
                do {
                    if ContinuousClock.now >= nextPrune {
                        nextPrune = .now + Self.pruneEvery
                        try await ErasureStore.prune(database)
                    }
                    while try await runOne() {}
                } catch is CancellationError {
                    return
                } catch {
                    log.warn("erasing.waiting", ("error", "\(error)"))
                }
                _ = try? await withDeadline(Self.lookEvery) { try await signal.wait() }
            }
        }
    }

    /// Does the next job that is due; false when none is.
    public func runOne() async throws -> Bool {
        guard let job = try await ErasureStore.take(database) else { return false }
        do {
            try await run(job)
            return true
        } catch {
            try Task.checkCancellation()
            if !(error is ErasureWaits) {
                log.warn("erasure.waiting", ("subject", "\(job.subject)"), ("error", "\(error)"))
            }
            try await ErasureStore.postpone(job, seconds: Self.patienceSeconds, database)
            return true
        }
    }

    private func run(_ job: ErasureStore.Job) async throws {
        let startedAt = Instant.now()
        for step in steps { try await run(step, job.subject) }
        try await forgetEvents(job.subject)
        try await database.transaction { (tx: borrowing Transaction) in
            try await ErasureStore.finish(job, program: program, startedAt: startedAt, tx)
        }
        if job.isFirst { log.info("erasure.done", ("kind", "\(job.subject.kind)"), ("id", "\(job.subject.id)")) }
    }

    private func run(_ step: ErasureStep, _ subject: ErasureSubject) async throws {
        switch step.way {
        case .batches(let batch):
            while try await counted(step, subject, { tx in try await batch(subject, tx) }) > 0 {}
        case .stretches(let length, let bounds, let look):
            let all = try await database.transaction { (tx: borrowing Transaction) in try await bounds(tx) }
            guard let all else { return }
            var first = all.lowerBound
            while first <= all.upperBound {
                let stretch = first...min(all.upperBound, first + length - 1)
                _ = try await counted(step, subject) { tx in try await look(subject, stretch, tx) }
                first = stretch.upperBound + 1
            }
        }
    }

    private func counted(
        _ step: ErasureStep, _ subject: ErasureSubject, _ batch: (borrowing Transaction) async throws -> Int
    ) async throws -> Int {
        try await database.transaction { (tx: borrowing Transaction) -> Int in
            let count = try await batch(tx)
            if count > 0 { ErasureStore.count(subject, step.name, count, tx) }
            return count
        }
    }

    /// Events and kept answers that speak of the subject. What is not published yet has to go out first.
    private func forgetEvents(_ subject: ErasureSubject) async throws {
        let ids = [subject.id] + (try await ErasureStore.also(subject, database))
        if try await ErasureStore.isWaiting(ids, database) { throw ErasureWaits(for: "the broker") }
        var events = try await scrubOutbox(subject, ids)
        events += try await ErasureStore.scrubDeadLetters(ids, database)
        let answers = try await ErasureStore.scrubAnswers(ids, database)
        let found = (events, answers)
        guard found != (0, 0) else { return }
        try await database.transaction { (tx: borrowing Transaction) in
            if found.0 > 0 { ErasureStore.count(subject, "events", found.0, tx) }
            if found.1 > 0 { ErasureStore.count(subject, "answers", found.1, tx) }
        }
    }

    /// First what only shares a key with an event that names the workspace (an order to a call of its names just the call),
    /// then the events that name it: whoever is cut off in between finds the keys again.
    private func scrubOutbox(_ subject: ErasureSubject, _ ids: [String]) async throws -> Int {
        guard let published = try await ErasureStore.published(database) else { return 0 }
        var count = 0
        if case .workspace = subject {
            var keys: Set<String> = []
            try await eachSlice(of: published) { places in
                keys.formUnion(try await ErasureStore.keys(speakingOf: ids, in: places, database))
            }
            let list = keys.sorted()
            if !list.isEmpty {
                try await eachSlice(of: published) { places in
                    // What names the workspace itself is left for the last pass.
                    count += try await ErasureStore.scrubOutbox(keys: list, except: ids, in: places, database)
                }
            }
        }
        try await eachSlice(of: published) { places in
            count += try await ErasureStore.scrubOutbox(ids, in: places, database)
        }
        return count
    }

    private func eachSlice(
        of published: ClosedRange<Int64>, _ body: (ClosedRange<Int64>) async throws -> Void
    ) async throws {
        var next = published.lowerBound
        while next <= published.upperBound {
            let places = ErasureStore.slice(from: next, upTo: published.upperBound)
            try await body(places)
            next = places.upperBound + 1
        }
    }

    // MARK: Waking

    /// `@unchecked Sendable`: the signal is touched on its loop only.
    private final class Waker: @unchecked Sendable {
        private let loop: EventLoop
        private let signal: Signal

        init(_ loop: EventLoop, _ signal: Signal) {
            self.loop = loop
            self.signal = signal
        }

        func wake() { loop.execute { self.signal.fire() } }
    }

    private static let wakers = Guarded<[ObjectIdentifier: Waker]>([:])

    static func wakeAll() {
        for waker in wakers.withLock({ Array($0.values) }) { waker.wake() }
    }
}
