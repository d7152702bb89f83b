import Postgres
import Shared

/// The SQL of what people change about themselves.
enum ProfileStore {
    /// Another address is one nobody has proved to be theirs. The same one in other letters stays proved.
    /// - Throws: a validation problem when the address or the user name is somebody else's.
    static func change(
        _ user: UserID, _ change: ProfileChange, _ tx: borrowing Transaction
    ) async throws -> Account? {
        let clearsPhone = change.phone.map { $0 == nil } ?? false
        do {
            let row = try await tx.queryOne(
                """
                UPDATE users u SET
                    email = coalesce(\(change.email?.text), email),
                    email_folded = coalesce(\(change.email?.folded), email_folded),
                    is_verified = is_verified AND coalesce(\(change.email?.folded) = email_folded, true),
                    username = coalesce(\(change.username), username),
                    username_folded = coalesce(\(change.username?.lowercased()), username_folded),
                    first_name = coalesce(\(change.firstName), first_name),
                    last_name = coalesce(\(change.lastName), last_name),
                    phone = CASE WHEN \(clearsPhone) THEN NULL ELSE coalesce(\(change.phone ?? nil), phone) END,
                    version = version + 1, updated_at = now()
                WHERE id = \(user) RETURNING \(fragment: AccountStore.columns)
                """)
            return try row.map(AccountStore.account)
        } catch let error as PostgresError where error.isUniqueViolation("users_email_folded_key") {
            throw Problem.validation("email", "belongs to another account")
        } catch let error as PostgresError where error.isUniqueViolation("users_username_folded_key") {
            throw Problem.validation("user_name", "is taken; choose another one")
        }
    }
}
