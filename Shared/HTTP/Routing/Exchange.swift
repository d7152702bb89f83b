import Runtime
import Shared

/// One request on its way to its response, and what is told about it afterwards.
struct Exchange {
    var request: Request
    var served: ServedRoute
    var response = Response(status: 500)
    private let began = ContinuousClock.now
    private var code: Problem.Code?

    init(_ request: Request, _ served: ServedRoute) {
        self.request = request
        self.served = served
    }

    private var route: Route { served.route }

    /// How long its caller still waits, in milliseconds; the gateway says it so that nobody works for nobody.
    static let timeLeftHeader = "X-Deadline-Ms"

    var timeLeft: Duration {
        guard let text = request.headers[Self.timeLeftHeader], let left = Int64(text), left > 0 else {
            return route.deadline
        }
        return min(route.deadline, .milliseconds(left))
    }

    mutating func accept(_ values: [String]) {
        request.parameters = zip(served.names, values).map { (name: $0, value: $1) }
        request.bodyMax = route.bodyMax
        request.deadline = began + timeLeft
    }

    mutating func refuse(_ problem: Problem, family: Route.Family) {
        code = problem.code
        response = .problem(problem, family: family)
    }

    // MARK: - Afterwards

    /// The response with the fields that every response has; counted and logged.
    mutating func finished(_ log: Log) -> Response {
        if route.method == .get, route.family == .manager || route.family == .classic {
            response = response.conditional(request)
        }
        response.headers.setTrusted("X-Request-Id", request.id)
        if let trace = request.trace { response.headers.setTrusted("traceparent", trace.traceparent) }
        secure()
        served.count(response.status, began.duration(to: .now))
        follow(log)
        return response
    }

    private mutating func secure() {
        add("X-Content-Type-Options", "nosniff")
        // A list may be kept as long as it is asked for again with its ETag; anything else not at all.
        add("Cache-Control", response.headers.contains("ETag") ? "private, no-cache" : "no-store")
        // The rest matters to what a browser shows.
        guard route.family == .plain || route.produces == "text/html" else { return }
        add("X-Frame-Options", "DENY")
        add("Referrer-Policy", "no-referrer")
    }

    private mutating func add(_ name: StaticString, _ value: String) {
        if !response.headers.contains("\(name)") { response.headers.addTrusted(name, value) }
    }

    /// Logs now, or when a stream has ended; what runs after the handler keeps the request's trace.
    private mutating func follow(_ log: Log) {
        let entry = AccessEntry(request, served, response.status, code, began)
        let trace = request.trace
        switch response.body {
        case .empty: entry.write(to: log, bytes: 0)
        case .bytes(let bytes): entry.write(to: log, bytes: bytes.count)
        case .stream where request.method == .head: entry.write(to: log, bytes: 0)
        case .stream(let length, let produce):
            response.body = .stream(length: length) { writer in
                try await TraceContext.$current.withValue(trace) { try await entry.follow(log, writer, produce) }
            }
        case .webSocket(var upgrade):
            entry.write(to: log, bytes: 0)
            let serve = upgrade.serve
            upgrade.serve = { socket in
                try await TraceContext.$current.withValue(trace) { try await serve(socket) }
            }
            response.body = .webSocket(upgrade)
        case .upgrade(let serve):
            entry.write(to: log, bytes: 0)
            response.body = .upgrade { transport, leftover in
                try await TraceContext.$current.withValue(trace) { try await serve(transport, leftover) }
            }
        }
    }
}

/// One line of the access log. It names the route, not the address: addresses may hold tokens and phone numbers.
struct AccessEntry: Sendable {
    private let id: String
    private let method: Method
    private let served: ServedRoute
    private let status: Int
    private let code: Problem.Code?
    private let user: UserID?
    private let peer: String
    private let began: ContinuousClock.Instant

    init(
        _ request: Request, _ served: ServedRoute, _ status: Int, _ code: Problem.Code?,
        _ began: ContinuousClock.Instant
    ) {
        id = request.id
        method = request.method
        self.served = served
        self.status = status
        self.code = code
        user = request.principal?.user
        peer = request.peer
        self.began = began
    }

    func write(to log: Log, bytes: Int, isCut: Bool = false) {
        guard log.least <= .info else { return }
        let microseconds = Double(began.duration(to: .now).microseconds)
        var fields: [(String, LogValue)] = [
            ("method", .string(method.name)), ("route", .string(served.route.pattern)), ("status", .int(Int64(status))),
            ("ms", .double(microseconds / 1000)), ("bytes", .int(Int64(bytes))), ("request_id", .string(id)),
            ("peer", .string(peer)),
        ]
        if let user { fields.append(("user", .string(user.text))) }
        if let code { fields.append(("code", .string(code.rawValue))) }
        if isCut { fields.append(("cut", .bool(true))) }
        log.line(.info, "request", fields)
    }

    /// Counts a stream's bytes and logs when it has ended, one way or the other.
    func follow(
        _ log: Log, _ writer: BodyWriter, _ produce: @Sendable (BodyWriter) async throws -> Void
    ) async throws {
        var sent = 0
        let counting = BodyWriter { bytes in
            sent += bytes.count
            try await writer.write(bytes)
        }
        do {
            try await produce(counting)
            write(to: log, bytes: sent)
        } catch {
            write(to: log, bytes: sent, isCut: true)
            throw error
        }
    }
}

/// A route with what is counted about it. A class: a route is a large value, and every request passes one around.
final class ServedRoute: Sendable {
    let route: Route
    /// Of its path parameters, in order.
    let names: [String]
    private let seconds: Histogram
    /// By the status' first digit.
    private let answers: [Counter]

    init(_ route: Route) {
        self.route = route
        names = PathNames(route.pattern).parameters
        let labels = (("method", route.method.name), ("route", route.pattern))
        seconds = Metrics.shared.histogram(
            "http_request_duration_seconds", "From a request's head to its response.", labels.0, labels.1)
        answers = (1...5).map { first in
            Metrics.shared.counter(
                "http_responses_total", "Responses by the class of their status.", labels.0, labels.1,
                ("status", "\(first)xx"))
        }
    }

    func count(_ status: Int, _ duration: Duration) {
        seconds.observe(duration)
        answers[min(max(status / 100, 1), 5) - 1].add()
    }

    /// Stands for everything nobody serves, so that scanners do not fill the metrics with paths.
    static let lost = ServedRoute(
        Route(.other("ANY"), "unknown", "No such route", family: .plain, access: .everyone) { _ in
            throw Problem(.routeNotFound)
        })
}

/// `X-Request-Id`.
enum RequestID {
    /// The caller's if it can do no harm in logs and headers (1 to 128 letters, digits and `._-`), else the trace's: one
    /// thing less to look up.
    static func of(_ request: Request, _ trace: TraceContext) -> String {
        if let given = request.headers["X-Request-Id"], (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy(isPlain)
        {
            return given
        }
        return trace.traceIDText
    }

    private static func isPlain(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
