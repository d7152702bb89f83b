import Messaging
import Postgres
import Runtime
import Shared

/// What somebody is told about their account, in the transaction that makes it true.
enum Notice: String, Sendable {
    case deletionPlanned = "deletion planned"
    case deletionCancelled = "deletion cancelled"
}

extension Accounts {
    /// The one place where people are told. This program has no mail yet, so the log says it (without a name); a mail goes
    /// into its outbox here, in the same transaction.
    func tell(_ account: Account, _ notice: Notice, _ tx: borrowing Transaction) {
        let id = account.id
        tx.onCommit {
            Log(program: "auth").info("account.notice", ("notice", "\(notice.rawValue)"), ("user", "\(id.text)"))
        }
    }
}
