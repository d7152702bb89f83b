import HTTP
import Postgres
import Shared

/// This program's part of `GET /api/workspaces/workspaces/{id}/stats/`, which the gateway puts together: sums of the
/// rollup, whose key begins with the workspace.
enum WorkspaceFigures {
    static func route(_ database: Database) -> Route {
        .get(
            "/internal/workspaces/{id}/stats", "Calls and minutes of a workspace", tag: "workspaces", access: .internal,
            returns: .ok(.anyObject)
        ) { request in
            let id = try request.pathID("id", as: WorkspaceID.self, or: .workspaceNotFound)
            let row = try await database.queryOne(
                """
                SELECT coalesce(sum(total), 0)::bigint AS total, coalesce(sum(active), 0)::bigint AS active,
                       coalesce(sum(completed), 0)::bigint AS completed, coalesce(sum(failed), 0)::bigint AS failed,
                       coalesce(sum(escalated), 0)::bigint AS escalated,
                       coalesce(sum(duration_sum), 0)::bigint AS seconds
                FROM rollups WHERE workspace_id = \(id) AND grain = 'day'
                """)
            let counts = try ["total", "active", "completed", "failed", "escalated"].map { name in
                (name, try row?.decode(name, as: Int64.self) ?? 0)
            }
            let seconds: Int64 = try row.map { try $0["seconds"] } ?? 0
            return Response.json { json in
                json.object { json in
                    json.fieldObject("calls") { json in for (name, count) in counts { json.field(name, count) } }
                    // To the hundredth.
                    json.field("minutes", (Double(seconds) / 60 * 100).rounded() / 100)
                }
            }
        }
    }
}
