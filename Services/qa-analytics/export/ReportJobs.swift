import Postgres
import Runtime
import Shared

/// Makes the reports that were asked for as jobs, one at a time in each replica. A job belongs to whoever claimed it for as
/// long as they give signs of life, so one whose program was killed is begun anew by the next that looks.
final class ReportJobs: Component {
    let name = "reports"
    private let database: Database
    private let maker: ReportMaker
    private let log: Log
    /// This process's name as an owner.
    private let owner = JobID()
    private let running = Guarded<Running?>(nil)

    /// Jobs of other replicas and of dead ones are found this late at most.
    private static let lookEvery: Duration = .seconds(2)
    /// Pieces of a file in the database: one row each.
    private static let partBytes = 512 * 1024

    private struct Running: Sendable {
        let task: Task<Void, Never>
        let bell: Bell
    }

    init(_ database: Database, log: Log) {
        self.database = database
        self.log = log
        maker = ReportMaker(database)
    }

    func start(on group: EventLoopGroup) async throws {
        let loop = group.next()
        let bell = Bell(loop)
        let task = loop.spawn("reports") { [self] in
            bell.hang()
            while !Task.isCancelled { await look(bell) }
        }
        running.withLock { $0 = Running(task: task, bell: bell) }
    }

    /// A report under way goes back to the others.
    func stop(deadline: Duration) async {
        guard let running = running.withLock({ $0 }) else { return }
        running.task.cancel()
        await running.task.value
    }

    /// A job was added by this process: no need to wait for the next look.
    func wake() { running.withLock { $0?.bell }?.ring() }

    private func look(_ bell: Bell) async {
        do {
            while let job = try await ReportJobStore.claim(owner, database) { try await make(job) }
            try await ReportJobStore.tidy(database)
            try await bell.wait(atMost: Self.lookEvery)
        } catch is CancellationError {
        } catch {
            log.warn("reports.waiting", ("error", "\(error)"))
            try? await EventLoop.sleep(for: Self.lookEvery)
        }
    }

    private func make(_ job: ReportJob) async throws {
        let began = ContinuousClock.now
        do {
            let figures = try await ReportFigures.read(job.request, job.scope, database)
            var file = Parts(job: job.id, owner: owner, database: database)
            try await maker.make(job.request, figures, job.scope) { bytes, done in
                try await file.add(bytes, done, of: Self.partBytes)
            }
            try await file.end()
            try await ReportJobStore.finish(job.id, size: file.size, by: owner, database)
            log.info(
                "report.made", ("job", .string(job.id.text)), ("type", .string(job.request.type.rawValue)),
                ("bytes", .int(Int64(file.size))), ("seconds", .double(began.duration(to: .now).inSeconds)))
        } catch is TakenOver {
            log.warn("report.taken_over", ("job", "\(job.id.text)"))
        } catch {
            let isAsked = Task.isCancelled
            log.warn("report.failed", ("job", "\(job.id.text)"), ("error", "\(error)"))
            // In a task of its own: it is said also when this one was cancelled.
            await EventLoop.required().spawn("report.given_up") { [self] in
                do {
                    try await ReportJobStore.giveUp(job.id, by: owner, again: isAsked, database)
                } catch { log.warn("report.not_given_up", ("error", "\(error)")) }
            }.value
            if isAsked { throw CancellationError() }
        }
    }

    /// Another program works on the job by now.
    struct TakenOver: Error {}

    /// The file on its way into the database, in pieces of a good size, with a sign of life every second.
    private struct Parts {
        let job: JobID
        let owner: JobID
        let database: Database
        var size = 0
        private var part = 0
        private var bytes: [UInt8] = []
        private var done = 0.0
        private var lastSign = ContinuousClock.now

        init(job: JobID, owner: JobID, database: Database) {
            self.job = job
            self.owner = owner
            self.database = database
        }

        mutating func add(_ more: [UInt8], _ done: Double, of partBytes: Int) async throws {
            bytes += more
            self.done = done
            if bytes.count >= partBytes {
                try await write()
            } else if lastSign.duration(to: .now) > .seconds(1) {
                try await tell([])
            }
        }

        mutating func end() async throws { try await write() }

        private mutating func write() async throws {
            try await tell(bytes)
            size += bytes.count
            if !bytes.isEmpty { part += 1 }
            bytes = []
        }

        private mutating func tell(_ bytes: [UInt8]) async throws {
            lastSign = .now
            // 100 is said when the file is whole.
            let isOurs = try await ReportJobStore.write(
                bytes, part: part, progress: min(99, Int(done * 100)), of: job, by: owner, database)
            if !isOurs { throw TakenOver() }
        }
    }
}

/// Wakes a task of one loop from any thread.
///
/// `@unchecked Sendable`: the signal is touched on its loop only.
private final class Bell: @unchecked Sendable {
    private let loop: EventLoop
    private var signal: Signal?
    private var isRung = false

    init(_ loop: EventLoop) { self.loop = loop }

    /// On the loop, before anybody waits.
    func hang() { signal = Signal() }

    func ring() {
        loop.execute {
            self.isRung = true
            self.signal?.fire()
        }
    }

    func wait(atMost limit: Duration) async throws {
        guard let signal else { return }
        if isRung {
            isRung = false
            return
        }
        let timer = loop.after(limit) { signal.fire() }
        defer { timer.cancel() }
        try await signal.wait()
        isRung = false
    }
}
