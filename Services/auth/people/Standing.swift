import HTTP
import Messaging
import Postgres
import Shared

/// Whether somebody with the right credentials may use their account. Asked after the credentials were checked, never
/// before: only the person themselves learns how their account stands.
extension Accounts {
    /// - Throws: 403 `ACCOUNT_INACTIVE`, `ACCOUNT_SUSPENDED` or `ACCOUNT_BLOCKED`.
    func requireGoodStanding(_ account: Account) async throws {
        try Self.refuse(account.status)
        if let block = try await BlacklistStore.block(of: account, database) { throw Self.blocked(block) }
    }

    func requireGoodStanding(_ account: Account, _ tx: borrowing Transaction) async throws {
        try Self.refuse(account.status)
        if let block = try await BlacklistStore.block(of: account, tx) { throw Self.blocked(block) }
    }

    /// For an address nobody has an account with yet.
    /// - Throws: 403 `ACCOUNT_BLOCKED`.
    func requireUnblocked(_ email: EmailAddress, _ tx: borrowing Transaction) async throws {
        if let block = try await BlacklistStore.block(of: email, tx) {
            throw Problem(.accountBlocked, "This e-mail address cannot be used here\(Self.ending(block)).")
        }
    }

    private static func refuse(_ status: Account.Status) throws(Problem) {
        switch status {
        case .active: return
        case .inactive:
            throw Problem(.accountInactive, "This account is not active. Ask an administrator to activate it.")
        case .suspended: throw Problem(.accountSuspended, "This account is suspended. Ask an administrator why.")
        }
    }

    private static func blocked(_ block: BlacklistStore.Block) -> Problem {
        Problem(.accountBlocked, "This account is blocked\(ending(block)).")
    }

    private static func ending(_ block: BlacklistStore.Block) -> String {
        block.expiresAt.map { " until \($0.iso)" } ?? ""
    }
}
