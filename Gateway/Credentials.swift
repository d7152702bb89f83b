import Access
import HTTP
import Runtime
import Shared

/// What callers send to say who they are: an access token, which is checked here, or an API key or (if allowed) a user
/// name and password, which auth exchanges for one. Behind the gateway there are only tokens.
final class Credentials: Sendable {
    /// What is no token.
    enum Secret: Sendable {
        case key(String)
        case basic(user: String, password: String)
    }

    /// Who sends it: auth slows down guessing by it.
    struct Sender: Sendable {
        var address: String
        var userAgent: String
    }

    private let tokens: TokenVerifier
    private let limits: RateLimits
    private let proxies: TrustedProxies
    private let allowsBasic: Bool
    private let ask: @Sendable (Secret, Sender) async throws -> String
    /// Of this process only: what is remembered is no list of credentials to anybody who reads the memory later.
    private let markKey = Digest.randomBytes(32)
    private let state = Guarded<State>(State())

    private typealias Mark = [UInt8]

    private struct State {
        var known: [Mark: Known] = [:]
        var flights: [Mark: Flight] = [:]
    }

    private struct Known {
        var token: String
        var until: Instant
    }

    /// A key's token is asked for anew after this, so that scopes, memberships and `last_used_at` stay fresh.
    private static let keyKept: Duration = .seconds(300)
    private static let basicKept: Duration = .seconds(60)
    /// At about 1 KiB each.
    private static let knownMax = 10_000

    init(
        tokens: TokenVerifier, limits: RateLimits, proxies: TrustedProxies, allowsBasic: Bool,
        ask: @escaping @Sendable (Secret, Sender) async throws -> String
    ) {
        self.tokens = tokens
        self.limits = limits
        self.proxies = proxies
        self.allowsBasic = allowsBasic
        self.ask = ask
    }

    /// Whether the request says who sends it. Most that do have a token we remember.
    static func areSent(with request: Request) -> Bool {
        request.headers.contains("Authorization") || request.headers.contains("X-Api-Key")
    }

    /// Who sent a request with a token that was verified before; nil for every other one, which ``admit(_:)`` judges.
    func remembered(_ request: Request) -> Principal? { try? tokens.remembered(request) }

    /// Who sent the request; nil when it says nothing about it. What was no token has become one afterwards.
    /// - Throws: 401 for a credential that does not count, 429 for too many of them.
    func admit(_ request: inout Request) async throws -> Principal? {
        do {
            guard let secret = try secret(of: request) else {
                guard request.bearerToken != nil else { return nil }
                return try await tokens.authenticate(request)
            }
            request.headers.remove("X-Api-Key")
            request.headers.remove("Authorization")
            let (token, principal) = try await exchanged(secret, sender(of: request))
            request.headers.set("Authorization", "Bearer \(token)")
            return principal
        } catch let problem as Problem where problem.status == 401 && request.path.hasPrefix("/api/auth/") {
            // Where one logs in or refreshes, an old token that is sent along must not stand in the way. Auth itself
            // asks for a good one where it needs one.
            return nil
        }
    }

    /// The token a socket's credential stands for, and whose it is.
    func verify(_ credential: String, of request: Request) async throws -> (token: String, principal: Principal) {
        guard credential.hasPrefix("sk_") else { return (credential, try await tokens.verify(credential)) }
        return try await exchanged(.key(credential), sender(of: request))
    }

    /// - Throws: 401 when a token that was good has ended since.
    func recheck(_ token: String) async throws { _ = try await tokens.verify(token) }

    private func sender(of request: Request) -> Sender {
        Sender(
            address: proxies.caller(of: request), userAgent: String((request.headers["User-Agent"] ?? "").prefix(300)))
    }

