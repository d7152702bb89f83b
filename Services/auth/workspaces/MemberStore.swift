import HTTP
import Messaging
import Postgres
import Shared

/// The SQL of a workspace's members.
enum MemberStore {
    private static let columns: Query =
        "\(fragment: AccountStore.columns), m.role AS member_role, m.created_at AS joined_at"

    static func list(
        _ workspace: WorkspaceID, _ filter: MemberFilter, _ page: Page, _ database: Database
    ) async throws -> (members: [Member], count: Int) {
        var condition: Query = "m.workspace_id = \(workspace)"
        if let role = filter.role { condition = "\(fragment: condition) AND m.role = \(role.rawValue)" }
        if let words = filter.search, !words.isEmpty {
            condition = """
                \(fragment: condition) AND (strpos(u.email_folded, \(words)) > 0 OR strpos(u.username_folded, \(words)) > 0
                    OR strpos(u.first_name_folded || ' ' || u.last_name_folded, \(words)) > 0)
                """
        }
        let answers = try await database.pipeline([
            """
            SELECT \(fragment: columns) FROM memberships m JOIN users u ON u.id = m.user_id
            WHERE \(fragment: condition) ORDER BY \(fragment: order(filter.order))
            LIMIT \(page.size) OFFSET \(page.offset)
            """,
            """
            SELECT count(*) AS n FROM memberships m JOIN users u ON u.id = m.user_id WHERE \(fragment: condition)
            """,
        ])
        return (try answers[0].map(member), try answers[1].first.map { try $0["n"] } ?? 0)
    }

    private static func order(_ order: Ordering) -> Query {
        let column: Query =
            switch order.field {
            case "email": "u.email_folded"
            case "username": "u.username_folded"
            case "first_name": "u.first_name_folded"
            case "last_name": "u.last_name_folded"
            case "role": "array_position(ARRAY['owner', 'manager', 'agent', 'viewer'], m.role)"
            default: "m.created_at"
            }
        return order.isDescending ? "\(fragment: column) DESC, u.id DESC" : "\(fragment: column), u.id"
    }

    /// Those of the people who belong to the workspace.
    static func members(
        _ users: [UserID], of workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> [UserID: Member] {
        try byID(
            try await tx.query(
                """
                SELECT \(fragment: columns) FROM memberships m JOIN users u ON u.id = m.user_id
                WHERE m.workspace_id = \(workspace) AND m.user_id = ANY (\(users))
                """))
    }

    /// Everybody who belongs to the workspace.
    static func members(of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> [Member] {
        try await tx.query(
            """
            SELECT \(fragment: columns) FROM memberships m JOIN users u ON u.id = m.user_id
            WHERE m.workspace_id = \(workspace)
            """
        ).map(member)
    }

    /// Accounts by id, whether they belong anywhere or not.
    static func accounts(_ users: [UserID], _ tx: borrowing Transaction) async throws -> [UserID: Account] {
        let rows = try await tx.query(
            "SELECT \(fragment: AccountStore.columns) FROM users u WHERE u.id = ANY (\(users)) FOR SHARE")
        var found: [UserID: Account] = [:]
        for row in rows {
            let account = try AccountStore.account(row)
            found[account.id] = account
        }
        return found
    }

    static func owners(of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> [UserID] {
        try await tx.query(
            """
            SELECT user_id FROM memberships WHERE workspace_id = \(workspace) AND role = 'owner'
            ORDER BY created_at, user_id
            """
        ).map { try $0["user_id"] }
    }

    static func add(
        _ user: UserID, as role: WorkspaceRole, to workspace: WorkspaceID, _ tx: borrowing Transaction
    ) {
        tx.enqueue(
            """
            INSERT INTO memberships (workspace_id, user_id, role) VALUES (\(workspace), \(user), \(role.rawValue))
            ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role
            """)
    }

    static func remove(_ user: UserID, from workspace: WorkspaceID, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM memberships WHERE workspace_id = \(workspace) AND user_id = \(user)")
    }

    private static func byID(_ rows: Rows) throws -> [UserID: Member] {
        var found: [UserID: Member] = [:]
        for row in rows {
            let member = try member(row)
            found[member.account.id] = member
        }
        return found
    }

    private static func member(_ row: Row) throws -> Member {
        Member(account: try AccountStore.account(row), role: try row["member_role"], joinedAt: try row["joined_at"])
    }
}
