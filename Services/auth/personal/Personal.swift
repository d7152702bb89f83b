import HTTP
import Messaging
import Pictures
import Postgres
import Runtime
import Shared

/// What people do with their own account: profile, settings, picture, taking their data along, and leaving. Each use case
/// is an extension of this in a file of its own.
struct Personal: Sendable {
    let accounts: Accounts
    let pictures: Pictures
    let policy: Policy
    let log: Log

    var database: Database { accounts.database }

    /// What an operator decides.
    struct Policy: Sendable {
        /// How long somebody who deletes their account may change their mind (`ACCOUNT_DELETION_GRACE_DAYS`).
        var grace: Duration = .seconds(14 * 86_400)
        /// A program that has not reported an erasure is asked again after this (`ERASURE_ASK_AGAIN`).
        var askAgain: Duration = .seconds(300)
        /// How long an archive can be fetched (`EXPORT_KEPT_DAYS`).
        var exportKept: Duration = .seconds(7 * 86_400)
        /// Where the other programs answer, any replica of each; they are asked in this order.
        var programs: [(name: String, urls: [String])] = []
    }
}

extension Request {
    /// Who asks, if they are logged in themselves: a key that acts for them may not end or carry off their account.
    func requireThemselves() throws(Problem) -> Principal {
        let principal = try requirePrincipal()
        guard principal.session != nil, principal.apiKey == nil else {
            throw .forbidden("Only you can do this: log in and try again.")
        }
        return principal
    }
}
