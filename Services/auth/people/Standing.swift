import HTTP
import Messaging
import Postgres
import Shared

/// Whether somebody with the right credentials may use their account. Asked after the credentials were checked, never
/// before: only the person themselves learns how their account stands.
extension Accounts {
    /// - Throws: 403 `ACCOUNT_INACTIVE`, `ACCOUNT_SUSPENDED` or `ACCOUNT_BLOCKED`.
    static func requireGoodStanding(_ held: AccountStore.Held) throws(Problem) {
        switch held.account.status {
        case .active: break
        case .inactive:
            throw Problem(.accountInactive, "This account is not active. Ask an administrator to activate it.")
        case .suspended: throw Problem(.accountSuspended, "This account is suspended. Ask an administrator why.")
        }
        if let block = held.block { throw Problem(.accountBlocked, "This account is blocked\(ending(block)).") }
    }

    /// For an address nobody has an account with yet.
    /// - Throws: 403 `ACCOUNT_BLOCKED`.
    func requireUnblocked(_ email: EmailAddress, _ tx: borrowing Transaction) async throws {
        if let block = try await BlacklistStore.block(of: email, tx) {
            throw Problem(.accountBlocked, "This e-mail address cannot be used here\(Self.ending(block)).")
        }
    }

    private static func ending(_ block: BlacklistStore.Block) -> String {
        block.expiresAt.map { " until \($0.iso)" } ?? ""
    }
}
