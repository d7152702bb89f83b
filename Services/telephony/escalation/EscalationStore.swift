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
    var wish: Wish
    var agent: HumanAgentID?
    var agentName: String?
    var summary: String?
    var context: JSONObject
    /// Humans who were called and did not come.
    var tried: [HumanAgentID]
    let requestedAt: Instant
    var acceptedAt: Instant?
    var completedAt: Instant?
    /// Since when its human is being called.
    var assignedAt: Instant?
    /// When the last human was called in vain.
    var missedAt: Instant?
}

/// What a human must have to be sent. Nothing is asked of anybody unless somebody asked for it.
struct Wish: Sendable, Equatable {
    var skill: String?
    var department: String?

    /// As the escalation's details show it.
    func write(to details: inout JSONObject) {
        if let skill { details["skill"] = .string(skill) }
        if let department { details["department"] = .string(department) }
    }
}

/// The SQL of escalations. The call's row is locked by whoever writes here, which orders everything about one call.
enum EscalationStore {
    static let columns: Query = """
        e.id, e.workspace_id, e.call_id, e.status, e.trigger_type, e.trigger_details, e.skill, e.assigned_agent_id,
        e.agent_name, e.conversation_summary, e.context_data, e.tried, e.requested_at, e.accepted_at, e.completed_at,
        e.department, e.assigned_at, e.missed_at
        """

    static func insert(
        call: Call, trigger: String, details: JSONObject, wish: Wish, summary: String, context: JSONObject,
        at now: Instant, _ tx: borrowing Transaction
    ) async throws -> Escalation {
        let row = try await tx.queryOne(
            """
            INSERT INTO escalations AS e (workspace_id, call_id, status, trigger_type, trigger_details, skill,
                                          department, conversation_summary, context_data, requested_at)
            VALUES (\(call.workspace), \(call.id), 'pending', \(trigger), \(JSON.object(details)), \(wish.skill),
                    \(wish.department), \(summary), \(JSON.object(context)), \(now))
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
                agent_name = \(escalation.agentName), skill = \(escalation.wish.skill),
                department = \(escalation.wish.department), assigned_at = \(escalation.assignedAt),
                missed_at = \(escalation.missedAt),
                conversation_summary = \(escalation.summary), context_data = \(JSON.object(escalation.context)),
                tried = \(escalation.tried), accepted_at = \(escalation.acceptedAt),
                completed_at = \(escalation.completedAt)
            WHERE id = \(escalation.id)
            """)
    }

    // MARK: Who waits

    /// Whether human `h` may be sent to escalation `e`. Skills and departments are names people type: case is no
    /// difference. Who did not come is not called again for the same caller before they have become free anew, or
    /// everybody has had some minutes.
    static let fits: Query = """
        h.workspace_id = e.workspace_id AND h.is_active AND h.is_available AND h.busy_call_id IS NULL
          AND (e.skill IS NULL OR EXISTS (SELECT FROM unnest(h.skills) s WHERE lower(s) = lower(e.skill)))
          AND (e.department IS NULL
               OR EXISTS (SELECT FROM unnest(h.departments) d WHERE lower(d) = lower(e.department)))
          AND (NOT h.id = ANY (e.tried) OR h.idle_since > e.missed_at OR e.missed_at < now() - interval '2 minutes')
        """

