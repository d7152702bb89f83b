import Messaging
import Postgres
import Shared

/// What follows when somebody gets another e-mail address or user name, whoever changed it.
extension Accounts {
    /// The new address is asked to confirm that it is theirs. The old one is told, since from now on it can do nothing about
    /// the account: whoever took it over would begin with that.
    ///
    /// Nobody can write to strangers by trying one address after another: more than `linksMax` within an hour change the
    /// account, but send nothing. Only an address that was confirmed is told even then.
    func tellAddresses(_ before: Account, _ after: Account, _ tx: borrowing Transaction) async throws {
        guard before.email.folded != after.email.folded else { return }
        let maySend = try await LinkStore.recent(.verify, of: after.id, tx) < Self.linksMax
        if before.isVerified || maySend { send(.addressChanged, to: before.email, of: after.id, tx) }
        if !after.isVerified, maySend { sendLink(.verify, to: after.email, of: after.id, tx) }
    }
}

extension Account {
    /// Whether a person logs in by another name than they did.
    func logsInOtherwise(than before: Account) -> Bool { email != before.email || username != before.username }
}
