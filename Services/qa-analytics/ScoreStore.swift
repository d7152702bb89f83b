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

    /// What has to be known of a call in which something was said.
    struct Kept: Sendable {
        var hasEnded: Bool
        /// Whether its business configuration wants moods.
        var judgesSentiment: Bool
    }

    /// Keeps one utterance; the same sequence again (an interrupted answer) replaces its text and score.
    static func keep(
        _ said: InteractionSnapshot, of call: CallRef, score: Double, _ tx: borrowing Transaction
    ) async throws -> Kept {
        let citations = said.metadata["citations"]?.array?.count ?? 0
        let unanswered = said.metadata["answered"]?.bool == false
        let row = try await tx.queryOne(
            """
            INSERT INTO utterances (call_id, interaction_id, sequence, speaker, text, score, citations, unanswered)
            VALUES (\(call.callID), \(said.id), \(Int64(said.sequence)), \(said.speaker.rawValue), \(said.text),
                \(score), \(citations), \(unanswered))
            ON CONFLICT (call_id, sequence) DO UPDATE SET interaction_id = excluded.interaction_id,
                text = excluded.text, score = excluded.score, citations = excluded.citations,
                unanswered = excluded.unanswered
            RETURNING EXISTS (SELECT FROM calls WHERE call_id = \(call.callID) AND ended_at IS NOT NULL) AS ended,
                NOT EXISTS (SELECT FROM business_configs WHERE id = \(call.businessID)
                    AND workspace_id = \(call.workspaceID) AND is_active
                    AND quality_assurance ->> 'sentiment_analysis' = 'false') AS judges_sentiment
            """)
        guard let row else { throw Problem(.internalError) }
        return Kept(hasEnded: try row["ended"], judgesSentiment: try row["judges_sentiment"])
    }

    static func transcript(of call: CallID, _ tx: borrowing Transaction) async throws -> [Rubric.Utterance] {
        try await tx.query(utterances(of: call)).map(utterance)
    }

    static func transcript(of call: CallID, _ database: Database) async throws -> [Rubric.Utterance] {
        try await database.query(utterances(of: call)).map(utterance)
    }

    private static func utterances(of call: CallID) -> Query {
        """
        SELECT interaction_id, speaker, text, score, citations, unanswered FROM utterances
        WHERE call_id = \(call) ORDER BY sequence
        """
    }

    private static func utterance(_ row: Row) throws -> Rubric.Utterance {
        Rubric.Utterance(
            id: try row["interaction_id"], byAI: try row.decode("speaker", as: String.self) == "ai",
            text: try row["text"], sentiment: try row["score"], citations: try row["citations"],
            unanswered: try row["unanswered"])
    }

    /// The customer's words so far, for the rolling mood: only the scores, in order.
    static func moods(of call: CallID, _ tx: borrowing Transaction) async throws -> [Double] {
        try await tx.query(
            "SELECT score FROM utterances WHERE call_id = \(call) AND speaker = 'customer' ORDER BY sequence"
        ).map { try $0["score"] }
    }

    struct Ended: Sendable {
        var ref: CallRef
        var failureReason: String?
        var escalated: Bool
        var outcome: String?
        /// A person has judged.
        var reviewed: Bool
    }

    /// What classification needs of a call. Its row is held until the transaction ends: whoever judges it, person or
    /// program, comes one after the other.
    static func lock(_ call: CallID, _ tx: borrowing Transaction) async throws -> Ended? {
        try await tx.queryOne(
            """
            SELECT workspace_id, business_id, direction, failure_reason, escalated, outcome, reviewed
            FROM calls WHERE call_id = \(call) FOR NO KEY UPDATE
            """
        ).map { row in
            Ended(
                ref: CallRef(
                    callID: call, workspaceID: try row["workspace_id"], businessID: try row["business_id"],
                    direction: CallDirection(rawValue: try row["direction"]) ?? .inbound),
                failureReason: try row["failure_reason"], escalated: try row["escalated"], outcome: try row["outcome"],
                reviewed: try row["reviewed"])
        }
    }

    static func keep(_ outcome: Outcome?, of call: CallID, _ tx: borrowing Transaction) {
        guard let outcome else { return }
        tx.enqueue("UPDATE calls SET outcome = \(outcome.rawValue) WHERE call_id = \(call) AND outcome IS NULL")
    }

    /// The call's mood is now this, unless a person has said what it is; returns which it is.
    static func keepMood(
        _ mood: Double, of call: CallID, _ tx: borrowing Transaction
    ) async throws -> (score: Double, label: SentimentLabel) {
        let label = SentimentLabel(score: mood)
        let row = try await tx.queryOne(
            """
            UPDATE calls SET mood = CASE WHEN reviewed THEN mood ELSE \(mood) END,
                mood_label = CASE WHEN reviewed THEN mood_label ELSE \(label.rawValue) END
            WHERE call_id = \(call) RETURNING mood, mood_label
            """)
        // Words of a call nobody has told of yet.
        guard let row, let score = try row.decode("mood", as: Double?.self) else { return (mood, label) }
        return (score, try row.decode("mood_label", as: String?.self).flatMap(SentimentLabel.init) ?? label)
    }

    // MARK: Scores

    static let columns: Query = """
        id, call_id, workspace_id, version, overall, sentiment, compliance, accuracy, professionalism, sentiment_label,
        findings, basis, terms, judged_by, reviewed_by, reviewed, reviewer_id, review_notes, created_at, updated_at
        """

    /// Ask after `lock`, or what it says may be old.
    static func find(_ call: CallID, _ tx: borrowing Transaction) async throws -> CallScore? {
        try await tx.queryOne("SELECT \(fragment: columns) FROM qa_scores WHERE call_id = \(call)").map(score)
    }

    /// Stores the score (which shows in its call by a trigger); with a score before it, as its next version, and what has
    /// changed goes into the history.
    static func save(_ score: inout CallScore, after before: CallScore?, _ tx: borrowing Transaction) async throws {
        guard let before else { return try await insert(&score, tx) }
        score.version = before.version + 1
        score.updatedAt = max(.now(), before.updatedAt)
        tx.enqueue(
            """
            UPDATE qa_scores SET version = \(score.version), overall = \(score.overall),
                sentiment = \(score.sentiment), compliance = \(score.compliance), accuracy = \(score.accuracy),
                professionalism = \(score.professionalism), sentiment_label = \(score.label.rawValue),
                findings = \(JSON.array(score.findings.map(\.json))), basis = \(JSON.array(score.basis.map(\.json))),
                terms = \(score.terms.scored), judged_by = \(score.judgedBy), reviewed_by = \(score.reviewedBy),
                reviewed = \(score.reviewed), reviewer_id = \(score.reviewer), review_notes = \(score.notes),
                updated_at = \(score.updatedAt)
            WHERE call_id = \(score.call)
            """)
        let changes = score.changes(since: before)
        tx.enqueue(
            """
            INSERT INTO qa_score_changes (call_id, version, changed_by, changer_id, changed_at, before, after)
            VALUES (\(score.call), \(score.version), \(score.reviewedBy), \(score.reviewer), \(score.updatedAt),
                \(JSON.object(changes.before)), \(JSON.object(changes.after)))
            """)
    }

    private static func insert(_ score: inout CallScore, _ tx: borrowing Transaction) async throws {
        let row = try await tx.queryOne(
            """
            INSERT INTO qa_scores (call_id, workspace_id, overall, sentiment, compliance, accuracy, professionalism,
                sentiment_label, findings, basis, terms, judged_by, reviewed_by, created_at, updated_at)
            VALUES (\(score.call), \(score.workspace), \(score.overall), \(score.sentiment), \(score.compliance),
                \(score.accuracy), \(score.professionalism), \(score.label.rawValue),
                \(JSON.array(score.findings.map(\.json))), \(JSON.array(score.basis.map(\.json))),
                \(score.terms.scored), \(score.judgedBy), \(score.reviewedBy), \(score.createdAt),
                \(score.updatedAt))
            RETURNING id
            """)
        guard let row else { throw Problem(.internalError) }
        score.id = try row["id"]
    }

    static let formerMember = "former member"

    /// Scores that a person has corrected stay corrected, without their name.
    static func loseReviewer(
        _ person: UserID, batch: Int, _ tx: borrowing Transaction
    ) async throws -> [(CallRef, CallScore)] {
        let rows = try await tx.query(
            """
            UPDATE qa_scores SET reviewed_by = \(formerMember), reviewer_id = NULL, version = version + 1
            WHERE id IN (SELECT id FROM qa_scores WHERE reviewer_id = \(person) ORDER BY id LIMIT \(batch))
            RETURNING \(fragment: columns)
            """)
        var scores: [(CallRef, CallScore)] = []
        for row in rows {
            let score = try score(row)
            // Its row is held already: the score shows in it.
            if let call = try await lock(score.call, tx) { scores.append((call.ref, score)) }
        }
        return scores
    }

    static func score(_ row: Row) throws -> CallScore {
        let workspace: WorkspaceID = try row["workspace_id"]
        let reference = CallRef(callID: try row["call_id"], workspaceID: workspace, direction: .inbound)
        var score = CallScore(of: reference, at: try row["created_at"])
        score.id = try row["id"]
        score.version = try row["version"]
        score.overall = try row["overall"]
        score.sentiment = try row["sentiment"]
        score.compliance = try row["compliance"]
        score.accuracy = try row["accuracy"]
        score.professionalism = try row["professionalism"]
        score.label = SentimentLabel(rawValue: try row["sentiment_label"]) ?? .neutral
        let (findings, basis, terms): (JSON, JSON, JSON) = (try row["findings"], try row["basis"], try row["terms"])
        score.findings = (findings.array ?? []).compactMap(Rubric.Finding.init)
        score.basis = (basis.array ?? []).compactMap(Rubric.Basis.init)
        score.terms = QualityTerms(scored: terms)
        score.judgedBy = try row["judged_by"]
        score.reviewedBy = try row["reviewed_by"]
        score.reviewed = try row["reviewed"]
        score.reviewer = try row["reviewer_id"]
        score.notes = try row["review_notes"]
        score.updatedAt = try row["updated_at"]
        return score
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
