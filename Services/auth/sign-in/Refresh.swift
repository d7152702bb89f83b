import HTTP
import Messaging
import Postgres
import Shared

extension Accounts {
    /// `POST /api/auth/refresh/` with `{refresh}` → new access and refresh tokens; the old refresh token is spent.
    ///
    /// A token that comes back after it was spent has been copied, so its whole session ends (RFC 9700 §4.14.2).
    func refresh(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let token = form.string("refresh", max: 200)
        try form.finish()
        let next = Digest.randomToken(bytes: 32)
        let until = Instant.now() + settings.accessLifetime

        enum Outcome: Sendable {
            case renewed(Account, Opened)
            case refused(Bool)
        }
        let outcome: Outcome = try await database.transaction { tx in
            switch try await SessionStore.use(Digest.sha256(Array(token.utf8)), tx) {
            case .fresh(let session, let account):
                // Thrown, so the token is not spent: it works again once the account does.
                try await requireGoodStanding(account, tx)
                SessionStore.add(refresh: Digest.sha256(Array(next.utf8)), to: session, tx)
                let workspaces = try await AccountStore.memberships(of: account.id, tx)
                return .renewed(account, Opened(session: session, refresh: next, workspaces: workspaces))
            case .reused(let session):
                end(session, reason: "refresh token used twice", until: until, tx)
                return .refused(true)
            case .unknown:
                return .refused(false)
            }
        }
        switch outcome {
        case .renewed(let account, let opened): return .json(200, try await answer(account, opened))
        case .refused(true):
            throw Problem.unauthorized("This refresh token was used before, so its session was ended. Log in again.")
        case .refused(false):
            throw Problem.unauthorized("This refresh token is not valid. Log in again.")
        }
    }

    /// Ends a session here and everywhere: its refresh tokens go, its access tokens are revoked.
    func end(_ session: SessionID, reason: String, until: Instant, _ tx: borrowing Transaction) {
        SessionStore.end(session, reason: reason, until: until, tx)
        tx.publish(RevocationEvent(kind: .session, id: session.text, at: .now(), until: until))
    }

    /// `POST /api/auth/logout/` with `{refresh}` or nothing (then the session of the access token).
    func logOut(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let token: String?
        if request.body.isEmpty {
            token = nil
        } else {
            var form = try await request.form()
            token = form.optionalString("refresh", max: 200)
            try form.finish()
        }
        let until = Instant.now() + settings.accessLifetime
        try await database.transaction { tx in
            var session = principal.session
            if let token {
                // Somebody else's token ends nothing, and says nothing about whether it exists.
                let found = try await SessionStore.session(of: Digest.sha256(Array(token.utf8)), tx)
                session = found.flatMap { $0.1 == principal.user ? $0.0 : nil }
            }
            if let session { end(session, reason: "logged out", until: until, tx) }
        }
        return .empty(204)
    }

    /// `GET /api/users/users/me/`.
    func me(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        guard let account = try await AccountStore.find(principal.user, database) else {
            throw Problem.notFound(.userNotFound)
        }
        return .json(200, account)
    }
}
