import HTTP
import Postgres
import Program
import Shared

/// What a person may take along of billing: the subscriptions of their workspaces and what was used, by period.
enum ReadExport {
    static func sections(_ database: Database) -> [ExportSection] {
        [
            ExportSection("subscriptions") { person, _ in
                var found: [CurrentSubscription] = []
                for workspace in person.workspaces {
                    if let current = try await SubscriptionStore.current(workspace, database) { found.append(current) }
                }
                return .init(found)
            },
            ExportSection("usage") { person, _ in
                let rows = try await database.query(
                    """
                    SELECT workspace_id, period_start, calls, seconds FROM usage
                    WHERE workspace_id = ANY (\(person.workspaces)) ORDER BY workspace_id, period_start
                    """)
                return .init(items: try rows.map { try Used($0).jsonBytes })
            },
        ]
    }

    private struct Used: JSONWritable {
        let workspace: WorkspaceID
        let start: Instant
        let calls: Int64
        let seconds: Int64

        init(_ row: Row) throws {
            workspace = try row["workspace_id"]
            start = try row["period_start"]
            calls = try row["calls"]
            seconds = try row["seconds"]
        }

        func write(to json: inout JSONWriter) {
            json.object { json in
                json.field("workspace", workspace)
                json.field("period_start", start)
                json.field("calls", calls)
                json.field("seconds", seconds)
            }
        }
    }
}
