import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// What is wrong with a new password, by rule or because it has leaked; nil when nothing is.
    func complaint(_ password: String, email: String, username: String?) async throws -> String? {
        if let complaint = PasswordRule.complaint(password, email: email, username: username) { return complaint }
        guard let breached = settings.breached, try await breached.contains(password) else { return nil }
        return "has been in a leak of passwords, and those are tried first; choose another one"
    }

    /// Makes sure that who holds a session also knows its password.
    /// - Throws: a validation problem that names `field`; 429 after too many.
    func confirm(
        _ principal: Principal, _ password: String, field: String = "password"
    ) async throws -> AccountStore.Credentials {
        let known = try await AccountStore.credentials(of: principal.user, database)
        let confirmed = try await throttle.watch([.confirmation(principal.user, principal.session)]) {
            try await passwords.matches(password, known?.password) ? known : nil
        }
        guard let confirmed else { throw Problem.validation(field, "is not your password") }
        return confirmed
    }

    /// `POST /api/dashboard/user/change-password/` with `{current_password, new_password}`: every other session ends.
    func changePassword(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        var form = try await request.form()
        let current = form.string("current_password", max: PasswordRule.lengthMax, trimmed: false)
        let new = form.string("new_password", max: PasswordRule.lengthMax, trimmed: false)
        try form.finish()
        let account = try await confirm(principal, current, field: "current_password").account
        if current == new { throw Problem.validation("new_password", "is the one you have") }
        if let complaint = try await complaint(new, email: account.email.text, username: account.username) {
            throw Problem.validation("new_password", complaint)
        }
        let hash = try await passwords.hash(new)
        let actor = try Audit.Actor(request)
        try await database.transaction { tx in
            PasswordStore.set(hash, of: account.id, tx)
            try await endSessions(of: account.id, except: principal.session, reason: "password changed", tx)
            send(.passwordChanged, to: account.email, of: account.id, tx)
            Audit.record("sign_in.password_changed", .user, account.id.text, by: actor, tx)
        }
        return Self.said("Your password is changed; your other sessions have ended.")
    }

    static func said(_ detail: String) -> Response {
        .json(200) { json in json.object { $0.field("detail", detail) } }
    }
}
