import Messaging
import Postgres
import Shared

/// Reactions to telephony: every utterance gets a score as it is said, every call at its end.
struct ScoreCalls: Sendable {
    let sentiment: Sentiment
    /// A model is asked as well, so long after the end of a call, because the last words may come after it; nil: none is.
    var judgeAfter: Duration?

    func onCall(_ event: CallEvent, _ tx: borrowing Transaction) async throws {
        // What is said of a call may come after its workspace was erased.
        guard try await !tx.isErased(.workspace(event.call.workspaceID)) else { return }
        switch event {
        case .started(let call), .updated(let call): ScoreStore.keep(call, tx)
        case .interactionAdded(let call, let said), .interactionUpdated(let call, let said):
            try await onUtterance(call, said, tx)
        case .escalationTriggered(let call, let escalation), .escalationUpdated(let call, let escalation),
            .escalationCompleted(let call, let escalation):
            ScoreStore.keep(escalation, of: call.callID, tx)
        case .ended(let call):
            ScoreStore.keep(call, tx)
            try await score(call.ref, hasNewWords: false, tx)
        case .noteAdded: return
        }
    }

    private func onUtterance(_ call: CallRef, _ said: InteractionSnapshot, _ tx: borrowing Transaction) async throws {
        let score = sentiment.score(said.text)
        let kept = try await ScoreStore.keep(said, of: call, score: score, tx)
        // The last words may be stored after the carrier has said that the call is over.
        if kept.hasEnded { try await self.score(call, hasNewWords: true, tx) }
        guard said.speaker == .customer, kept.judgesSentiment else { return }
        let moods = try await ScoreStore.moods(of: call.callID, tx)
        let mood = try await ScoreStore.keepMood(Rubric.mood(of: moods), of: call.callID, tx)
        var reading = SentimentReading(interactionID: said.id, interactionScore: score, score: mood.score)
        reading.label = mood.label
        tx.publish(ScoreEvent.sentimentChanged(call, reading))
    }

    /// The whole call, once it is over. A score that a person has corrected stays.
    private func score(_ call: CallRef, hasNewWords: Bool, _ tx: borrowing Transaction) async throws {
        guard let ended = try await ScoreStore.lock(call.callID, tx), !ended.reviewed else { return }
        let transcript = try await ScoreStore.transcript(of: call.callID, tx)
        let mood = Rubric.mood(of: transcript.filter { !$0.byAI }.map(\.sentiment))
        let outcome = Outcome.classify(
            transcript, failureReason: ended.failureReason, escalated: ended.escalated, mood: mood)
        ScoreStore.keep(outcome, of: call.callID, tx)
        try await judge(transcript, hasNewWords: hasNewWords, call, tx)
        // A person or a tool call that set the outcome knows better.
        if ended.outcome == nil, let outcome, let known = CallOutcome(rawValue: outcome.rawValue) {
            tx.publish(ScoreEvent.outcomeClassified(call, known, summary: nil))
        }
    }

    /// By the rubric at once; a model is asked later and its judgement takes the place of this one.
    private func judge(
        _ transcript: [Rubric.Utterance], hasNewWords: Bool, _ call: CallRef, _ tx: borrowing Transaction
    ) async throws {
        let terms = try await QualityConfigStore.terms(for: call, tx)
        guard terms.isEnabled else { return }
        let before = try await ScoreStore.find(call.callID, tx)
        if let judgeAfter, Judge.canJudge(transcript) {
            if before == nil || hasNewWords { JudgementStore.ask(for: call.callID, after: judgeAfter, tx) }
            // A model's judgement of fewer words is better than the rubric's of all, until the model has heard them.
            if before?.isByModel == true { return }
        }
        try await Self.keep(Rubric.score(transcript, terms), terms, by: Rubric.name, before: before, of: call, tx)
    }

    /// Stores and publishes what a judge has found, unless it is what is known already.
    static func keep(
        _ found: Rubric.Score, _ terms: QualityTerms, by judge: String, before: CallScore?, of call: CallRef,
        _ tx: borrowing Transaction
    ) async throws {
        var score = before ?? CallScore(of: call, at: .now())
        score.take(found, terms, by: judge)
        if let before, !score.differs(from: before) { return }
        try await ScoreStore.save(&score, after: before, tx)
        tx.publish(ScoreEvent.scoreUpdated(call, score.snapshot))
    }
}
