import HTTP
import Postgres
import Shared

extension Telephony {
    /// This program's part of `GET /api/workspaces/workspaces/{id}/stats/`, which the gateway puts together.
    var workspaceFigures: Route {
        .get(
            "/internal/workspaces/{id}/stats", "Agents, numbers and humans of a workspace", tag: "workspaces",
            access: .internal, returns: .ok(.anyObject)
        ) { request in
            let id = try request.pathID("id", as: WorkspaceID.self, or: .workspaceNotFound)
            // Each from an index that begins with the workspace.
            let row = try await database.queryOne(
                """
                SELECT a.total AS agents, a.active AS agents_active, h.total AS humans, h.active AS humans_active,
                       h.available AS humans_available,
                       (SELECT count(*) FROM phone_numbers p WHERE p.workspace_id = \(id)) AS numbers
                FROM (SELECT count(*) AS total, count(*) FILTER (WHERE status = 'active') AS active
                      FROM ai_agents WHERE workspace_id = \(id)) AS a,
                     (SELECT count(*) AS total, count(*) FILTER (WHERE is_active) AS active,
                             count(*) FILTER (WHERE is_active AND is_available AND busy_call_id IS NULL) AS available
                      FROM human_agents WHERE workspace_id = \(id)) AS h
                """)
            func count(_ column: String) throws -> Int { try row?.decode(column, as: Int.self) ?? 0 }
            let agents = (try count("agents"), try count("agents_active"))
            let humans = (try count("humans"), try count("humans_active"), try count("humans_available"))
            let numbers = try count("numbers")
            return Response.json { json in
                json.object { json in
                    json.fieldObject("ai_agents") { json in
                        json.field("total", agents.0)
                        json.field("active", agents.1)
                    }
                    json.field("phone_numbers", numbers)
                    json.fieldObject("human_agents") { json in
                        json.field("total", humans.0)
                        json.field("active", humans.1)
                        json.field("available", humans.2)
                    }
                }
            }
        }
    }
}
