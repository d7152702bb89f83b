import Postgres
import Shared

/// The SQL of signing keys, newest first.
enum KeyStore {
    static func all(_ database: Database) async throws -> [(kid: String, sealed: [UInt8], createdAt: Instant)] {
        try await database.query("SELECT kid, sealed, created_at FROM signing_keys ORDER BY created_at DESC").map {
            (try $0["kid"], try $0["sealed"], try $0["created_at"])
        }
    }

    /// Adds a key unless another replica has just added one.
    static func insert(_ kid: String, _ sealed: [UInt8], after newest: Instant?, _ database: Database) async throws {
        try await database.transaction { tx in
            _ = try await tx.query("LOCK TABLE signing_keys IN EXCLUSIVE MODE")
            _ = try await tx.execute(
                """
                INSERT INTO signing_keys (kid, sealed) SELECT \(kid), \(sealed)
                WHERE NOT EXISTS (SELECT FROM signing_keys
                    WHERE \(newest)::timestamptz IS NULL OR created_at > \(newest)::timestamptz)
                """)
        }
    }

    static func prune(createdBefore: Instant, _ database: Database) async throws {
        _ = try await database.execute("DELETE FROM signing_keys WHERE created_at < \(createdBefore)")
    }
}
