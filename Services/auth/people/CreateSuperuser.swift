import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// Makes an admin, or makes an existing person one and sets the password. Returns whether the person is new or was
    /// no admin before.
    /// - Throws: a validation problem for a weak password.
    func createSuperuser(_ email: EmailAddress, password: String) async throws -> Bool {
        if let complaint = PasswordRule.complaint(password, email: email.text, username: nil) {
            throw Problem.validation("password", complaint)
        }
        let hash = try await passwords.hash(password)
        return try await database.transaction { tx in
            if let (account, changed) = try await AccountStore.promote(email, hash, tx) {
                // Whoever was logged in as the one they were, perhaps with an address that is not theirs, is no admin by that.
                try await endSessions(of: account.id, reason: "made an admin", tx)
                try await cutOff([account.id], tx)
                tx.publish(UserEvent.updated(account.snapshot))
                Audit.record("users.promoted", .user, account.id.text, after: account, by: .command, tx)
                return changed
            }
            let new = NewAccount(
                email: email, role: .admin, isStaff: true, isSuperuser: true, isVerified: true,
                workspaceName: "Administration")
            let (account, workspace) = try await AccountStore.insert(new, hash, tx)
            announce(account, workspace, tx)
            Audit.record("users.created", .user, account.id.text, after: account, by: .command, tx)
            return true
        }
    }

    /// `GET /.well-known/jwks.json`.
    func keySet() -> Response {
        var response = Response.json(200, keys.published)
        // Verifiers ask again for a key they do not know, so a stale copy only costs that request.
        response.headers.set("Cache-Control", "public, max-age=60")
        return response
    }
}
