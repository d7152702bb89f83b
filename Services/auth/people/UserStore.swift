import Messaging
import Postgres
import Shared

/// The SQL of changing people.
enum UserStore {
    /// The person, locked until the transaction ends.
    static func lock(_ id: UserID, _ tx: borrowing Transaction) async throws -> Account? {
        try await tx.queryOne(
            "SELECT \(fragment: AccountStore.columns) FROM users u WHERE u.id = \(id) FOR UPDATE"
        ).map(AccountStore.account)
    }

    /// Writes a locked person back under their next version.
    /// - Throws: a validation problem when the e-mail address or the user name is somebody else's.
    static func save(_ account: inout Account, _ tx: borrowing Transaction) async throws {
        let changed = account
        do {
            let row = try await tx.queryOne(
                """
                UPDATE users u SET email = \(changed.email.text), email_folded = \(changed.email.folded),
                    username = \(changed.username), username_folded = \(changed.username.lowercased()),
                    first_name = \(changed.firstName), last_name = \(changed.lastName), phone = \(changed.phone),
                    role = \(changed.role.rawValue), is_staff = \(changed.isStaff),
                    is_superuser = \(changed.isSuperuser), status = \(changed.status),
                    is_verified = \(changed.isVerified), version = version + 1, updated_at = now()
                WHERE u.id = \(changed.id) RETURNING \(fragment: AccountStore.columns)
                """)
            guard let row else { throw Problem.notFound(.userNotFound) }
            account = try AccountStore.account(row)
        } catch let error as PostgresError where error.isUniqueViolation("users_email_folded_key") {
            throw Problem.validation("email", "belongs to another account")
        } catch let error as PostgresError where error.isUniqueViolation("users_username_folded_key") {
            throw Problem.validation("username", "is taken; choose another one")
        }
    }

    /// Whether nobody else could administer the system. Taken in turns, so that two admins cannot remove each other.
    static func isLastAdmin(_ id: UserID, _ tx: borrowing Transaction) async throws -> Bool {
        _ = try await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('auth admins', 0))::text AS locked")
        return try await tx.queryOne(
            "SELECT 1 AS other FROM users WHERE role = 'admin' AND status = 'active' AND id <> \(id) LIMIT 1") == nil
    }

    /// Ends every session of a person: nothing can be refreshed any more.
    static func endSessions(of user: UserID, reason: StaticString, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE user_id = \(user))
            """)
        tx.enqueue(
            """
            UPDATE sessions SET ended_at = now(), end_reason = \("\(reason)")
            WHERE user_id = \(user) AND ended_at IS NULL
            """)
    }

    /// Locks people against being given a token until the transaction ends. Returns the database's time once they are, which
    /// every token given them before is older than.
    static func hold(_ users: [UserID], _ tx: borrowing Transaction) async throws -> Instant {
        let row = try await tx.queryOne(
            """
            SELECT clock_timestamp() AS at, count(*) AS n FROM (
                SELECT id FROM users WHERE id = ANY (\(users)) ORDER BY id FOR NO KEY UPDATE) AS held
            """)
        guard let row else { throw Problem(.internalError) }
        return try row["at"]
    }

    /// Remembers that access tokens issued up to `at` no longer count.
    static func revoke(_ users: [UserID], at: Instant, until: Instant, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO revocations (kind, id, at, until)
            SELECT 'user', person, \(at), \(until) FROM unnest(\(users)) AS person
            ON CONFLICT (kind, id) DO UPDATE SET at = greatest(revocations.at, excluded.at),
                until = greatest(revocations.until, excluded.until)
            """)
    }
}
