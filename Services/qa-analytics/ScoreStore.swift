import Messaging
import Postgres
import Shared

/// The SQL behind scoring. Every function runs inside the transaction that consumed the event.
enum ScoreStore {
    /// Writes what telephony says of a call. An older version changes nothing.
    static func keep(_ call: CallSnapshot, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO calls AS c (call_id, workspace_id, business_id, direction, status, failure_reason, started_at,
                ended_at, duration_seconds, escalated, outcome, version, twilio_call_sid, from_number, to_number,
                agent_id)
            VALUES (\(call.id), \(call.workspaceID), \(call.businessID), \(call.direction.rawValue),
                \(call.status.rawValue), \(call.failureReason), \(call.startedAt), \(call.endedAt),
                \(call.durationSeconds), \(call.status == .escalated || call.escalationStatus != nil),
                \(call.outcome?.rawValue), \(call.version), \(call.twilioCallSID), \(call.fromNumber),
                \(call.toNumber), \(call.agentID))
            ON CONFLICT (call_id) DO UPDATE SET business_id = excluded.business_id, direction = excluded.direction,
                status = excluded.status, failure_reason = excluded.failure_reason, started_at = excluded.started_at,
                ended_at = excluded.ended_at, duration_seconds = excluded.duration_seconds,
                escalated = c.escalated OR excluded.escalated, outcome = coalesce(excluded.outcome, c.outcome),
                version = excluded.version, twilio_call_sid = excluded.twilio_call_sid,
                from_number = excluded.from_number, to_number = excluded.to_number, agent_id = excluded.agent_id
            WHERE c.version < excluded.version
            """)
    }

    /// An escalation as it is now; its call counts it by triggers. A status never goes back, whatever comes late.
    static func keep(_ escalation: EscalationSnapshot, of call: CallID, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO escalations AS e (id, call_id, trigger_type, status, requested_at, completed_at)
            VALUES (\(escalation.id), \(call), \(escalation.triggerType), \(escalation.status.rawValue),
                \(escalation.requestedAt), \(escalation.completedAt))
            ON CONFLICT (id) DO UPDATE SET trigger_type = excluded.trigger_type, status = excluded.status,
                requested_at = excluded.requested_at, completed_at = excluded.completed_at
            WHERE array_position(ARRAY['pending', 'in_progress', 'completed', 'cancelled'], excluded.status)
                >= array_position(ARRAY['pending', 'in_progress', 'completed', 'cancelled'], e.status)
                AND (e.trigger_type, e.status, e.requested_at, e.completed_at) IS DISTINCT FROM
                    (excluded.trigger_type, excluded.status, excluded.requested_at, excluded.completed_at)
            """)
    }

    /// Keeps one utterance; the same sequence again (an interrupted answer) replaces its text and score. True when its
    /// call has ended already.
    static func keep(
        _ said: InteractionSnapshot, of call: CallID, score: Double, _ tx: borrowing Transaction
    ) async throws -> Bool {
        let citations = said.metadata["citations"]?.array?.count ?? 0
        let unanswered = said.metadata["answered"]?.bool == false
        let row = try await tx.queryOne(
            """
            INSERT INTO utterances (call_id, interaction_id, sequence, speaker, text, score, citations, unanswered)
            VALUES (\(call), \(said.id), \(Int64(said.sequence)), \(said.speaker.rawValue), \(said.text), \(score),
                \(citations), \(unanswered))
            ON CONFLICT (call_id, sequence) DO UPDATE SET interaction_id = excluded.interaction_id,
                text = excluded.text, score = excluded.score, citations = excluded.citations,
                unanswered = excluded.unanswered
            RETURNING EXISTS (SELECT FROM calls WHERE call_id = \(call) AND ended_at IS NOT NULL) AS ended
            """)
        return try row.map { try $0["ended"] } ?? false
    }

    static func transcript(of call: CallID, _ tx: borrowing Transaction) async throws -> [Rubric.Utterance] {
        try await tx.query(
            """
            SELECT interaction_id, speaker, text, score, citations, unanswered FROM utterances
            WHERE call_id = \(call) ORDER BY sequence
            """
        ).map { row in
            Rubric.Utterance(
                id: try row["interaction_id"], byAI: try row.decode("speaker", as: String.self) == "ai",
                text: try row["text"], sentiment: try row["score"], citations: try row["citations"],
                unanswered: try row["unanswered"])
        }
    }

    /// The customer's words so far, for the rolling mood: only the scores, in order.
    static func moods(of call: CallID, _ tx: borrowing Transaction) async throws -> [Double] {
        try await tx.query(
            "SELECT score FROM utterances WHERE call_id = \(call) AND speaker = 'customer' ORDER BY sequence"
        ).map { try $0["score"] }
    }

    struct Ended: Sendable {
        var failureReason: String?
        var escalated: Bool
        var outcome: String?
        var reviewed: Bool
    }

    /// What classification needs of a call, and whether a person has already corrected its score.
    static func ended(_ call: CallID, _ tx: borrowing Transaction) async throws -> Ended? {
        try await tx.queryOne(
            """
            SELECT c.failure_reason, c.escalated, c.outcome,
                coalesce(s.reviewed_by <> 'automatic', false) AS reviewed
            FROM calls c LEFT JOIN qa_scores s USING (call_id) WHERE c.call_id = \(call)
            """
        ).map { row in
            Ended(
                failureReason: try row["failure_reason"], escalated: try row["escalated"], outcome: try row["outcome"],
                reviewed: try row["reviewed"])
        }
    }

    /// Stores the score (which shows in its call by a trigger) and the call's mood and outcome; returns the row as document 003 shows it.
    static func keep(
        _ score: Rubric.Score, outcome: Outcome?, of call: CallRef, _ tx: borrowing Transaction
    ) async throws -> ScoreSnapshot {
        let label = SentimentLabel(score: score.mood)
        // What the sums are made of; silence has no part in them.
        let judged = score.isOfSilence ? nil : score
        tx.enqueue(
            """
            UPDATE calls SET mood = \(judged?.mood), mood_label = \(judged.map { _ in label.rawValue }),
                outcome = coalesce(outcome, \(outcome?.rawValue)) WHERE call_id = \(call.callID)
            """)
        let rows = try await tx.query(
            """
            INSERT INTO qa_scores AS s (call_id, workspace_id, overall, sentiment, compliance, accuracy,
                professionalism, sentiment_label, findings)
            VALUES (\(call.callID), \(call.workspaceID), \(score.overall), \(score.sentiment), \(score.compliance),
                \(score.accuracy), \(score.professionalism), \(label.rawValue), \(JSON.array(score.findings.map(\.json))))
            ON CONFLICT (call_id) DO UPDATE SET overall = excluded.overall, sentiment = excluded.sentiment,
                compliance = excluded.compliance, accuracy = excluded.accuracy,
                professionalism = excluded.professionalism, sentiment_label = excluded.sentiment_label,
                findings = excluded.findings, version = s.version + 1, updated_at = now()
            RETURNING id, version, created_at, updated_at, reviewed_by
            """)
        guard let row = rows.first else { throw Problem(.internalError) }
        return score.snapshot(
            id: try row["id"], call: call.callID, version: try row["version"], reviewedBy: try row["reviewed_by"],
            createdAt: try row["created_at"],
            updatedAt: try row["updated_at"])
    }

    static func keepMood(_ mood: Double, of call: CallID, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE calls SET mood = \(mood), mood_label = \(SentimentLabel(score: mood).rawValue) WHERE call_id = \(call)
            """)
    }

    /// Erases what analytics holds of a workspace: its calls, their sums, and reports made of them.
    static func erase(_ workspace: WorkspaceID, _ tx: borrowing Transaction) async throws {
        // As many calls as there are, as long as it takes.
        _ = try await tx.execute("SET LOCAL statement_timeout = 0")
        _ = try await tx.execute("SELECT erase_workspace(\(workspace))")
        _ = try await tx.execute("DELETE FROM report_jobs WHERE workspaces IS NULL OR \(workspace) = ANY (workspaces)")
    }

    /// Erases what analytics holds of one call, and takes it out of the sums.
    static func erase(_ call: CallID, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("SELECT erase_call(\(call))")
    }

    /// Erases what analytics holds of the calls of one business configuration of a workspace.
    static func erase(_ business: BusinessID, in workspace: WorkspaceID, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("SET LOCAL statement_timeout = 0")
        _ = try await tx.execute("SELECT erase_business(\(workspace), \(business))")
    }
}
