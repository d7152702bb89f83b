import Postgres
import Shared

/// The SQL of pictures.
enum AvatarStore {
    /// Puts these in the place of what there was; nil when the person is gone.
    static func replace(
        by made: [Avatar], shown: String?, of user: UserID, _ tx: borrowing Transaction
    ) async throws -> Account? {
        // The person's row first: two uploads at once take turns.
        let row = try await tx.queryOne(
            """
            UPDATE users u SET avatar = \(shown), version = version + 1, updated_at = now()
            WHERE id = \(user) RETURNING \(fragment: AccountStore.columns)
            """)
        guard let row else { return nil }
        _ = try await tx.execute("DELETE FROM avatars WHERE user_id = \(user)")
        for one in made {
            _ = try await tx.execute(
                """
                INSERT INTO avatars (name, user_id, side, bytes) VALUES (\(one.name), \(user), \(one.side), \(one.webp))
                """)
        }
        return try AccountStore.account(row)
    }

    static func find(_ name: String, _ database: Database) async throws -> [UInt8]? {
        guard name.utf8.count <= 64 else { return nil }
        return try await database.queryOne("SELECT bytes FROM avatars WHERE name = \(name)").map { try $0["bytes"] }
    }

    static func largest(of user: UserID, _ database: Database) async throws -> [UInt8]? {
        try await database.queryOne(
            "SELECT bytes FROM avatars WHERE user_id = \(user) ORDER BY side DESC LIMIT 1"
        ).map { try $0["bytes"] }
    }
}
