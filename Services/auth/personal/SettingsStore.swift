import Postgres
import Shared

/// The SQL of settings.
enum SettingsStore {
    static func find(_ user: UserID, _ database: Database) async throws -> ChosenSettings {
        let row = try await database.queryOne("SELECT version, changes FROM user_settings WHERE user_id = \(user)")
        return try row.map(settings) ?? ChosenSettings(version: 0, changes: [:])
    }

    /// The settings, nobody else's to change until the transaction ends.
    static func lock(_ user: UserID, _ tx: borrowing Transaction) async throws -> ChosenSettings {
        tx.enqueue("INSERT INTO user_settings (user_id) VALUES (\(user)) ON CONFLICT DO NOTHING")
        let row = try await tx.queryOne(
            "SELECT version, changes FROM user_settings WHERE user_id = \(user) FOR UPDATE")
        return try row.map(settings) ?? ChosenSettings(version: 0, changes: [:])
    }

    static func save(_ changes: JSON, of user: UserID, _ tx: borrowing Transaction) async throws -> ChosenSettings {
        let row = try await tx.queryOne(
            """
            UPDATE user_settings SET changes = \(changes), updated_at = now(),
                version = version + CASE WHEN changes = \(changes) THEN 0 ELSE 1 END
            WHERE user_id = \(user) RETURNING version, changes
            """)
        guard let row else { throw Problem.notFound(.userNotFound) }
        return try settings(row)
    }

    /// Whether it is one of the IANA's names, as PostgreSQL knows them.
    static func knowsZone(_ name: String, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.queryOne(
            """
            SELECT 1 AS known FROM pg_timezone_names
            WHERE name = \(name) AND name !~ '^(posix/|right/|Factory$|localtime$|posixrules$)'
            """) != nil
    }

    private static func settings(_ row: Row) throws -> ChosenSettings {
        ChosenSettings(version: try row["version"], changes: try row["changes"])
    }
}
