import Messaging
import Postgres
import Shared

/// Reactions to telephony: every utterance gets a score as it is said, every call at its end.
struct ScoreCalls: Sendable {
    let sentiment: Sentiment

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
            try await score(call.ref, tx)
        case .noteAdded: return
        }
    }

    private func onUtterance(_ call: CallRef, _ said: InteractionSnapshot, _ tx: borrowing Transaction) async throws {
        let score = sentiment.score(said.text)
        let hasEnded = try await ScoreStore.keep(said, of: call.callID, score: score, tx)
        // The last words may be stored after the carrier has said that the call is over.
        if hasEnded { try await self.score(call, tx) }
        guard said.speaker == .customer else { return }
        let moods = try await ScoreStore.moods(of: call.callID, tx)
        let mood = Rubric.mood(of: moods)
        ScoreStore.keepMood(mood, of: call.callID, tx)
        tx.publish(
            ScoreEvent.sentimentChanged(
                call, SentimentReading(interactionID: said.id, interactionScore: score, score: mood)))
    }

    /// The whole call, once it is over. A score that a person has corrected stays.
    private func score(_ call: CallRef, _ tx: borrowing Transaction) async throws {
        guard let ended = try await ScoreStore.ended(call.callID, tx), !ended.reviewed else { return }
        let transcript = try await ScoreStore.transcript(of: call.callID, tx)
        let mood = Rubric.mood(of: transcript.filter { !$0.byAI }.map(\.sentiment))
        let outcome = Outcome.classify(
            transcript, failureReason: ended.failureReason, escalated: ended.escalated, mood: mood)
        let row = try await ScoreStore.keep(Rubric.score(transcript), outcome: outcome, of: call, tx)
        tx.publish(ScoreEvent.scoreUpdated(call, row))
        // A person or a tool call that set the outcome knows better.
        if ended.outcome == nil, let outcome, let known = CallOutcome(rawValue: outcome.rawValue) {
            tx.publish(ScoreEvent.outcomeClassified(call, known, summary: nil))
        }
    }
}

extension Rubric.Score {
    /// As document 003 shows it: the reasons in words, compliance apart from the rest.
    func snapshot(
        id: Int64, call: CallID, version: Int64, reviewedBy: String, createdAt: Instant, updatedAt: Instant
    ) -> ScoreSnapshot {
        ScoreSnapshot(
            id: id, callID: call, version: version, overallScore: overall, sentimentScore: sentiment,
            complianceScore: compliance, accuracyScore: accuracy, professionalismScore: professionalism,
            sentimentLabel: SentimentLabel(score: mood),
            complianceIssues: findings.filter { $0.area == .compliance }.map(\.reason),
            flaggedIssues: findings.filter { $0.area != .compliance }.map(\.reason), reviewedBy: reviewedBy,
            createdAt: createdAt, updatedAt: updatedAt)
    }
}

extension Rubric.Finding {
    var json: JSON {
        [
            "area": .string(area.rawValue), "code": .string(code), "reason": .string(reason),
            "evidence": .array(evidence.map { .int($0) }), "deduction": .double(deduction),
        ]
    }
}
