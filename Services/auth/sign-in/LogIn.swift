import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// `POST /api/auth/login/` with `{email | username, password}`.
    ///
    /// An unknown person, a wrong password and a closed account answer the same words after the same work, so nobody
    /// learns who has an account.
    func logIn(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let login = form.optionalString("email", max: 320) ?? form.string("username", max: 320)
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        let cancelsDeletion = form.optionalBool("cancel_deletion", default: false)
        try form.finish()
        let account = try await authenticate(login, password)
        try await settleDeletion(of: account, cancels: cancelsDeletion)
        let client = ClientInfo(request)
        let opened = try await database.transaction { tx in
            let workspaces = try await AccountStore.memberships(of: account.id, tx)
            return openSession(for: account, from: client, workspaces, tx)
        }
        return .json(200, try await answer(account, opened))
    }

    /// The person with this login and password.
    /// - Throws: 401 for anyone else.
    func authenticate(_ login: String, _ password: String) async throws -> Account {
        let known = try await AccountStore.credentials(login, database)
        let matches = try await passwords.matches(password, known?.password)
        guard matches, let account = known?.account, account.status == .active else {
            throw Problem.unauthorized("No active account with these credentials.")
        }
        return account
    }
}
