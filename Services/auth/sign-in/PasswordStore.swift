import Messaging
import Passwords
import Postgres
import Shared

/// The SQL of passwords and of the address that proves whose they are.
enum PasswordStore {
    /// Sets a password; links for setting one that are under way stop working.
    static func set(_ hash: Passwords.Hash, of user: UserID, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE users SET password_hash = \(hash.text), updated_at = now() WHERE id = \(user)")
        tx.enqueue("DELETE FROM links WHERE user_id = \(user) AND kind = 'reset'")
    }

    struct Addressee: Sendable {
        var id: UserID
        var email: EmailAddress
        var isVerified: Bool
        var isActive: Bool
        /// Links that went out within the last hour.
        var recentLinks: Int
    }

    /// Who has an address, and whether another link may go to it.
    static func addressee(
        _ address: EmailAddress, _ kind: Link.Kind, _ tx: borrowing Transaction
    ) async throws -> Addressee? {
        let row = try await tx.queryOne(
            """
            SELECT u.id, u.email, u.is_verified, u.status = 'active' AS active,
                (SELECT count(*) FROM links l WHERE l.user_id = u.id AND l.kind = \(kind.rawValue)
                    AND l.created_at > now() - interval '1 hour')::int AS recent
            FROM users u WHERE u.email_folded = \(address.folded)
            """)
        guard let row, let email = EmailAddress(try row.decode("email", as: String.self)) else { return nil }
        return Addressee(
            id: try row["id"], email: email, isVerified: try row["is_verified"], isActive: try row["active"],
            recentLinks: try row["recent"])
    }

    /// Marks the address as the person's. Nil when it was marked before.
    static func verify(_ user: UserID, _ tx: borrowing Transaction) async throws -> Account? {
        try await tx.queryOne(
            """
            UPDATE users u SET is_verified = true, version = version + 1, updated_at = now()
            WHERE id = \(user) AND NOT is_verified RETURNING \(fragment: AccountStore.columns)
            """
        ).map(AccountStore.account)
    }
}
