import Access
import HTTP
import Runtime
import Shared

/// What every request from outside passes: an id and a trace, cross-origin rules, who it is, how often they may ask, and
/// then either our own routes or the program that owns the path.
final class Front: Sendable {
    private let table: RouteTable
    private let own: Router
    private let credentials: Credentials
    private let limits: RateLimits
    private let forward: Forward
    private let tunnel: Tunnel
    private let origins: Origins
    private let proxies: TrustedProxies
    private let log: Log

    init(
        table: RouteTable, own: Router, credentials: Credentials, limits: RateLimits, forward: Forward, tunnel: Tunnel,
        origins: Origins, proxies: TrustedProxies, log: Log
    ) {
        self.table = table
        self.own = own
        self.credentials = credentials
        self.limits = limits
        self.forward = forward
        self.tunnel = tunnel
        self.origins = origins
        self.proxies = proxies
        self.log = log
    }

    /// What becomes known of a request on its way, and is told when it has been answered.
    private struct Passage {
        /// ``MonotonicClock``.
        let began = MonotonicClock.now()
        let id: String
        let trace: TraceContext
        var owner: Owner?
        var principal: Principal?
        var window: RateWindow.Answer?
    }

    func respond(to arrived: Request) async -> Response {
        var request = arrived
        let trace = request.traceparent?.child() ?? .new()
        var passage = Passage(id: request.harmlessID ?? trace.traceIDText, trace: trace)
        var response: Response
        do {
            if let preflight = origins.preflight(request) {
                response = preflight
            } else if let entry = table.plainEntry(request.target), let owner = entry.owner {
                passage.owner = owner
                let address = proxies.caller(of: request)
                try await admit(&request, entry.limit, address, &passage)
                response = try await forward(
                    request, to: owner, .init(from: address, id: passage.id, trace: trace))
            } else {
                guard let segments = request.pathSegments?.filter({ !$0.isEmpty }) else {
                    throw Problem(.badRequest, "The path has a malformed escape.")
                }
                guard !segments.contains(where: { $0 == "." || $0 == ".." || $0 == "internal" && segments.first == $0 })
                else {
                    throw Problem(.routeNotFound, "There is nothing at this address.")
                }
                let entry = table.entry(for: segments)
                passage.owner = entry?.owner
                let address = proxies.caller(of: request)
                try await admit(&request, entry?.limit ?? Self.ownLimit(segments), address, &passage)
                if segments.starts(with: ["ws", "relay"]) {
                    passage.owner = .telephony
                    response = try await tunnel(
                        request, to: .telephony, .init(from: address, id: passage.id, trace: trace))
                } else if let owner = entry?.owner {
                    response = try await forward(
                        request, to: owner, .init(from: address, id: passage.id, trace: trace))
                } else {
                    // Our own routes log and count themselves.
                    response = await own.respond(to: request)
                    finish(&response, request, passage)
                    return response
                }
            }
        } catch {
            response = refusal(error, request, passage)
        }
        finish(&response, request, passage)
        note(response, request, passage)
        return response
    }

    /// Finds out who asks, and counts it.
    /// - Throws: 401 for a token that does not count, 429 when they have asked too often.
    @inline(__always)
    private func admit(
        _ request: inout Request, _ limit: LimitClass, _ address: String, _ passage: inout Passage
    ) async throws {
        passage.principal = credentials.remembered(request)
        if passage.principal == nil, Credentials.areSent(with: request) {
            passage.principal = try await TraceContext.$current.withValue(passage.trace) {
                try await credentials.admit(&request)
            }
        }
        if limit == .uncounted { return }
        let now = Instant.now().seconds
        let caller = passage.principal.map { Caller.user($0.user) } ?? .address(address)
        // Without a server to ask there is nothing to wait for, and then no wait is made.
        passage.window =
            limits.areShared
            ? await limits.takeTogether(caller, limit, now: now) : limits.take(caller, limit, now: now)
        if let window = passage.window, !window.allowed {
            throw Problem.rateLimited(retryAfter: Int(max(1, window.reset - now)))
        }
    }

