import Postgres
import Shared

/// What placing a call looks at.
enum PlaceCallStore {
    struct Limit: Sendable {
        let name: String
        let value: Int64
        let max: Int64
    }

    struct Facts: Sendable {
        let isErased: Bool
        let mustNotCall: Bool
        let isBlocked: Bool
        let limits: [Limit]
        let live: Int
    }

    /// Takes the workspace's turn in placing calls, so that caps are counted one order after the other.
    static func lockWorkspace(
        _ workspace: WorkspaceID, callee: PhoneNumber, _ tx: borrowing Transaction
    ) async throws -> Facts {
        let row = try await tx.queryOne(
            """
            SELECT pg_advisory_xact_lock(hashtextextended(\(workspace.text), 0))::text AS locked,
                   EXISTS (SELECT 1 FROM erasures WHERE kind = 'workspace' AND id = \(workspace)) AS erased,
                   EXISTS (SELECT 1 FROM do_not_call
                           WHERE workspace_id = \(workspace) AND phone_number = \(callee)) AS refused,
                   \(fragment: BlockedNumberStore.covers(callee, in: workspace)) AS blocked
            """)
        let limits = try await tx.query(
            """
            SELECT "limit", value, max FROM workspace_limits
            WHERE workspace_id = \(workspace) AND "limit" IN ('calls', 'minutes') ORDER BY "limit"
            """)
        return Facts(
            isErased: try row.map { try $0["erased"] } ?? false,
            mustNotCall: try row.map { try $0["refused"] } ?? false,
            isBlocked: try row.map { try $0["blocked"] } ?? false,
            limits: try limits.map {
                Limit(name: try $0["limit"], value: try $0["value"], max: try $0["max"])
            }, live: try await CallStore.liveCount(workspace, tx))
    }

    struct Agent: Sendable {
        let id: AgentID
        let business: BusinessID?
        let timezone: String?
        let isPaused: Bool
    }

    private static let columns: Query = "a.id, a.business_id, a.timezone, a.status = 'paused' AS paused"

    static func agent(_ id: AgentID, in workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> Agent? {
        let row = try await tx.queryOne(
            "SELECT \(fragment: columns) FROM ai_agents a WHERE a.id = \(id) AND a.workspace_id = \(workspace)")
        return try row.map(agent)
    }

    /// The workspace's oldest agent that may work; nil when there is none and the built-in one speaks.
    static func defaultAgent(of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> Agent? {
        let row = try await tx.queryOne(
            """
            SELECT \(fragment: columns) FROM ai_agents a WHERE a.workspace_id = \(workspace) AND a.status <> 'paused'
            ORDER BY a.created_at, a.id LIMIT 1
            """)
        return try row.map(agent)
    }

    private static func agent(_ row: Row) throws -> Agent {
        Agent(
            id: try row["id"], business: try row["business_id"], timezone: try row["timezone"],
            isPaused: try row["paused"])
    }

    /// The first of the zones in which the agent does not work now, with its local time; nil when it works in all.
    ///
    /// Hours may run over midnight (22:00–06:00); the day that counts is the one they began on.
    static func closedZone(for agent: AgentID, in zones: [String], _ tx: borrowing Transaction) async throws -> String?
    {
        let row = try await tx.queryOne(
            """
            SELECT to_char(l.at, 'Dy HH24:MI') || ' ' || z.name AS place
            FROM ai_agents a, unnest(\(zones)) AS z(name),
                 LATERAL (SELECT now() AT TIME ZONE z.name AS at) AS l,
                 LATERAL (SELECT CASE WHEN a.call_from > a.call_to AND l.at::time < a.call_to
                                      THEN l.at - interval '1 day' ELSE l.at END AS day) AS d
            WHERE a.id = \(agent) AND (
                (cardinality(a.workdays) > 0
                 AND NOT trim(lower(to_char(d.day, 'FMDay'))) = ANY (a.workdays))
                OR (a.call_from IS NOT NULL AND a.call_to IS NOT NULL AND a.call_from <> a.call_to AND NOT
                    CASE WHEN a.call_from < a.call_to THEN l.at::time >= a.call_from AND l.at::time < a.call_to
                         ELSE l.at::time >= a.call_from OR l.at::time < a.call_to END))
            LIMIT 1
            """)
        return try row.map { try $0["place"] }
    }

    static func isForeign(_ number: PhoneNumber, to workspace: WorkspaceID, _ tx: borrowing Transaction) async throws
        -> Bool
    {
        try await tx.queryOne(
            "SELECT 1 AS other FROM phone_numbers WHERE phone_number = \(number) AND workspace_id <> \(workspace)")
            != nil
    }

    /// A configuration we have not heard of yet may be new; only one known to be another's is refused.
    static func isForeign(_ id: BusinessID, to workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> Bool
    {
        try await tx.queryOne(
            "SELECT 1 AS other FROM business_configs WHERE id = \(id) AND workspace_id <> \(workspace)") != nil
    }

    /// The agent's number first, any other of the workspace else.
    static func ownNumber(
        of workspace: WorkspaceID, agent: AgentID?, _ tx: borrowing Transaction
    ) async throws -> PhoneNumber? {
        let row = try await tx.queryOne(
            """
            SELECT phone_number FROM phone_numbers WHERE workspace_id = \(workspace) AND is_active
            ORDER BY (agent_id = \(agent)) IS TRUE DESC, created_at, id LIMIT 1
            """)
        return try row.map { try $0["phone_number"] }
    }

    /// `config_data.escalation` of the call's business configuration.
    static func escalationConfig(of call: Call, _ tx: borrowing Transaction) async throws -> JSON? {
        guard let business = call.business else { return nil }
        let row = try await tx.queryOne(
            """
            SELECT config_data -> 'escalation' AS escalation FROM business_configs
            WHERE id = \(business) AND workspace_id = \(call.workspace) AND is_active
            """)
        return try row?.decode("escalation", as: JSON?.self)
    }
}
