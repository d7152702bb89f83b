import Messaging
import Postgres
import Shared

extension Accounts {
    /// Makes every program refuse the access tokens these people hold, and the gateway close their sockets. Who still may
    /// refreshes and goes on with what is true now: their role, their workspaces.
    ///
    /// Whoever is being given a token at this moment is waited for, so it is among those refused; whoever asks from now on
    /// waits for this transaction and gets one that says what is true then (decision 0025).
    func cutOff(_ users: [UserID], _ tx: borrowing Transaction) async throws {
        guard !users.isEmpty else { return }
        let now = try await UserStore.hold(users, tx)
        let until = now + settings.accessLifetime
        UserStore.revoke(users, at: now, until: until, tx)
        for user in users { tx.publish(RevocationEvent(kind: .user, id: user.text, at: now, until: until)) }
    }
}
