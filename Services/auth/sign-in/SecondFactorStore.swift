import Messaging
import Postgres
import Shared

/// The SQL of second factors.
enum SecondFactorStore {
    struct Secret: Sendable {
        var sealed: [UInt8]
        var lastStep: Int64
    }

    /// Of a row with `sealed` and `last_step`; nil when there is none.
    static func secret(_ row: Row) throws -> Secret? {
        guard let sealed = try row.decode("sealed", as: [UInt8]?.self),
            let lastStep = try row.decode("last_step", as: Int64?.self)
        else { return nil }
        return Secret(sealed: sealed, lastStep: lastStep)
    }

    static func state(
        of user: UserID, _ database: Database
    ) async throws -> (confirmedAt: Instant?, recoveryCodesLeft: Int) {
        let row = try await database.queryOne(
            """
            SELECT (SELECT confirmed_at FROM totp WHERE user_id = \(user)) AS confirmed_at,
                (SELECT count(*) FROM recovery_codes WHERE user_id = \(user) AND used_at IS NULL)::int AS codes
            """)
        return (try row?.decode("confirmed_at", as: Instant?.self) ?? nil, try row?.decode("codes", as: Int.self) ?? 0)
    }

    /// False when there is a confirmed one.
    static func begin(_ sealed: [UInt8], of user: UserID, _ database: Database) async throws -> Bool {
        try await database.execute(
            """
            INSERT INTO totp (user_id, sealed) VALUES (\(user), \(sealed))
            ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, last_step = 0, created_at = now()
                WHERE totp.confirmed_at IS NULL
            """) == 1
    }

    static func pending(of user: UserID, _ database: Database) async throws -> Secret? {
        try await database.queryOne(
            "SELECT sealed, last_step FROM totp WHERE user_id = \(user) AND confirmed_at IS NULL"
        ).flatMap(secret)
    }

    /// The person's address; nil when somebody else was first.
    static func confirm(step: Int64, of user: UserID, _ tx: borrowing Transaction) async throws -> EmailAddress? {
        let row = try await tx.queryOne(
            """
            UPDATE totp t SET confirmed_at = now(), last_step = \(step) FROM users u
            WHERE t.user_id = \(user) AND t.confirmed_at IS NULL AND u.id = t.user_id RETURNING u.email
            """)
        return try row.flatMap { EmailAddress(try $0.decode("email", as: String.self)) }
    }

    /// Whether this step's code had not been used.
    static func spend(step: Int64, of user: UserID, _ database: Database) async throws -> Bool {
        try await database.execute(
            """
            UPDATE totp SET last_step = \(step)
            WHERE user_id = \(user) AND confirmed_at IS NOT NULL AND last_step < \(step)
            """) == 1
    }

    static func spend(recovery digest: [UInt8], of user: UserID, _ database: Database) async throws -> Bool {
        try await database.execute(
            """
            UPDATE recovery_codes SET used_at = now()
            WHERE user_id = \(user) AND digest = \(digest) AND used_at IS NULL
            """) == 1
    }

    static func replaceRecoveryCodes(_ digests: [[UInt8]], of user: UserID, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM recovery_codes WHERE user_id = \(user)")
        for digest in digests {
            tx.enqueue("INSERT INTO recovery_codes (user_id, digest) VALUES (\(user), \(digest))")
        }
    }

    static func end(of user: UserID, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM totp WHERE user_id = \(user)")
        tx.enqueue("DELETE FROM recovery_codes WHERE user_id = \(user)")
    }
}
