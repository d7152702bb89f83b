import HTTP
import Messaging
import Postgres
import Shared

extension Accounts {
    /// `POST /api/auth/refresh/` with `{refresh}` → new access and refresh tokens; the old refresh token is spent.
    ///
    /// A token that comes back after it was spent has been copied, so its whole session ends (RFC 9700 §4.14.2). Two
    /// requests with one token that are under way together are one sender's impatience and get the same successor:
    /// docs/decisions/0016-refresh-twice-at-once.md says why that is no second family.
    func refresh(_ request: Request) async throws -> Response {
        let began = ContinuousClock.now
        var form = try await request.form()
        let token = form.string("refresh", max: 200)
        try form.finish()
        let next = successor(of: token)
        let now = Instant.now()
        let until = now + settings.accessLifetime

        enum Outcome: Sendable {
            case renewed(Account, Opened)
            case refused(Bool)
        }
        let outcome: Outcome = try await database.transaction { tx in
            let used = try await SessionStore.use(
                Digest.sha256(Array(token.utf8)), successor: Digest.sha256(Array(next.utf8)),
                waited: began.duration(to: .now), tx)
            switch used {
            case .fresh(let session, let account), .twin(let session, let account):
                // Thrown, so the token is not spent: it works again once the account does.
                let held = try await AccountStore.held(account, tx)
                try Self.requireGoodStanding(held)
                return .renewed(account, Opened(session: session, refresh: next, memberships: held.memberships))
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

    /// The one token that can follow a token: nobody without SECRET_KEY can make it, and it need not be kept anywhere to
    /// be said twice.
    private func successor(of token: String) -> String {
        let key = Digest.hmacSHA256(key: Array(keys.secret.utf8), Array("switchboard: refresh tokens".utf8))
        return Digest.base64URL(Digest.hmacSHA256(key: key, Array(token.utf8)))
    }

    /// Ends a session here and everywhere: its refresh tokens go, its access tokens are revoked.
    func end(_ session: SessionID, reason: String, until: Instant, _ tx: borrowing Transaction) {
        let now = Instant.now()
        SessionStore.end(session, reason: reason, at: now, until: until, tx)
        tx.publish(RevocationEvent(kind: .session, id: session.text, at: now, until: until))
    }

    /// Ends every session of a person but the one that is kept. Returns how many that were.
    @discardableResult
    func endSessions(
        of user: UserID, except kept: SessionID? = nil, reason: String, _ tx: borrowing Transaction
    ) async throws -> Int {
        let until = Instant.now() + settings.accessLifetime
        let sessions = try await SessionStore.live(of: user, except: kept, tx)
        for session in sessions { end(session, reason: reason, until: until, tx) }
        return sessions.count
    }

    /// `POST /api/auth/logout/` with `{refresh}`, `{everywhere: true}` or nothing (then the session of the access token).
    func logOut(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.optionalForm()
        let token = form.optionalString("refresh", max: 200)
        let everywhere = form.optionalBool("everywhere", default: false)
        try form.finish()
        if everywhere { _ = try request.requireLogin() }
        let actor = try Audit.Actor(request)
        let until = Instant.now() + settings.accessLifetime
        try await database.transaction { tx in
            if everywhere {
                let ended = try await endSessions(of: principal.user, reason: "logged out everywhere", tx)
                recordEnd(of: ended, keepsOne: false, by: actor, tx)
                return
            }
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
