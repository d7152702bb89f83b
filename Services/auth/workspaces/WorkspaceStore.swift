import HTTP
import Messaging
import Postgres
import Shared

/// The SQL of workspaces and who belongs to them. Whoever changes one, or its members, holds its row's lock, so that its
/// last owner cannot leave twice and its events are in order.
enum WorkspaceStore {
    /// A person's roles, as they are now.
    static func roles(of user: UserID, _ database: Database) async throws -> [WorkspaceID: WorkspaceRole] {
        let rows = try await database.query("SELECT workspace_id, role FROM memberships WHERE user_id = \(user)")
        var found: [WorkspaceID: WorkspaceRole] = [:]
        for row in rows { found[try row["workspace_id"]] = try row["role"] }
        return found
    }

    // MARK: The list

    private static func columns(_ asker: UserID) -> Query {
        """
        w.id, w.name, w.version, w.created_at, w.updated_at,
        (SELECT m.user_id FROM memberships m WHERE m.workspace_id = w.id AND m.role = 'owner'
         ORDER BY m.created_at, m.user_id LIMIT 1) AS owner,
        (SELECT count(*) FROM memberships m WHERE m.workspace_id = w.id) AS members,
        (SELECT m.role FROM memberships m WHERE m.workspace_id = w.id AND m.user_id = \(asker)) AS role
        """
    }

    private static let exactMax = 100_000

    static func list(
        _ filter: WorkspaceFilter, _ page: Page, asker: UserID, _ database: Database
    ) async throws -> (workspaces: [Workspace], count: Int) {
        let condition = conditions(filter)
        let order = order(filter.order)
        let answers = try await database.pipeline([
            """
            SELECT \(fragment: columns(asker)) FROM (
                SELECT w.id FROM workspaces w WHERE \(fragment: condition)
                ORDER BY \(fragment: order) LIMIT \(page.size) OFFSET \(page.offset)) AS p
            JOIN workspaces w ON w.id = p.id ORDER BY \(fragment: order)
            """,
            """
            SELECT count(*) AS n FROM (SELECT 1 FROM workspaces w WHERE \(fragment: condition)
                                       LIMIT \(exactMax)) AS counted
            """,
        ])
        return (try answers[0].map(workspace), try answers[1].first.map { try $0["n"] } ?? 0)
    }

    private static func conditions(_ filter: WorkspaceFilter) -> Query {
        var condition: Query = filter.tenancy.ids.map { "w.id = ANY (\($0))" } ?? "TRUE"
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let words = filter.search {
            add("to_tsvector('simple', w.name) @@ \(UserSearch.query(words))::tsquery")
        }
        if let name = filter.name { add("lower(w.name) COLLATE \"C\" = lower(\(name))") }
        if let user = filter.user {
            add("w.id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = \(user))")
        }
        if let from = filter.createdFrom { add("w.created_at >= \(from)") }
        if let until = filter.createdUntil { add("w.created_at < \(until)") }
        if let from = filter.updatedFrom { add("w.updated_at >= \(from)") }
        if let until = filter.updatedUntil { add("w.updated_at < \(until)") }
        return condition
    }

    private static func order(_ order: Ordering) -> Query {
        let column: Query =
            switch order.field {
            case "name", "workspace_name": "lower(w.name) COLLATE \"C\""
            case "updated_at": "w.updated_at"
            default: "w.created_at"
            }
        return order.isDescending ? "\(fragment: column) DESC, w.id DESC" : "\(fragment: column), w.id"
    }

    static func find(_ id: WorkspaceID, asker: UserID, _ database: Database) async throws -> Workspace? {
        try await database.queryOne(
            "SELECT \(fragment: columns(asker)) FROM workspaces w WHERE w.id = \(id)"
        ).map(workspace)
    }

    // MARK: Changes

    static func insert(_ id: WorkspaceID, _ name: String, owner: UserID, _ tx: borrowing Transaction) {
        tx.enqueue("INSERT INTO workspaces (id, name) VALUES (\(id), \(name))")
        tx.enqueue("INSERT INTO memberships (workspace_id, user_id, role) VALUES (\(id), \(owner), 'owner')")
    }

    /// The workspace, locked until the transaction ends.
    static func lock(_ id: WorkspaceID, asker: UserID, _ tx: borrowing Transaction) async throws -> Workspace? {
        try await tx.queryOne(
            "SELECT \(fragment: columns(asker)) FROM workspaces w WHERE w.id = \(id) FOR UPDATE OF w"
        ).map(workspace)
    }

    /// Writes a locked workspace back under its next version.
    static func save(_ workspace: inout Workspace, _ tx: borrowing Transaction) {
        workspace.version += 1
        workspace.updatedAt = .now()
        tx.enqueue(
            """
            UPDATE workspaces SET name = \(workspace.name), version = \(workspace.version),
                updated_at = \(workspace.updatedAt)
            WHERE id = \(workspace.id)
            """)
    }

    static func delete(_ id: WorkspaceID, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM workspaces WHERE id = \(id)")
    }

    private static func workspace(_ row: Row) throws -> Workspace {
        let owner: UserID? = try row["owner"]
        return Workspace(
            id: try row["id"], name: try row["name"], owner: owner ?? UserID(high: 0, low: 0),
            members: try row["members"], role: try row["role"], version: try row["version"],
            createdAt: try row["created_at"], updatedAt: try row["updated_at"])
    }

    // MARK: Figures

    /// `GET /internal/workspaces/{id}/stats`: members by role, open invitations; nil when there is no such workspace.
    static func figures(_ id: WorkspaceID, asker: UserID?, _ database: Database) async throws -> Row? {
        try await database.queryOne(
            """
            SELECT w.name, count(m.user_id) AS total, count(*) FILTER (WHERE m.role = 'owner') AS owner,
                   count(*) FILTER (WHERE m.role = 'manager') AS manager,
                   count(*) FILTER (WHERE m.role = 'agent') AS agent,
                   count(*) FILTER (WHERE m.role = 'viewer') AS viewer,
                   coalesce(bool_or(m.user_id = \(asker)), false) AS belongs,
                   (SELECT count(*) FROM invitations i
                    WHERE i.workspace_id = w.id AND i.digest IS NOT NULL AND i.expires_at > now()) AS invited
            FROM workspaces w LEFT JOIN memberships m ON m.workspace_id = w.id
            WHERE w.id = \(id) GROUP BY w.id
            """)
    }
}
