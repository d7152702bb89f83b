import HTTP
import Postgres
import Program
import Shared

/// What auth itself holds of a person, in the same sections as the other programs'.
enum ReadOwnExport {
    static func sections(_ personal: Personal) -> [ExportSection] {
        let database = personal.database
        return [
            ExportSection("profile") { person, _ in .init([try await personal.profile(of: person.user)]) },
            ExportSection("settings") { person, _ in
                let settings = try await SettingsStore.find(person.user, database)
                return .init([SettingsDocument.root.document(settings.changes)])
            },
            ExportSection("sessions") { person, after in
                let last = after?.values.first?.string.flatMap { SessionID($0) } ?? SessionID(high: 0, low: 0)
                let rows = try await database.query(
                    """
                    SELECT id, address, user_agent, created_at, used_at, expires_at, ended_at, end_reason FROM sessions
                    WHERE user_id = \(person.user) AND id > \(last) ORDER BY id LIMIT \(ExportSection.pageSize)
                    """)
                let sessions = try rows.map(Session.init)
                return .init(
                    sessions,
                    next: sessions.count < ExportSection.pageSize
                        ? nil : sessions.last.map { Cursor([.string($0.id.text)]) })
            },
            ExportSection("workspaces") { person, _ in
                let rows = try await database.query(
                    """
                    SELECT w.id, w.name, m.role, m.created_at AS joined_at, w.created_at
                    FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
                    WHERE m.user_id = \(person.user) ORDER BY w.id
                    """)
                return .init(try rows.map(Membership.init))
            },
        ]
    }

    /// The workspaces whose data is theirs to take along.
    static func ownWorkspaces(of user: UserID, _ database: Database) async throws -> [WorkspaceID] {
        try await database.query(
            "SELECT workspace_id FROM memberships WHERE user_id = \(user) AND role = 'owner' ORDER BY workspace_id"
        ).map { try $0["workspace_id"] }
    }

    private struct Session: JSONWritable {
        let id: SessionID
        let texts: [(name: String, text: String?)]
        let times: [(name: String, at: Instant?)]

        init(_ row: Row) throws {
            id = try row["id"]
            texts = try ["address", "user_agent", "end_reason"].map { ($0, try row.decode($0, as: String?.self)) }
            times = try ["created_at", "used_at", "expires_at", "ended_at"].map {
                ($0, try row.decode($0, as: Instant?.self))
            }
        }

        func write(to json: inout JSONWriter) {
            json.object { json in
                json.field("id", id)
                for (name, text) in texts { json.field(name, text) }
                for (name, at) in times { json.field(name, at) }
            }
        }
    }

    private struct Membership: JSONWritable {
        let id: WorkspaceID
        let name: String
        let role: String
        let joinedAt: Instant
        let createdAt: Instant

        init(_ row: Row) throws {
            id = try row["id"]
            name = try row["name"]
            role = try row["role"]
            joinedAt = try row["joined_at"]
            createdAt = try row["created_at"]
        }

        func write(to json: inout JSONWriter) {
            json.object { json in
                json.field("id", id)
                json.field("name", name)
                json.field("role", role)
                json.field("joined_at", joinedAt)
                json.field("created_at", createdAt)
            }
        }
    }
}
