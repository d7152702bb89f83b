import HTTP
import Messaging
import Postgres
import Shared

extension Accounts {
    /// `GET /api/auth/sessions/`: where one is logged in.
    func sessions(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        var form = request.queryForm
        let page = Page(classic: &form)
        try form.finish()
        let all = try await SessionStore.live(of: principal.user, database)
        return page.classic(request, count: all.count) { json in
            for session in all.dropFirst(page.offset).prefix(page.size) {
                json.object { json in
                    json.field("id", session.id)
                    json.field("kind", session.kind)
                    json.field("device", Device.name(session.userAgent))
                    json.field("user_agent", session.userAgent)
                    json.field("address", session.address)
                    json.field("created_at", session.createdAt)
                    json.field("last_used_at", session.usedAt)
                    json.field("expires_at", session.expiresAt)
                    json.field("is_current", session.id == principal.session)
                }
            }
        }
    }

    /// `DELETE /api/auth/sessions/{session_id}/`: ends one, at once.
    func endSession(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        let session = try request.pathID("session_id", as: SessionID.self, or: .sessionNotFound)
        let until = Instant.now() + settings.accessLifetime
        try await database.transaction { tx in
            guard try await SessionStore.isLive(session, of: principal.user, tx) else {
                throw Problem.notFound(.sessionNotFound)
            }
            end(session, reason: "ended by its owner", until: until, tx)
        }
        return .empty(204)
    }

    /// `DELETE /api/auth/sessions/`: ends all but this one.
    func endOtherSessions(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        let actor = try Audit.Actor(request)
        let ended = try await database.transaction { tx in
            let ended = try await endSessions(
                of: principal.user, except: principal.session, reason: "ended by its owner", tx)
            recordEnd(of: ended, keepsOne: true, by: actor, tx)
            return ended
        }
        return .json(200) { json in json.object { $0.field("ended", ended) } }
    }

    /// Writes down that somebody ended all their sessions, or all but the one they did it in.
    func recordEnd(of sessions: Int, keepsOne: Bool, by actor: Audit.Actor, _ tx: borrowing Transaction) {
        let what: JSONObject = ["ended": .int(Int64(sessions)), "kept_current": .bool(keepsOne)]
        Audit.record("sign_in.sessions_ended", .user, actor.user?.text ?? "", after: what, by: actor, tx)
    }
}

extension Request {
    /// Who asks, as a person: what concerns how they log in is nothing a key may do, whatever its scopes.
    /// - Throws: 403 for an API key.
    func requireLogin() throws(Problem) -> Principal {
        let principal = try requirePrincipal()
        guard principal.apiKey == nil else { throw .forbidden("An API key cannot do this; log in.") }
        return principal
    }
}

/// A few words for a `User-Agent`, for people to tell their devices apart. No more than that: anyone can send any.
enum Device {
    static func name(_ userAgent: String) -> String {
        let program = browsers.first { userAgent.contains($0.mark) }?.name
        let system = systems.first { userAgent.contains($0.mark) }?.name
        switch (program, system) {
        case (let program?, let system?): return "\(program) on \(system)"
        case (let one?, nil), (nil, let one?): return one
        // `curl/8.5.0`: the product's own name (RFC 9110 §10.1.5).
        case (nil, nil): return userAgent.split(separator: "/").first.map { String($0.prefix(40)) } ?? "Unknown"
        }
    }

    // Those that pretend to be others come first.
    private static let browsers: [(mark: String, name: String)] = [
        ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
    ]
    private static let systems: [(mark: String, name: String)] = [
        ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]
}
