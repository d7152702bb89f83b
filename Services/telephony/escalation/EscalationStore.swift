import Messaging
import Postgres
import Shared

/// One hand-over of a call to a human.
struct Escalation: Sendable, Equatable {
    typealias Status = EscalationStatus

    let id: Int64
    let workspace: WorkspaceID
    let call: CallID
    var status: Status
    let trigger: String
    let details: JSONObject
    var skill: String?
    var agent: HumanAgentID?
    var agentName: String?
    var summary: String?
    var context: JSONObject
    var tried: [HumanAgentID]
    let requestedAt: Instant
    var acceptedAt: Instant?
    var completedAt: Instant?
}

/// The SQL of escalations. The call's row is locked by whoever writes here, which orders everything about one call.
enum EscalationStore {
    static let columns: Query = """
        e.id, e.workspace_id, e.call_id, e.status, e.trigger_type, e.trigger_details, e.skill, e.assigned_agent_id,
        e.agent_name, e.conversation_summary, e.context_data, e.tried, e.requested_at, e.accepted_at, e.completed_at
        """

    static func insert(
        call: Call, trigger: String, details: JSONObject, skill: String?, summary: String, context: JSONObject,
        at now: Instant, _ tx: borrowing Transaction
    ) async throws -> Escalation {
        let row = try await tx.queryOne(
            """
            INSERT INTO escalations AS e (workspace_id, call_id, status, trigger_type, trigger_details, skill,
                                          conversation_summary, context_data, requested_at)
            VALUES (\(call.workspace), \(call.id), 'pending', \(trigger), \(JSON.object(details)), \(skill),
                    \(summary), \(JSON.object(context)), \(now))
            RETURNING \(fragment: columns)
            """)
        guard let row else { throw NoRow() }
        return try Escalation(row)
    }

    /// An INSERT … RETURNING that returned nothing; cannot happen without a rule or trigger on the table.
    struct NoRow: Error {}

    static func open(of call: CallID, _ tx: borrowing Transaction) async throws -> Escalation? {
        let row = try await tx.queryOne(
            """
            SELECT \(fragment: columns) FROM escalations e
            WHERE e.call_id = \(call) AND e.status IN ('pending', 'in_progress')
            """)
        return try row.map(Escalation.init)
    }

    static func find(_ id: Int64, _ tx: borrowing Transaction) async throws -> Escalation? {
        let row = try await tx.queryOne("SELECT \(fragment: columns) FROM escalations e WHERE e.id = \(id)")
        return try row.map(Escalation.init)
    }

    static func find(_ id: Int64, in database: Database) async throws -> Escalation? {
        let row = try await database.queryOne("SELECT \(fragment: columns) FROM escalations e WHERE e.id = \(id)")
        return try row.map(Escalation.init)
    }

    static func latest(of call: CallID, in database: Database) async throws -> Escalation? {
        let row = try await database.queryOne(
            "SELECT \(fragment: columns) FROM escalations e WHERE e.call_id = \(call) ORDER BY e.id DESC LIMIT 1")
        return try row.map(Escalation.init)
    }

    /// Written at once, not with the commit: who looks for waiting escalations in the same transaction must see it.
    static func save(_ escalation: Escalation, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            UPDATE escalations SET status = \(escalation.status), assigned_agent_id = \(escalation.agent),
                agent_name = \(escalation.agentName), skill = \(escalation.skill),
                conversation_summary = \(escalation.summary), context_data = \(JSON.object(escalation.context)),
                tried = \(escalation.tried), accepted_at = \(escalation.acceptedAt),
                completed_at = \(escalation.completedAt)
            WHERE id = \(escalation.id)
            """)
    }

    /// The oldest escalation of the workspace nobody has been found for, whose call is live and free to be locked.
    static func claimWaiting(in workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> [CallID] {
        let rows = try await tx.query(
            """
            SELECT c.id FROM escalations e JOIN calls c ON c.id = e.call_id
            WHERE e.workspace_id = \(workspace) AND e.status = 'pending' AND e.assigned_agent_id IS NULL
            ORDER BY e.id LIMIT 20 FOR UPDATE OF c SKIP LOCKED
            """)
        return try rows.map { try $0["id"] }
    }

    // MARK: Humans

    struct Reserved: Sendable, Equatable {
        let id: HumanAgentID
        let name: String
        let phone: String?
    }

    /// Takes the free human with the skill who has been idle longest. Two calls never get the same one: rows locked by
    /// another transaction are skipped, and the condition is checked on the row as it is.
    static func reserve(
        in workspace: WorkspaceID, for call: CallID, skill: String?, except tried: [HumanAgentID],
        _ tx: borrowing Transaction
    ) async throws -> Reserved? {
        let row = try await tx.queryOne(
            """
            UPDATE human_agents SET busy_call_id = \(call), last_active_at = now(), updated_at = now() WHERE id = (
                SELECT id FROM human_agents
                WHERE workspace_id = \(workspace) AND is_active AND is_available AND busy_call_id IS NULL
                  AND (\(skill)::text IS NULL OR \(skill) = ANY (skills)) AND NOT id = ANY (\(tried))
                ORDER BY idle_since, id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, name, phone_number
            """)
        return try row.map(reserved)
    }

    /// Takes this very human, if they are free. `onDuty` false: also one who is marked as away.
    static func reserve(
        _ agent: HumanAgentID, in workspace: WorkspaceID, for call: CallID, onDuty: Bool, _ tx: borrowing Transaction
    ) async throws -> Reserved? {
        let row = try await tx.queryOne(
            """
            UPDATE human_agents SET busy_call_id = \(call), last_active_at = now(), updated_at = now()
            WHERE id = \(agent) AND workspace_id = \(workspace) AND is_active AND (is_available OR NOT \(onDuty))
              AND (busy_call_id IS NULL OR busy_call_id = \(call))
            RETURNING id, name, phone_number
            """)
        return try row.map(reserved)
    }

    private static func reserved(_ row: Row) throws -> Reserved {
        Reserved(id: try row["id"], name: try row["name"], phone: try row["phone_number"])
    }

    /// Frees the human of a call, at once. `handled`: they spoke with the caller, so it counts.
    static func release(_ call: CallID, handled: Bool, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            UPDATE human_agents SET busy_call_id = NULL, idle_since = now(), updated_at = now(), last_active_at = now(),
                total_calls_handled = total_calls_handled + \(handled ? 1 : 0)
            WHERE busy_call_id = \(call)
            """)
    }
}

extension Escalation {
    init(_ row: Row) throws {
        let (details, context): (JSON, JSON) = (try row["trigger_details"], try row["context_data"])
        self.init(
            id: try row["id"], workspace: try row["workspace_id"], call: try row["call_id"],
            status: try row["status"], trigger: try row["trigger_type"], details: details.object ?? [:],
            skill: try row["skill"], agent: try row["assigned_agent_id"], agentName: try row["agent_name"],
            summary: try row["conversation_summary"], context: context.object ?? [:], tried: try row["tried"],
            requestedAt: try row["requested_at"], acceptedAt: try row["accepted_at"],
            completedAt: try row["completed_at"])
    }

    var snapshot: EscalationSnapshot {
        EscalationSnapshot(
            id: id, callID: call, status: status, triggerType: trigger, triggerDetails: details,
            assignedAgentID: agent, agentName: agentName, conversationSummary: summary, contextData: context,
            requestedAt: requestedAt, acceptedAt: acceptedAt, completedAt: completedAt)
    }
}
