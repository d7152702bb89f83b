import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// Links of one kind that go to one account within an hour: a stranger cannot fill somebody's letter box.
    static let linksMax = 5

    /// `POST /api/auth/password/reset/` with `{email}`: the same answer and the same work whoever has the address.
    func requestReset(_ request: Request) async throws -> Response {
        try await requestLink(.reset, request) { $0.isActive }
        return Self.said("If there is an account with this address, a mail with a link is on its way.")
    }

    /// `POST /api/auth/verify-email/resend/` with `{email}`: likewise.
    func resendVerification(_ request: Request) async throws -> Response {
        try await requestLink(.verify, request) { !$0.isVerified }
        return Self.said("If there is an unverified account with this address, a mail with a link is on its way.")
    }

    private func requestLink(
        _ kind: Link.Kind, _ request: Request, _ applies: @Sendable (PasswordStore.Addressee) -> Bool
    ) async throws {
        var form = try await request.form()
        let address = form.email("email")
        try form.finish()
        try await database.transaction { tx in
            let found = try await PasswordStore.addressee(address, kind, tx)
            let meant = found.flatMap { applies($0) && $0.recentLinks < Self.linksMax ? $0 : nil }
            // For nobody, the same rows are written; the mailer throws them away.
            sendLink(kind, to: meant?.email ?? address, of: meant?.id, tx)
        }
    }

    /// `POST /api/auth/password/reset/confirm/` with `{token, new_password}`: every session ends.
    func confirmReset(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let token = form.string("token", max: 200)
        let password = form.string("new_password", max: PasswordRule.lengthMax, trimmed: false)
        try form.finish()
        let digest = Link.digest(token)
        let bad = Problem.validation("token", "is not valid any more: ask for another link")
        // Before the expensive part, and again with it.
        guard try await LinkStore.isGood(.reset, digest, database) else { throw bad }
        if let complaint = try await complaint(password, email: "", username: nil) {
            throw Problem.validation("new_password", complaint)
        }
        let hash = try await passwords.hash(password)
        let (client, id) = (ClientInfo(request), request.id)
        let done = try await database.transaction { tx in
            guard let user = try await LinkStore.use(.reset, digest, tx) else { return false }
            // Who can read the address's mail has the address.
            let verified = try await PasswordStore.verify(user, tx)
            if let verified { tx.publish(UserEvent.updated(verified.snapshot)) }
            PasswordStore.set(hash, of: user, tx)
            try await endSessions(of: user, reason: "password reset", tx)
            if let account = try await UserStore.lock(user, tx) {
                send(.passwordChanged, to: account.email, of: user, tx)
                Audit.record(
                    "sign_in.password_reset", .user, user.text,
                    by: Audit.Actor(account, client, request: id), tx
                )
            }
            return true
        }
        guard done else { throw bad }
        return Self.said("Your password is changed; log in with it.")
    }

    /// `POST /api/auth/verify-email/` with `{token}`.
    func verifyEmail(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let token = form.string("token", max: 200)
        try form.finish()
        let done = try await database.transaction { tx in
            guard let user = try await LinkStore.use(.verify, Link.digest(token), tx) else { return false }
            let verified = try await PasswordStore.verify(user, tx)
            if let verified { tx.publish(UserEvent.updated(verified.snapshot)) }
            return true
        }
        guard done else { throw Problem.validation("token", "is not valid any more: ask for another link") }
        return Self.said("Your e-mail address is confirmed.")
    }
}
