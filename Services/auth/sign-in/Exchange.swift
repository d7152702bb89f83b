import HTTP
import Messaging
import Postgres
import Shared

extension Accounts {
    /// `POST /internal/auth/exchange`: what a gateway asks for a credential that is no token, `{key}` or
    /// `{user, password}`, with the caller's `address` and `user_agent`. Answers a token that says the same of its bearer.
    func exchange(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let key = form.optionalString("key", max: 200, trimmed: false)
        let user = key == nil ? form.string("user", max: 320, trimmed: false) : ""
        let password = key == nil ? form.string("password", max: PasswordRule.lengthMax, trimmed: false) : ""
        let client = ClientInfo(
            address: form.optionalString("address", max: 64) ?? "",
            userAgent: form.optionalString("user_agent", max: 300) ?? "")
        try form.finish()
        let claims =
            if let key { try await claims(key: key) } else { try await claims(basic: user, password, client) }
        let access = try await keys.sign(claims)
        return .json(200) { json in
            json.object { json in
                json.field("access", access)
                json.field("expires_in", (claims.expires - claims.issuedAt).components.seconds)
            }
        }
    }

    private func claims(key: String) async throws -> Claims {
        let found = try await database.transaction { tx -> (APIKey, AccountStore.Held)? in
            guard let (key, account) = try await APIKeyStore.use(APIKey.digest(key), tx) else { return nil }
            let held = try await AccountStore.held(account, tx)
            try Self.requireGoodStanding(held)
            try await settleDeletion(of: held, tx)
            return (key, held)
        }
        guard let (key, held) = found else { throw Problem.unauthorized("This API key is not valid.") }
        let account = held.account
        let issued = held.memberships.readAt
        let expires = issued + settings.accessLifetime
        return Claims(
            subject: account.id, role: account.role, staff: account.isStaff, workspaces: held.memberships.roles,
            issuer: settings.issuer, audience: settings.audience, issuedAt: issued,
            expires: min(expires, key.expiresAt ?? expires),
            scopes: key.scopes.contains("*") ? ["*"] : key.scopes, apiKey: key.id)
    }

    /// HTTP Basic has no place for a code: an account with a second factor is not opened by a password alone.
    private func claims(basic login: String, _ password: String, _ client: ClientInfo) async throws -> Claims {
        let known: AccountStore.Credentials
        do { known = try await authenticate(login, password, nil, from: client) } catch let problem as Problem
            where problem.code == .secondFactorRequired
        {
            throw Problem.unauthorized("This account has a second factor: log in, or use an API key.")
        }
        let (held, session) = try await database.transaction { tx in
            let held = try await hold(known, tx)
            let session = try await SessionStore.basic(
                of: held.account.id, from: client, lifetime: Self.basicLifetime, tx)
            return (held, session)
        }
        let (account, memberships) = (held.account, held.memberships)
        return Claims(
            subject: account.id, role: account.role, staff: account.isStaff, session: session,
            workspaces: memberships.roles, issuer: settings.issuer, audience: settings.audience,
            issuedAt: memberships.readAt, expires: memberships.readAt + settings.accessLifetime)
    }

    /// How long a place that uses HTTP Basic stands among one's sessions after its last request.
    private static var basicLifetime: Duration { .seconds(86_400) }
}
