import HTTP
import Postgres
import Shared

extension Telephony {
    /// `GET /internal/businesses/{business_id}/use` — what needs a business configuration. Knowledge asks before it deletes
    /// one (docs/decisions/0020).
    func readBusinessUse(_ request: Request) async throws -> Response {
        let business = try request.pathID("business_id", as: BusinessID.self, or: .configNotFound)
        var form = request.queryForm
        let workspace = form.id("workspace_id", as: WorkspaceID.self)
        try form.finish()
        let use = try await ReadBusinessUse.count(business, in: workspace, database)
        return .json { json in
            json.object { json in
                json.field("ai_agents", use.agents)
                json.field("phone_numbers", use.numbers)
                json.field("live_calls", use.calls)
            }
        }
    }
}

enum ReadBusinessUse {
    static func count(
        _ business: BusinessID, in workspace: WorkspaceID, _ database: Database
    ) async throws -> (agents: Int, numbers: Int, calls: Int) {
        let row = try await database.queryOne(
            """
            SELECT (SELECT count(*) FROM ai_agents WHERE business_id = \(business) AND workspace_id = \(workspace)) AS agents,
                (SELECT count(*) FROM phone_numbers n JOIN ai_agents a ON a.id = n.agent_id
                    WHERE a.business_id = \(business) AND a.workspace_id = \(workspace)) AS numbers,
                (SELECT count(*) FROM calls WHERE business_id = \(business) AND workspace_id = \(workspace)
                    AND status IN ('initiated', 'ringing', 'in_progress', 'escalated')) AS calls
            """)
        guard let row else { return (0, 0, 0) }
        return (try row["agents"], try row["numbers"], try row["calls"])
    }

    static func liveCalls(
        of business: BusinessID, in workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> [CallID] {
        try await tx.query(
            """
            SELECT id FROM calls WHERE business_id = \(business) AND workspace_id = \(workspace)
                AND status IN ('initiated', 'ringing', 'in_progress', 'escalated')
            """
        ).map { try $0["id"] }
    }
}