    private func refusal(_ error: any Error, _ request: Request, _ passage: Passage) -> Response {
        let problem: Problem
        if let told = error as? Problem {
            problem = told
            if problem.status >= 500 {
                log.line(.error, "request.failed", trace: passage.trace) { json in
                    json.field("code", problem.code.rawValue)
                    json.field("program", passage.owner?.rawValue ?? "gateway")
                    json.field("error", problem.cause.map { "\($0)" } ?? problem.message)
                }
            }
        } else {
            problem = .internalError(error)
            log.line(.error, "request.failed", trace: passage.trace) { $0.field("error", "\(error)") }
        }
        return .problem(problem, family: Route.Family(path: request.path))
    }

    /// How requests to our own routes, and to no route at all, are counted: the description and its pages are not.
    private static func ownLimit(_ segments: [String]) -> LimitClass {
        guard segments.first == "api" else { return .uncounted }
        return segments.count == 2 && ["schema", "docs", "redoc"].contains(segments[1]) ? .uncounted : .standard
    }

    private func finish(_ response: inout Response, _ request: Request, _ passage: Passage) {
        response.headers.setTrusted("X-Request-Id", passage.id)
        if let window = passage.window {
            response.headers.setTrusted("X-RateLimit-Limit", window.limit)
            response.headers.setTrusted("X-RateLimit-Remaining", window.remaining)
            response.headers.setTrusted("X-RateLimit-Reset", Int(window.reset))
        }
        origins.mark(&response, request)
    }

    /// One line a request. It names the program and the path's owner, never the query: queries may hold tokens.
    private func note(_ response: Response, _ request: Request, _ passage: Passage) {
        let spent = MonotonicClock.now() - passage.began
        Self.durations[passage.owner?.place ?? Owner.allCases.count].observe(nanoseconds: spent)
        guard log.least <= .info else { return }
        log.line(.info, "request", trace: passage.trace) { json in
            json.field("method", request.method.name)
            json.field("program", passage.owner?.rawValue ?? "gateway")
            json.field("status", response.status)
            // Of thousandths, so that the text is short.
            json.field("ms", Double(spent / 1000) / 1000)
            json.field("request_id", passage.id)
            json.field("user", ifPresent: passage.principal?.user)
        }
    }

    /// By the owner's place; the last is our own.
    private static let durations: [Histogram] = (Owner.allCases.map(\.rawValue) + ["gateway"]).map { program in
        Metrics.shared.histogram(
            "switchboard_proxy_duration_seconds", "From a request's head to the start of its answer.",
            ("program", program))
    }
}

extension Request {
    /// The caller's `X-Request-Id` if it is a harmless one.
    fileprivate var harmlessID: String? {
        guard let given = headers["X-Request-Id"], (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ $0 > 0x2C && $0 < 0x7B && $0 != 0x3B && $0 != 0x3C && $0 != 0x3E && $0 != 0x5C })
        else { return nil }
        return given
    }
}

/// Cross-origin rules: a list of origins that may read our answers from a browser.
struct Origins: Sendable {
    /// Empty: none but our own.
    let allowed: Set<String>

    private static let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    private static let headers =
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Api-Key, X-Request-Id, traceparent"
    private static let exposed =
        "ETag, Retry-After, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"

    /// The answer to a browser that asks before it asks; nil for anything else.
    func preflight(_ request: Request) -> Response? {
        guard request.method == .options, request.headers.contains("Access-Control-Request-Method"),
            let origin = request.headers["Origin"], allowed.contains(origin)
        else { return nil }
        return Response(
            status: 204,
            headers: [
                "Access-Control-Allow-Methods": Self.methods, "Access-Control-Allow-Headers": Self.headers,
                "Access-Control-Max-Age": "600",
            ])
    }

    func mark(_ response: inout Response, _ request: Request) {
        guard !allowed.isEmpty, let origin = request.headers["Origin"], allowed.contains(origin) else { return }
        response.headers.set("Access-Control-Allow-Origin", origin)
        response.headers.set("Access-Control-Expose-Headers", Self.exposed)
        response.headers.add("Vary", "Origin")
    }
}