    /// What the request carries that is no token; nil for a token or nothing.
    private func secret(of request: Request) throws(Problem) -> Secret? {
        guard let field = request.headers["Authorization"] else {
            guard let key = request.headers["X-Api-Key"] else { return nil }
            guard key.hasPrefix("sk_") else { throw .unauthorized("X-Api-Key holds no API key.") }
            return .key(key)
        }
        if let token = request.bearerToken { return token.hasPrefix("sk_") ? .key(token) : nil }
        guard field.utf8.count > 6, field.prefix(6).lowercased() == "basic " else { return nil }
        guard allowsBasic else {
            throw .unauthorized("HTTP Basic is switched off; send an access token as `Authorization: Bearer <token>`.")
        }
        // RFC 7617: the user name ends at the first colon.
        guard let bytes = Digest.decodeBase64(field.dropFirst(6).drop { $0 == " " }),
            let text = String(validating: bytes, as: UTF8.self), let colon = text.firstIndex(of: ":")
        else { throw .unauthorized("The Basic credentials are malformed.") }
        return .basic(user: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
    }

    private func exchanged(
        _ secret: Secret, _ sender: Sender
    ) async throws -> (token: String, principal: Principal) {
        let mark = mark(secret, sender)
        if let token = known(mark) {
            do { return (token, try await tokens.verify(token)) } catch let problem as Problem
                where problem.status == 401
            {
                // Revoked since: perhaps only this token, not what it was made for.
                state.withLock { $0.known[mark] = nil }
            }
        }
        let token = try await together(mark, secret, sender)
        return (token, try await tokens.verify(token))
    }

    private func mark(_ secret: Secret, _ sender: Sender) -> Mark {
        let text =
            switch secret {
            case .key(let key): "key\0\(key)"
            // A password is judged with its sender: what one was let in with is not remembered for another.
            case .basic(let user, let password): "basic\0\(user)\0\(password)\0\(sender.address)\0\(sender.userAgent)"
            }
        return Digest.hmacSHA256(key: markKey, Array(text.utf8))
    }

    private func known(_ mark: Mark) -> String? {
        state.withLock { state in
            guard let known = state.known[mark] else { return nil }
            if known.until > .now() { return known.token }
            state.known[mark] = nil
            return nil
        }
    }

    /// Asks auth, once for all who wait with the same credential.
    private func together(_ mark: Mark, _ secret: Secret, _ sender: Sender) async throws -> String {
        let (flight, isFirst) = state.withLock { state in
            if let flight = state.flights[mark] { return (flight, false) }
            let flight = Flight()
            state.flights[mark] = flight
            return (flight, true)
        }
        if isFirst {
            // A task of its own: when the first caller goes away, the others still want to know.
            EventLoop.required().spawn("exchange") { [self] in
                let result: Result<String, any Error>
                do {
                    // Guessing is counted like anything else that is asked without a token.
                    let window = await limits.takeTogether(
                        .address(sender.address), .standard, now: Instant.now().seconds)
                    if let window, !window.allowed {
                        throw Problem.rateLimited(retryAfter: Int(max(1, window.reset - Instant.now().seconds)))
                    }
                    result = .success(try await ask(secret, sender))
                } catch { result = .failure(error) }
                land(mark, secret, result)
                flight.land(result)
            }
        }
        return try await flight.value()
    }

    private func land(_ mark: Mark, _ secret: Secret, _ result: Result<String, any Error>) {
        let kept = if case .key = secret { Self.keyKept } else { Self.basicKept }
        state.withLock { state in
            state.flights[mark] = nil
            guard case .success(let token) = result else { return }
            if state.known.count >= Self.knownMax {
                let now = Instant.now()
                state.known = state.known.filter { $0.value.until > now }
                if state.known.count >= Self.knownMax { state.known.removeAll(keepingCapacity: true) }
            }
            state.known[mark] = Known(token: token, until: .now() + kept)
        }
    }

    /// One question to auth that any number of requests wait for, on whatever loops.
    private final class Flight: Sendable {
        private struct Waiting {
            var result: Result<String, any Error>?
            var waiters: [UnsafeContinuation<String, any Error>] = []
        }

        private let waiting = Guarded<Waiting>(Waiting())

        func value() async throws -> String {
            try await withUnsafeThrowingContinuation { continuation in
                let result = waiting.withLock { waiting in
                    if waiting.result == nil { waiting.waiters.append(continuation) }
                    return waiting.result
                }
                if let result { continuation.resume(with: result) }
            }
        }

        func land(_ result: Result<String, any Error>) {
            let waiters = waiting.withLock { waiting in
                waiting.result = result
                return waiting.waiters
            }
            for waiter in waiters { waiter.resume(with: result) }
        }
    }
}

extension Credentials {
    /// Until auth answers: a password check may wait behind others.
    private static let answerMax: Duration = .seconds(8)

    /// Asks one replica of auth after another.
    static func live(upstreams: Upstreams, client: Client) -> @Sendable (Secret, Sender) async throws -> String {
        { secret, sender in
            var failure: any Error = Problem(.upstreamUnavailable)
            for url in upstreams.urls(.auth) {
                do {
                    var request = ClientRequest.post(url + "/internal/auth/exchange", json: question(secret, sender))
                    request.timeout = answerMax
                    let response = try await client.send(request)
                    if response.isSuccess, let token = try response.json()["access"]?.string { return token }
                    if (400..<500).contains(response.status) { throw refusal(response) }
                } catch let problem as Problem {
                    throw problem
                } catch {
                    failure = error
                }
            }
            throw Problem(
                .upstreamUnavailable, "Credentials cannot be checked at the moment; try again shortly.", cause: failure)
        }
    }

    private static func question(_ secret: Secret, _ sender: Sender) -> JSON {
        var question: JSONObject =
            switch secret {
            case .key(let key): ["key": .string(key)]
            case .basic(let user, let password): ["user": .string(user), "password": .string(password)]
            }
        question["address"] = .string(String(sender.address.prefix(64)))
        question["user_agent"] = .string(sender.userAgent)
        return .object(question)
    }

    /// What auth says of it, in its words. What it calls a bad field is a bad credential here.
    private static func refusal(_ response: ClientResponse) -> Problem {
        let body = try? response.json()
        let error = body?["error"] ?? body
        guard let code = error?["code"]?.string.flatMap(Problem.Code.init(rawValue:)), code != .validationError,
            let message = error?["message"]?.string
        else { return .unauthorized("The credentials are not valid.") }
        var problem = code == .unauthorized ? Problem.unauthorized(message) : Problem(code, message)
        if let wait = response.headers["Retry-After"] { problem.headers.append(("Retry-After", wait)) }
        return problem
    }
}
