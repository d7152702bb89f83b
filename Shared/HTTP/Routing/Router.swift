import Runtime
import Shared

/// Finds the route of a request, enforces what the route says about itself, runs its handler in the time it has, and
/// turns whatever comes of it into a response of the route's family. It never throws.
public final class Router: Sendable {
    public typealias Authenticate = @Sendable (Request) async throws -> Principal

    public let program: String
    /// Everything served, the internal routes included.
    public let routes: [Route]
    public let openAPI: JSON
    private let tree: RouteTree
    private let served: [ServedRoute]
    private let lost: ServedRoute
    private let authenticate: Authenticate
    private let idempotency: IdempotencyGuard?
    let log: Log

    /// Two routes for one method and path, or two of one operation id, stop the program: a mistake in its table.
    /// - Parameters:
    ///   - authenticate: who a request's token belongs to; throws 401. Called for routes that need a token only.
    ///   - facesStrangers: leaves out `/metrics` and `/openapi.json`, for the gateway's public port.
    ///   - parts: what `/readyz` reports, and in `degraded` what it says beside that.
    public init(
        _ routes: [Route], program: String, authenticate: @escaping Authenticate = Router.nobody,
        idempotency: IdempotencyGuard? = nil, log: Log? = nil, facesStrangers: Bool = false,
        parts: @escaping @Sendable () -> [(name: String, reason: String?)] = { Health.shared.parts() },
        degraded: @escaping @Sendable () -> [(name: String, how: String)] = { Health.shared.degraded() }
    ) {
        let described =
            routes
            + InternalRoutes.list(document: [], probesOnly: facesStrangers, parts: parts, degraded: degraded)
        openAPI = OpenAPI.document(described, title: "Switchboard \(program)", program: program)
        let all =
            routes
            + InternalRoutes.list(
                document: openAPI.jsonBytes, probesOnly: facesStrangers, parts: parts, degraded: degraded)
        var tree = RouteTree()
        var operations: Set<String> = []
        for (index, route) in all.enumerated() {
            if let mistake = tree.add(route.method, route.pattern, route: index) {
                preconditionFailure("route table of \(program): \(mistake)")
            }
            precondition(operations.insert(route.id).inserted, "route table of \(program): two are called \(route.id)")
        }
        self.program = program
        self.routes = all
        self.tree = tree
        self.authenticate = authenticate
        self.idempotency = idempotency
        self.log = log ?? Log(program: program)
        served = all.map(ServedRoute.init)
        lost = ServedRoute.lost
    }

    /// For programs without routes that need a token: nobody has one.
    public static let nobody: Authenticate = { _ in throw Problem.unauthorized() }

    public func respond(to request: Request) async -> Response {
        var request = request
        let trace = request.traceparent?.child() ?? .new()
        request.trace = trace
        request.id = RequestID.of(request, trace)
        let arrived = request
        return await TraceContext.$current.withValue(trace) { await answer(arrived) }
    }

    private func answer(_ request: Request) async -> Response {
        var exchange = Exchange(request, lost)
        switch tree.find(request.method, request.target) {
        case .route(let index, let values):
            exchange.served = served[index]
            exchange.accept(values)
            await perform(&exchange)
        case .wrongMethod(let allowed):
            if request.method == .options {
                exchange.response = Response(status: 204, headers: ["Allow": allowed.joined(separator: ", ")])
            } else {
                exchange.refuse(.methodNotAllowed(allowed), family: Route.Family(path: request.path))
            }
        case .none:
            if request.method == .options, request.target == "*" {
                let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
                exchange.response = Response(status: 204, headers: ["Allow": methods])
            } else {
                exchange.refuse(
                    Problem(.routeNotFound, "There is nothing at this address."),
                    family: Route.Family(path: request.path))
            }
        }
        return exchange.finished(log)
    }

    private func perform(_ exchange: inout Exchange) async {
        let (request, served) = (exchange.request, exchange.served)
        do {
            let principal = Confided<Principal>()
            // Noted as soon as it is known: also a refused request is logged with who made it.
            defer { exchange.request.principal = principal.value }
            if served.route.deadline >= Route.noDeadline {
                exchange.response = try await serve(request, served.route, principal)
            } else {
                exchange.response = try await withDeadline(exchange.timeLeft) { [self] in
                    try await serve(request, served.route, principal)
                }
            }
        } catch {
            let problem = Problem(told: error)
            if problem.status >= 500 {
                log.error(
                    "request.failed", ("request_id", "\(request.id)"), ("route", "\(served.route.pattern)"),
                    ("code", "\(problem.code.rawValue)"), ("error", "\(problem.cause ?? error)"))
            }
            exchange.refuse(problem, family: served.route.family)
        }
    }

    private func serve(_ request: Request, _ route: Route, _ principal: Confided<Principal>) async throws -> Response {
        var request = request
        if route.access.needsPrincipal {
            let found = try await authenticate(request)
            principal.value = found
            request.principal = found
            try route.access.admit(found)
            try route.scope.admit(found)
        } else if route.access == .internal, request.headers.contains("X-Forwarded-For") {
            // It came through a proxy, and the gateway never forwards these.
            throw Problem(.routeNotFound, "There is nothing at this address.")
        }
        if route.family == .manager { try route.refuseUnknownQuery(request) }
        guard route.idempotent, let idempotency else { return try await route.handler(request) }
        return try await idempotency.once(
            request, shownAt: route.shown(at: request.path, among: routes),
            { log.error("idempotency.not_kept", ("request_id", "\(request.id)"), ("error", "\($0)")) },
            route.handler)
    }
}

/// A value handed out of a closure that runs on the same loop.
private final class Confided<Value> {
    var value: Value?
}

extension Route {
    /// v1 takes no parameter it does not know: a misspelt filter would silently mean "everything".
    func refuseUnknownQuery(_ request: Request) throws(Problem) {
        if request.rawQuery.isEmpty { return }
        let unknown = request.query.map(\.0).filter { name in !query.contains { $0.name == name } }
        if unknown.isEmpty { return }
        let known = query.map(\.name).joined(separator: ", ")
        let hint = query.isEmpty ? "there are none here" : "known are \(known)"
        throw .validation(unknown.map { ($0, "is no parameter of this address; \(hint)") })
    }
}

extension Server {
    /// A server that answers by the router's table.
    public convenience init(
        port: Int, host: String = "0.0.0.0", router: Router, tls: TLS.Files? = nil,
        limits: ServerLimits = ServerLimits(), name: String = "http"
    ) {
        self.init(port: port, host: host, tls: tls, limits: limits, name: name, log: router.log) { request in
            await router.respond(to: request)
        }
    }
}
