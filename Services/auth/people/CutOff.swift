import Messaging
import Postgres
import Shared

extension Accounts {
    /// Makes every program refuse the access tokens these people hold, and the gateway close their sockets. Who still may
    /// refreshes and goes on with what is true now: their role, their workspaces.
    func cutOff(_ users: [UserID], _ tx: borrowing Transaction) {
        guard !users.isEmpty else { return }
        let now = Instant.now()
        let until = now + settings.accessLifetime
        UserStore.revoke(users, at: now, until: until, tx)
        for user in users { tx.publish(RevocationEvent(kind: .user, id: user.text, at: now, until: until)) }
    }
}
