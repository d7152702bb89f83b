import Messaging
import Postgres
import Shared

/// The SQL of API keys.
enum APIKeyStore {
    private static let columns: Query =
        "k.id, k.user_id, k.name, k.prefix, k.scopes, k.expires_at, k.last_used_at, k.created_at"

    /// False when the person has `max` already.
    static func insert(
        _ key: APIKey, _ digest: [UInt8], max: Int, _ tx: borrowing Transaction
    ) async throws -> Bool {
        // One at a time per person, so that the count holds.
        _ = try await tx.query("SELECT id FROM users WHERE id = \(key.user) FOR UPDATE")
        return try await tx.execute(
            """
            INSERT INTO api_keys (id, user_id, name, digest, prefix, scopes, expires_at, created_at)
            SELECT \(key.id), \(key.user), \(key.name), \(digest), \(key.prefix), \(key.scopes), \(key.expiresAt),
                \(key.createdAt)
            WHERE (SELECT count(*) FROM api_keys WHERE user_id = \(key.user)) < \(max)
            """) == 1
    }

    static func all(of user: UserID, _ database: Database) async throws -> [APIKey] {
        try await database.query(
            "SELECT \(fragment: columns) FROM api_keys k WHERE k.user_id = \(user) ORDER BY k.created_at DESC"
        ).map(key)
    }

    /// A key that counts, and whose it is; noted as used, at most once a minute.
    static func use(_ digest: [UInt8], _ tx: borrowing Transaction) async throws -> (APIKey, Account)? {
        let row = try await tx.queryOne(
            """
            SELECT \(fragment: AccountStore.columns), k.id AS key_id, k.user_id, k.name, k.prefix, k.scopes, k.expires_at,
                k.last_used_at, k.created_at AS key_created_at
            FROM api_keys k JOIN users u ON u.id = k.user_id
            WHERE k.digest = \(digest) AND (k.expires_at IS NULL OR k.expires_at > now()) FOR SHARE OF u
            """)
        guard let row else { return nil }
        let key = APIKey(
            id: try row["key_id"], user: try row["user_id"], name: try row["name"], prefix: try row["prefix"],
            scopes: try row["scopes"], expiresAt: try row["expires_at"], lastUsedAt: try row["last_used_at"],
            createdAt: try row["key_created_at"])
        tx.enqueue(
            """
            UPDATE api_keys SET last_used_at = now()
            WHERE id = \(key.id) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
            """)
        return (key, try AccountStore.account(row))
    }

    /// The key that is no more; nil when the person has none with this id.
    static func remove(_ id: APIKeyID, of user: UserID, _ tx: borrowing Transaction) async throws -> APIKey? {
        try await tx.queryOne(
            "DELETE FROM api_keys k WHERE k.id = \(id) AND k.user_id = \(user) RETURNING \(fragment: columns)"
        ).map(key)
    }

    static func revoke(_ id: APIKeyID, at: Instant, until: Instant, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO revocations (kind, id, at, until) VALUES ('key', \(id), \(at), \(until))
            ON CONFLICT (kind, id) DO UPDATE SET at = excluded.at, until = excluded.until
            """)
    }

    private static func key(_ row: Row) throws -> APIKey {
        APIKey(
            id: try row["id"], user: try row["user_id"], name: try row["name"], prefix: try row["prefix"],
            scopes: try row["scopes"], expiresAt: try row["expires_at"], lastUsedAt: try row["last_used_at"],
            createdAt: try row["created_at"])
    }
}
