import Messaging
import Postgres
import Shared

/// The SQL of accounts that go.
enum DeletionStore {
    /// When the account is to be deleted; no row when it is not.
    static func planned(_ user: UserID) -> Query { "SELECT deletes_at FROM deletions WHERE user_id = \(user)" }

    static func lock(_ user: UserID, _ tx: borrowing Transaction) async throws -> Account? {
        try await tx.queryOne("SELECT \(fragment: AccountStore.columns) FROM users u WHERE u.id = \(user) FOR UPDATE")
            .map(AccountStore.account)
    }

    /// A second request keeps the day of the first.
    static func plan(_ user: UserID, at deletesAt: Instant, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO deletions (user_id, deletes_at) VALUES (\(user), \(deletesAt))
            ON CONFLICT (user_id) DO UPDATE SET deletes_at = least(deletions.deletes_at, excluded.deletes_at)
            """)
    }

    static func cancel(_ user: UserID, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("DELETE FROM deletions WHERE user_id = \(user)")
    }

    /// Workspaces that are theirs and have other people in them.
    static func sharedWorkspaces(
        of user: UserID, _ tx: borrowing Transaction
    ) async throws -> [(id: WorkspaceID, name: String)] {
        // Nobody comes in while this transaction decides.
        tx.enqueue(
            """
            SELECT id FROM workspaces WHERE id IN (
                SELECT workspace_id FROM memberships WHERE user_id = \(user) AND role = 'owner') FOR UPDATE
            """)
        return try await tx.query(
            """
            SELECT w.id, w.name FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
            WHERE m.user_id = \(user) AND m.role = 'owner' AND EXISTS (
                SELECT FROM memberships o WHERE o.workspace_id = m.workspace_id AND o.user_id <> \(user))
            ORDER BY w.name, w.id
            """
        ).map { (try $0["id"], try $0["name"]) }
    }

    static func isLastAdmin(_ user: UserID, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.queryOne(
            "SELECT 1 AS other FROM users WHERE role = 'admin' AND status = 'active' AND id <> \(user) LIMIT 1") == nil
    }

    /// The person with everything that hangs on them, and their workspaces, whose ids are returned.
    static func remove(
        _ user: UserID, _ email: EmailAddress, _ tx: borrowing Transaction
    ) async throws -> [WorkspaceID] {
        // What hangs on their address and not on their id.
        tx.enqueue("SELECT audit_forget(\(user), \(email.text))")
        tx.enqueue("DELETE FROM invitations WHERE email_folded = \(email.folded)")
        let rows = try await tx.query(
            """
            DELETE FROM workspaces WHERE id IN (
                SELECT workspace_id FROM memberships WHERE user_id = \(user) AND role = 'owner') RETURNING id
            """)
        _ = try await tx.execute("DELETE FROM users WHERE id = \(user)")
        return try rows.map { try $0["id"] }
    }

    /// Somebody whose day has come; another replica takes another one.
    static func due(_ tx: borrowing Transaction) async throws -> UserID? {
        try await tx.queryOne(
            """
            SELECT user_id FROM deletions WHERE deletes_at <= now() ORDER BY deletes_at LIMIT 1 FOR UPDATE SKIP LOCKED
            """
        ).map { try $0["user_id"] }
    }

    static func postpone(_ user: UserID, _ database: Database) async throws {
        _ = try await database.execute(
            "UPDATE deletions SET deletes_at = now() + interval '1 day' WHERE user_id = \(user)")
    }

    /// Revocations that no token can meet any more leave the table and the compacted topic.
    static func forgetRevocations(limit: Int, _ tx: borrowing Transaction) async throws -> Int {
        let rows = try await tx.query(
            """
            DELETE FROM revocations WHERE (kind, id) IN (
                SELECT kind, id FROM revocations WHERE until < now() - interval '1 minute' LIMIT \(limit)
                FOR UPDATE SKIP LOCKED)
            RETURNING kind, id::text AS id
            """)
        for row in rows {
            let (kind, id): (String, String) = (try row["kind"], try row["id"])
            tx.publishTombstone(.authRevocations, key: "\(kind):\(id)")
        }
        return rows.count
    }
}
