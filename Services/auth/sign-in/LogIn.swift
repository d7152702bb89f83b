import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// `POST /api/auth/login/` with `{email | username, password}`.
    ///
    /// An unknown person and a wrong password answer the same words after the same work, so nobody learns who has an
    /// account. Only whoever knows the password learns that it is closed.
    func logIn(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let login = form.optionalString("email", max: 320) ?? form.string("username", max: 320)
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        try form.finish()
        let account = try await authenticate(login, password)
        let client = ClientInfo(request)
        let opened = try await database.transaction { tx in
            let workspaces = try await AccountStore.memberships(of: account.id, tx)
            return openSession(for: account, from: client, workspaces, tx)
        }
        return .json(200, try await answer(account, opened))
    }

    /// The person with this login and password.
    /// - Throws: 401 for anyone else, 403 for an account that may not be used.
    func authenticate(_ login: String, _ password: String) async throws -> Account {
        let known = try await AccountStore.credentials(login, database)
        let matches = try await passwords.matches(password, known?.password)
        guard matches, let account = known?.account else {
            throw Problem.unauthorized("No active account with these credentials.")
        }
        try await requireGoodStanding(account)
        return account
    }
}
