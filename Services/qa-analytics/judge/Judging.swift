import Messaging
import Postgres
import Runtime
import Shared

/// Has a model judge the calls that wait for it, apart from the events that brought them: a slow or failing model holds
/// up nothing, and until it has spoken the rubric's score stands.
final class Judging: Component {
    /// How it goes about it; tests are in a greater hurry.
    struct Pace: Sendable {
        /// Calls judged at the same time in each replica.
        var atOnce = 4
        /// Between two looks of somebody with nothing to do.
        var look = Duration.seconds(1)
        /// After the first failure; twice as long after the next.
        var again = Duration.seconds(5)
    }

    let name = "judge"
    private let database: Database
    private let judge: Judge
    private let log: Log
    private let pace: Pace
    private let tasks = Guarded<[Task<Void, Never>]>([])
    private let judged: Counter
    private let failed: Counter
    private let givenUp: Counter

    /// A call is given up after so many answers that do not count; the rubric's score stays.
    static let attemptsMax = 3
    /// Beyond the model's own time: whoever has not stored a judgement by then is gone.
    private static let leaseBeyond = Duration.seconds(30)

    init(_ database: Database, _ judge: Judge, log: Log, pace: Pace = Pace()) {
        self.database = database
        self.judge = judge
        self.log = log
        self.pace = pace
        func counter(_ result: String) -> Counter {
            Metrics.shared.counter(
                "switchboard_qa_judgements_total", "Times a model was asked about a call.", ("result", result))
        }
        (judged, failed, givenUp) = (counter("judged"), counter("failed"), counter("given_up"))
    }

    func start(on group: EventLoopGroup) async throws {
        let loop = group.next()
        let started = (0..<pace.atOnce).map { _ in loop.spawn("judge") { [self] in await run() } }
        tasks.withLock { $0 = started }
    }

    /// What is under way comes due again, here or in another replica.
    func stop(deadline: Duration) async {
        let tasks = tasks.withLock { $0 }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    private func run() async {
        while !Task.isCancelled {
            do {
                while let waiting = try await JudgementStore.claim(lease: judge.within + Self.leaseBeyond, database) {
                    try await settle(waiting)
                }
            } catch {
                if !Task.isCancelled { log.warn("judge.waiting", ("error", "\(error)")) }
            }
            try? await EventLoop.sleep(for: pace.look)
        }
    }

    private func settle(_ waiting: JudgementStore.Waiting) async throws {
        let terms = try await QualityConfigStore.terms(for: waiting.call, database)
        let transcript = try await ScoreStore.transcript(of: waiting.call.callID, database)
        guard terms.isEnabled, Judge.canJudge(transcript) else { return try await giveUp(waiting, transcript, terms) }
        let verdict: Verdict
        do {
            verdict = try await judge.ask(transcript, terms)
        } catch {
            try Task.checkCancellation()
            failed.add()
            log.warn(
                "judge.failed", ("call", "\(waiting.call.callID.text)"), ("attempt", .int(waiting.attempts)),
                ("error", "\(error)"))
            guard waiting.attempts < Self.attemptsMax else { return try await giveUp(waiting, transcript, terms) }
            return try await JudgementStore.postpone(
                waiting, by: pace.again * (1 << (waiting.attempts - 1)), database)
        }
        judged.add()
        try await keep(verdict.score(transcript, terms), terms, by: judge.name, waiting)
    }

    /// Where a model has judged fewer words before, the rubric has heard more by now.
    private func giveUp(
        _ waiting: JudgementStore.Waiting, _ transcript: [Rubric.Utterance], _ terms: QualityTerms
    ) async throws {
        givenUp.add()
        try await keep(
            terms.isEnabled ? Rubric.score(transcript, terms) : nil, terms, by: Rubric.name, waiting)
    }

    private func keep(
        _ found: Rubric.Score?, _ terms: QualityTerms, by judge: String, _ waiting: JudgementStore.Waiting
    ) async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            // A person who has judged meanwhile knows better, and of an erased workspace nothing is written.
            guard let call = try await ScoreStore.lock(waiting.call.callID, tx),
                try await JudgementStore.take(waiting, tx), !call.reviewed, let found,
                try await !tx.isErased(.workspace(call.ref.workspaceID)),
                let before = try await ScoreStore.find(waiting.call.callID, tx)
            else { return }
            try await ScoreCalls.keep(found, terms, by: judge, before: before, of: call.ref, tx)
        }
    }
}