    /// The calls of a workspace that wait and for whom somebody is free, in the order they began to wait.
    static func waiting(in workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> [CallID] {
        let rows = try await tx.query(
            """
            SELECT e.call_id FROM escalations e
            WHERE e.workspace_id = \(workspace) AND e.status = 'pending' AND e.assigned_agent_id IS NULL
              AND EXISTS (SELECT FROM human_agents h WHERE \(fragment: fits))
            ORDER BY e.id LIMIT 20
            """)
        return try rows.map { try $0["call_id"] }
    }

    /// The same of every workspace.
    static func waiting(max: Int, in database: Database) async throws -> [CallID] {
        let rows = try await database.query(
            """
            SELECT e.call_id FROM escalations e
            WHERE e.status = 'pending' AND e.assigned_agent_id IS NULL
              AND EXISTS (SELECT FROM human_agents h WHERE \(fragment: fits))
            ORDER BY e.id LIMIT \(max)
            """)
        return try rows.map { try $0["call_id"] }
    }

    /// Escalations whose human is being called for longer than telephones ring, and no order to call them is under way.
    static func unanswered(since: Instant, max: Int, in database: Database) async throws -> [(id: Int64, call: CallID)]
    {
        let rows = try await database.query(
            """
            SELECT e.id, e.call_id FROM escalations e
            WHERE e.status = 'pending' AND e.assigned_agent_id IS NOT NULL
              AND coalesce(e.assigned_at, e.requested_at) < \(since)
              AND NOT EXISTS (
                  SELECT FROM carrier_orders o
                  WHERE o.escalation_id = e.id AND o.agent_id = e.assigned_agent_id AND o.kind = 'dial_agent'
                    AND (o.state IN ('pending', 'asked') OR o.asked_at > \(since)))
            ORDER BY e.id LIMIT \(max)
            """)
        return try rows.map { (try $0["id"], try $0["call_id"]) }
    }

    // MARK: Humans

    struct Reserved: Sendable, Equatable {
        let id: HumanAgentID
        let name: String
        let phone: String?
    }

    /// Takes the free human with what is wished for who has been idle longest, and whom nobody waits for longer. Two calls
    /// never get the same one: rows locked by another transaction are skipped, and the condition is checked on the row
    /// as it is.
    /// - Parameter known: the escalation, when there is a row already.
    static func reserve(
        in workspace: WorkspaceID, for call: CallID, wish: Wish, known: Escalation?, _ tx: borrowing Transaction
    ) async throws -> Reserved? {
        let row = try await tx.queryOne(
            """
            WITH asked AS (
                SELECT \(workspace)::uuid AS workspace_id, \(wish.skill)::text AS skill,
                       \(wish.department)::text AS department, \(known?.tried ?? [])::uuid[] AS tried,
                       \(known?.missedAt)::timestamptz AS missed_at)
            UPDATE human_agents SET busy_call_id = \(call), last_active_at = now(), updated_at = now() WHERE id = (
                SELECT h.id FROM human_agents h, asked e
                WHERE h.workspace_id = \(workspace) AND \(fragment: fits)
                  AND NOT EXISTS (
                      SELECT FROM escalations w
                      WHERE w.workspace_id = \(workspace) AND w.status = 'pending' AND w.assigned_agent_id IS NULL
                        AND w.id < \(known?.id ?? Int64.max) AND w.call_id <> \(call)
                        AND (w.skill IS NULL OR EXISTS (SELECT FROM unnest(h.skills) s WHERE lower(s) = lower(w.skill)))
                        AND (w.department IS NULL
                             OR EXISTS (SELECT FROM unnest(h.departments) d WHERE lower(d) = lower(w.department)))
                        AND (NOT h.id = ANY (w.tried) OR h.idle_since > w.missed_at
                             OR w.missed_at < now() - interval '2 minutes'))
                ORDER BY h.idle_since, h.id LIMIT 1 FOR UPDATE OF h SKIP LOCKED)
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
    static func release(_ call: CallID, handled: Bool, at now: Instant, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            UPDATE human_agents SET busy_call_id = NULL, idle_since = \(now), updated_at = now(), last_active_at = now(),
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
            wish: Wish(skill: try row["skill"], department: try row["department"]), agent: try row["assigned_agent_id"],
            agentName: try row["agent_name"],
            summary: try row["conversation_summary"], context: context.object ?? [:], tried: try row["tried"],
            requestedAt: try row["requested_at"], acceptedAt: try row["accepted_at"],
            completedAt: try row["completed_at"], assignedAt: try row["assigned_at"], missedAt: try row["missed_at"])
    }

    var snapshot: EscalationSnapshot {
        EscalationSnapshot(
            id: id, callID: call, status: status, triggerType: trigger, triggerDetails: details,
            assignedAgentID: agent, agentName: agentName, conversationSummary: summary, contextData: context,
            requestedAt: requestedAt, acceptedAt: acceptedAt, completedAt: completedAt)
    }
}
