import Access
import HTTP
import Runtime
import Shared

/// What every request from outside passes: an id and a trace, cross-origin rules, who it is, how often they may ask, and
/// then either our own routes or the program that owns the path.
struct Front: Sendable {
    let table: RouteTable
    let own: Router
    let credentials: Credentials
    let limits: RateLimits
    let forward: Forward
    let tunnel: Tunnel
    let origins: Origins
    let proxies: TrustedProxies
    let log: Log

    func respond(to request: Request) async -> Response {
        let began = ContinuousClock.now
        var request = request
        let trace = request.headers["traceparent"].flatMap { TraceContext(traceparent: $0) }?.child() ?? .new()
        request.trace = trace
        request.id = Self.requestID(request, trace)
        let arrived = request
        return await TraceContext.$current.withValue(trace) { await answer(arrived, began) }
    }

    private func answer(_ arrived: Request, _ began: ContinuousClock.Instant) async -> Response {
        var request = arrived
        let address = proxies.caller(of: request)
        let family = Route.Family(path: request.path)
        var response: Response
        var principal: Principal?
        var window: RateWindow.Answer?
        var owner: Owner?
        if let preflight = origins.preflight(request) {
            response = preflight
        } else {
            do {
                guard let segments = request.pathSegments?.filter({ !$0.isEmpty }) else {
                    throw Problem(.badRequest, "The path has a malformed escape.")
                }
                guard !segments.contains(where: { $0 == "." || $0 == ".." || $0 == "internal" && segments.first == $0 })
                else {
                    throw Problem(.routeNotFound, "There is nothing at this address.")
                }
                let entry = table.entry(for: segments)
                owner = entry?.owner
                principal = try await credentials.admit(&request)
                let caller = principal.map { Caller.user($0.user) } ?? .address(address)
                let limit = entry?.limit ?? Self.ownLimit(segments)
                window = limits.take(caller, limit, now: Instant.now().seconds)
                if let window, !window.allowed {
                    throw Problem.rateLimited(retryAfter: Int(max(1, window.reset - Instant.now().seconds)))
                }
                if segments.starts(with: ["ws", "relay"]) {
                    owner = .telephony
                    response = try await tunnel(request, to: .telephony, from: address)
                } else if let owner {
                    response = try await forward(request, to: owner, from: address)
                } else {
                    // Our own routes log and count themselves.
                    response = await own.respond(to: request)
                    finish(&response, request, window)
                    return response
                }
            } catch let problem as Problem {
                if problem.status >= 500 {
                    log.error(
                        "request.failed", ("code", "\(problem.code.rawValue)"),
                        ("program", "\(owner?.rawValue ?? "gateway")"),
                        ("error", "\(problem.cause.map { "\($0)" } ?? problem.message)"))
                }
                response = .problem(problem, family: family)
            } catch {
                log.error("request.failed", ("error", "\(error)"))
                response = .problem(.internalError(error), family: family)
            }
        }
        finish(&response, request, window)
        note(response, request, owner, principal, began)
        return response
    }

    /// How requests to our own routes, and to no route at all, are counted: the description and its pages are not.
    private static func ownLimit(_ segments: [String]) -> LimitClass {
        guard segments.first == "api" else { return .uncounted }
        return segments.count == 2 && ["schema", "docs", "redoc"].contains(segments[1]) ? .uncounted : .standard
    }

    private func finish(_ response: inout Response, _ request: Request, _ window: RateWindow.Answer?) {
        response.headers.set("X-Request-Id", request.id)
        if let window {
            response.headers.set("X-RateLimit-Limit", "\(window.limit)")
            response.headers.set("X-RateLimit-Remaining", "\(window.remaining)")
            response.headers.set("X-RateLimit-Reset", "\(window.reset)")
        }
        origins.mark(&response, request)
    }

    /// One line a request. It names the program and the path's owner, never the query: queries may hold tokens.
    private func note(
        _ response: Response, _ request: Request, _ owner: Owner?, _ principal: Principal?,
        _ began: ContinuousClock.Instant
    ) {
        let spent = began.duration(to: .now)
        let program = owner?.rawValue ?? "gateway"
        Self.durations[program]?.observe(spent)
        guard log.least <= .info else { return }
        var fields: [(String, LogValue)] = [
            ("method", .string(request.method.name)), ("program", .string(program)),
            ("status", .int(Int64(response.status))),
            ("ms", .double(spent.inSeconds * 1000)), ("request_id", .string(request.id)),
        ]
        if let principal { fields.append(("user", .string(principal.user.text))) }
        log.line(.info, "request", fields)
    }

    private static let durations: [String: Histogram] = Dictionary(
        uniqueKeysWithValues: (Owner.allCases.map(\.rawValue) + ["gateway"]).map { program in
            (
                program,
                Metrics.shared.histogram(
                    "switchboard_proxy_duration_seconds", "From a request's head to the start of its answer.",
                    ("program", program))
            )
        })

    /// The caller's `X-Request-Id` if it is a harmless one, else the trace's id.
    private static func requestID(_ request: Request, _ trace: TraceContext) -> String {
        guard let given = request.headers["X-Request-Id"], (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ $0 > 0x2C && $0 < 0x7B && $0 != 0x3B && $0 != 0x3C && $0 != 0x3E && $0 != 0x5C })
        else { return trace.traceIDText }
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
        guard let origin = request.headers["Origin"], allowed.contains(origin) else { return }
        response.headers.set("Access-Control-Allow-Origin", origin)
        response.headers.set("Access-Control-Expose-Headers", Self.exposed)
        response.headers.add("Vary", "Origin")
    }
}

/// Which peers may say, in `X-Forwarded-For`, for whom they ask.
struct TrustedProxies: Sendable {
    let addresses: Set<String>

    /// The address a request is counted under: the last one in the list that is no proxy of ours.
    func caller(of request: Request) -> String {
        guard addresses.contains(request.peer), let list = request.headers["X-Forwarded-For"] else {
            return request.peer
        }
        let hops = list.split(separator: ",").map { $0.filter { $0 != " " } }
        return hops.last { !addresses.contains($0) && Address(host: $0, port: 0) != nil } ?? request.peer
    }
}
