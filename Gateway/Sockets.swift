import Access
import HTTP
import Runtime
import Shared

/// `/ws/calls` and the ticket that opens it.
struct Sockets: Sendable {
    let credentials: Credentials
    let hub: Hub
    let limits: RateLimits
    let tickets: Tickets
    let backlog: Backlog
    /// Browsers from elsewhere are turned away; nil lets in all.
    let origins: [String]?
    /// Whether every frame from now on will come: a socket opened before would miss some without knowing.
    let isFollowing: @Sendable () -> Bool

    var routes: [Route] {
        [
            .post(
                "/api/v1/ws/ticket", "A ticket that opens one socket within 30 seconds", tag: "realtime",
                access: .member,
                returns: [201: .object(.required("ticket", .string), .required("expires_at", .instant))]
            ) { try issue($0) },
            .get(
                "/ws/calls", "The live stream of calls (WebSocket, document 003 §2)", tag: "realtime", family: .manager,
                access: .everyone, limit: .none,
                query: [
                    .query(
                        "token", .string,
                        "An access token. A ticket or `Sec-WebSocket-Protocol: bearer, <token>` is better."),
                    .query("ticket", .string, "From POST /api/v1/ws/ticket."),
                ], returns: [101: nil]
            ) { try await open($0) },
        ]
    }

    private func issue(_ request: Request) throws -> Response {
        let principal = try request.requirePrincipal()
        guard let token = request.bearerToken else { throw Problem.unauthorized() }
        let ticket = tickets.issue(token, until: principal.expires)
        return .json(201) { json in
            json.object { json in
                json.field("ticket", ticket.text)
                json.field("expires_at", ticket.expires)
            }
        }
    }

    private func open(_ request: Request) async throws -> Response {
        guard isFollowing() else { throw Problem.unavailable("Calls cannot be followed yet; try again in a moment.") }
        let (credential, subprotocol) = try credential(of: request)
        let (token, principal) = try await credentials.verify(credential, of: request)
        guard limits.claimSocket(principal.user) else {
            throw Problem(
                .rateLimited, "You have \(limits.settings.sockets) sockets open; close one first.",
                headers: [("Retry-After", "5")])
        }
        return .webSocket(subprotocol, origins: origins) { socket in
            defer { limits.releaseSocket(principal.user) }
            await serve(socket, principal, token)
        }
    }

    /// From the query, or from the sub-protocol: a browser can set no other header.
    private func credential(of request: Request) throws(Problem) -> (token: String, subprotocol: String?) {
        let query = request.query
        if let ticket = query.first(where: { $0.0 == "ticket" })?.1 {
            guard let token = tickets.redeem(ticket) else {
                throw .unauthorized("This ticket is used or too old; ask for another one.")
            }
            return (token, nil)
        }
        if let token = query.first(where: { $0.0 == "token" })?.1 { return (token, nil) }
        let offered = (request.headers["Sec-WebSocket-Protocol"] ?? "").split(separator: ",").map {
            $0.filter { $0 != " " }
        }
        if offered.count == 2, offered[0] == "bearer" { return (offered[1], "bearer") }
        if let token = request.bearerToken { return (token, nil) }
        throw .unauthorized()
    }

    private func serve(_ socket: WebSocket, _ principal: Principal, _ token: String) async {
        guard let loopHub = hub.current else { return socket.close(.goingAway) }
        let session = Session(principal, token: token, socket, backlog)
        loopHub.add(session)
        hub.opened(1)
        let left = Instant.now().duration(to: principal.expires)
        let expiry = EventLoop.required().after(left) { socket.close(.sessionEnded, reason: "the token has expired") }
        defer {
            expiry.cancel()
            loopHub.remove(session)
            hub.opened(-1)
        }
        while let message = try? await socket.receive() {
            guard case .text(let text) = message else {
                socket.close(.unsupportedData, reason: "text only")
                continue
            }
            await session.receive(text)
        }
    }
}

extension Instant {
    /// Zero when `other` is past.
    fileprivate func duration(to other: Instant) -> Duration { max(.zero, other - self) }
}
