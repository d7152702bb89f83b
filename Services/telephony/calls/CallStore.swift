import Messaging
import Postgres
import Shared

extension CallDirection: PostgresValue {}
extension CallStatus: PostgresValue {}
extension CallOutcome: PostgresValue {}
extension CallPriority: PostgresValue {}
extension EscalationStatus: PostgresValue {}
extension SentimentLabel: PostgresValue {}
extension Speaker: PostgresValue {}

/// The SQL of the calls themselves. Whoever changes a call holds its row's lock from `lock` to the commit.
enum CallStore {
    static let columns: Query = """
        c.id, c.workspace_id, c.version, c.twilio_call_sid, c.direction, c.status, c.from_number, c.to_number,
        c.business_id, c.agent_id, c.started_at, c.answered_at, c.ended_at, c.duration_seconds, c.created_at,
        c.updated_at, c.metadata, c.priority, c.failure_reason, c.outcome, c.qa_score, c.qa_scores, c.sentiment,
        c.escalation_status, c.assigned_agent_id, c.assigned_agent_name, c.paused, c.instructions, c.handed_off
        """

    static func insert(_ call: Call, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO calls (id, workspace_id, version, twilio_call_sid, direction, status, from_number, to_number,
                               business_id, agent_id, started_at, answered_at, created_at, updated_at, metadata, priority)
            VALUES (\(call.id), \(call.workspace), \(call.version), \(call.sid), \(call.direction), \(call.status),
                    \(call.from), \(call.to), \(call.business), \(call.agent), \(call.startedAt), \(call.answeredAt),
                    \(call.createdAt), \(call.updatedAt), \(JSON.object(call.metadata)), \(call.priority))
            """)
    }

    /// The call, locked until the transaction ends; nil when there is none.
    static func lock(_ id: CallID, _ tx: borrowing Transaction) async throws -> Call? {
        let row = try await tx.queryOne("SELECT \(fragment: columns) FROM calls c WHERE c.id = \(id) FOR UPDATE")
        return try row.map(Call.init)
    }

    /// The same, but nil when somebody else has it locked.
    static func lockOrSkip(_ id: CallID, _ tx: borrowing Transaction) async throws -> Call? {
        let row = try await tx.queryOne(
            "SELECT \(fragment: columns) FROM calls c WHERE c.id = \(id) FOR UPDATE SKIP LOCKED")
        return try row.map(Call.init)
    }

    static func lock(sid: String, _ tx: borrowing Transaction) async throws -> Call? {
        let row = try await tx.queryOne(
            "SELECT \(fragment: columns) FROM calls c WHERE c.twilio_call_sid = \(sid) FOR UPDATE")
        return try row.map(Call.init)
    }

    static func find(_ id: CallID, in database: Database) async throws -> Call? {
        let row = try await database.queryOne("SELECT \(fragment: columns) FROM calls c WHERE c.id = \(id)")
        return try row.map(Call.init)
    }

    static func find(sid: String, in database: Database) async throws -> Call? {
        let row = try await database.queryOne(
            "SELECT \(fragment: columns) FROM calls c WHERE c.twilio_call_sid = \(sid)")
        return try row.map(Call.init)
    }

    /// Writes the locked call back under its next version and tells the world, in one pipeline with the commit.
    ///
    /// An ended call is published as ended and nothing else: the ended event carries the same snapshot.
    static func save(_ call: inout Call, after changes: [CallChange], _ tx: borrowing Transaction) {
        call.version += 1
        tx.enqueue(
            """
            UPDATE calls SET version = \(call.version), twilio_call_sid = \(call.sid), status = \(call.status),
                business_id = \(call.business), agent_id = \(call.agent), answered_at = \(call.answeredAt),
                ended_at = \(call.endedAt), duration_seconds = \(call.durationSeconds), updated_at = \(call.updatedAt),
                metadata = \(JSON.object(call.metadata)), priority = \(call.priority),
                failure_reason = \(call.failureReason), outcome = \(call.outcome), qa_score = \(call.qaScore),
                qa_scores = \(call.qaScores), sentiment = \(call.sentiment),
                escalation_status = \(call.escalationStatus), assigned_agent_id = \(call.assigned?.id),
                assigned_agent_name = \(call.assigned?.name), paused = \(call.paused),
                instructions = \(call.instructions), handed_off = \(call.handedOff), carrier_seen_at = now()
            WHERE id = \(call.id)
            """)
        tx.publish(changes.contains(.ended) ? CallEvent.ended(call.snapshot) : .updated(call.snapshot))
    }

    /// Remembers the carrier's id of a call that has none yet, without telling anyone.
    static func setSid(_ sid: String, of id: CallID, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.execute(
            "UPDATE calls SET twilio_call_sid = \(sid), carrier_seen_at = now() WHERE id = \(id) AND twilio_call_sid IS NULL"
        ) == 1
    }

    /// Live calls nobody has heard of since `before`, marked as asked about so that no other replica asks too.
    static func claimSilent(before: Instant, max: Int, in database: Database) async throws -> [(CallID, sid: String?)] {
        let rows = try await database.query(
            """
            UPDATE calls SET carrier_seen_at = now() WHERE id IN (
                SELECT id FROM calls
                WHERE carrier_seen_at < \(before) AND status IN ('initiated', 'ringing', 'in_progress', 'escalated')
                ORDER BY carrier_seen_at LIMIT \(max) FOR UPDATE SKIP LOCKED)
            RETURNING id, twilio_call_sid
            """)
        return try rows.map { (try $0["id"], sid: try $0["twilio_call_sid"]) }
    }

    /// Counts the agent's finished calls: part of its training checklist.
    static func countHeld(by agent: AgentID, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE ai_agents SET calls_held = calls_held + 1 WHERE id = \(agent)")
    }

    static func liveCount(_ workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> Int {
        let row = try await tx.queryOne(
            """
            SELECT count(*) AS live FROM calls
            WHERE workspace_id = \(workspace) AND status IN ('initiated', 'ringing', 'in_progress', 'escalated')
            """)
        return try row.map { try $0["live"] } ?? 0
    }
}

extension Call {
    init(_ row: Row) throws {
        let assignee: HumanAgentID? = try row["assigned_agent_id"]
        let assigneeName: String? = try row["assigned_agent_name"]
        let metadata: JSON = try row["metadata"]
        self.init(
            id: try row["id"], workspace: try row["workspace_id"], version: try row["version"],
            sid: try row["twilio_call_sid"], direction: try row["direction"], status: try row["status"],
            from: try row["from_number"], to: try row["to_number"], business: try row["business_id"],
            agent: try row["agent_id"], startedAt: try row["started_at"], answeredAt: try row["answered_at"],
            endedAt: try row["ended_at"], durationSeconds: try row["duration_seconds"],
            createdAt: try row["created_at"], updatedAt: try row["updated_at"], metadata: metadata.object ?? [:],
            priority: try row["priority"], failureReason: try row["failure_reason"], outcome: try row["outcome"],
            qaScore: try row["qa_score"], qaScores: try row["qa_scores"], sentiment: try row["sentiment"],
            escalationStatus: try row["escalation_status"],
            assigned: assignee.map { Person(id: $0, name: assigneeName ?? "") }, paused: try row["paused"],
            instructions: try row["instructions"], handedOff: try row["handed_off"])
    }
}
