import Shared

/// One endpoint: how it is reached, who may call it, what it takes and returns, and what answers it. The same value
/// serves requests and describes itself, so nothing is served that the OpenAPI document does not know.
public struct Route: Sendable {
    public typealias Handler = @Sendable (Request) async throws -> Response

    /// Which of the two APIs it belongs to: that decides the shape of errors and how strict queries are.
    public enum Family: String, Sendable {
        /// `/api/v1`: document 003.
        case manager
        /// Every other `/api`: documents 000, 001, 002 and 004.
        case classic
        /// Webhooks, sockets, documents, assets.
        case plain
        /// Probes and what programs ask each other.
        case `internal`

        /// The family of a path nobody serves.
        public init(path: some StringProtocol) {
            if path == "/api/v1" || path.hasPrefix("/api/v1/") || path == "/ws/calls" {
                self = .manager
            } else if path == "/api" || path.hasPrefix("/api/") {
                self = .classic
            } else {
                self = .plain
            }
        }
    }

    /// Which rate limit the gateway counts it under.
    public enum Limit: String, Sendable {
        case standard, analytics, none
    }

    /// How the body comes.
    public enum Content: Sendable {
        case json
        case form
        case multipart
        case raw(String)

        var mediaType: String {
            switch self {
            case .json: "application/json"
            case .form: "application/x-www-form-urlencoded"
            case .multipart: "multipart/form-data"
            case .raw(let type): type
            }
        }
    }

    /// Statuses and what their bodies hold: `[201: .ref("Call", call), 409: nil]`. The family's errors are described
    /// without being named here.
    public struct Returns: Sendable, ExpressibleByDictionaryLiteral {
        public let list: [(status: Int, schema: Schema?)]

        public init(dictionaryLiteral elements: (Int, Schema?)...) { list = elements.map { ($0.0, $0.1) } }

        public static func ok(_ schema: Schema? = nil) -> Returns { [200: schema] }
        public static func created(_ schema: Schema? = nil) -> Returns { [201: schema] }
        public static let nothing: Returns = [204: nil]
    }

    public let method: Method
    /// `/api/v1/calls/{call_id}`; `{name*}` at the end takes the rest of the path, slashes included.
    public let pattern: String
    public let summary: String
    public let detail: String?
    /// `operationId`: unique within the program.
    public let id: String
    public let tag: String
    public let family: Family
    public let access: Access
    public let limit: Limit
    public let scope: Scope
    public let query: [Parameter]
    public let path: [Parameter]
    public let headers: [Parameter]
    public let body: Schema?
    public let consumes: Content
    public let returns: Returns
    /// Media type of the page or file it returns; several separated by commas. Objects are JSON all the same.
    public let produces: String
    public let bodyMax: Int
    /// Until the response starts; a stream or socket may then last. From `noDeadline` on no timer is set at all: for
    /// handlers that bound their own waiting, such as forwarding.
    public let deadline: Duration
    public static let noDeadline: Duration = .seconds(86_400)
    /// Honours `Idempotency-Key`. Leave it off for what hands out tokens or keys: their answers must not be stored.
    public let idempotent: Bool
    public let handler: Handler

    public init(
        _ method: Method, _ pattern: String, _ summary: String, detail: String? = nil, id: String? = nil,
        tag: String? = nil, family: Family? = nil, access: Access, limit: Limit = .standard, query: [Parameter] = [],
        path: [Parameter] = [], headers: [Parameter] = [], body: Schema? = nil, consumes: Content = .json,
        returns: Returns = .ok(), produces: String = "application/json", bodyMax: Int = Request.bodyMaxDefault,
        deadline: Duration = .seconds(10), idempotent: Bool = false, handler: @escaping Handler
    ) {
        let names = PathNames(pattern)
        self.method = method
        self.pattern = pattern
        self.summary = summary
        self.detail = detail
        self.id = id ?? names.operation(method)
        self.tag = tag ?? names.area
        self.family = family ?? (access == .internal ? .internal : Family(path: pattern))
        self.access = access
        // Signed webhooks and our own programs are not counted.
        self.limit = access == .signed || access == .internal ? .none : limit
        scope = Scope(area: self.tag, writes: method != .get && method != .head)
        self.query = query
        self.path = names.parameters.map { name in
            path.first { $0.name == name } ?? .path(name, name.hasSuffix("id") ? .uuid : .string)
        }
        self.headers = headers
        self.body = body
        self.consumes = consumes
        self.returns = returns
        self.produces = produces
        self.bodyMax = bodyMax
        self.deadline = deadline
        self.idempotent = idempotent
        self.handler = handler
    }

    /// The methods a path may have; the initializer's other parameters are the same for each of them.
    public static func get(
        _ pattern: String, _ summary: String, detail: String? = nil, id: String? = nil, tag: String? = nil,
        family: Family? = nil, access: Access, limit: Limit = .standard, query: [Parameter] = [],
        path: [Parameter] = [],
        headers: [Parameter] = [], returns: Returns = .ok(), produces: String = "application/json",
        deadline: Duration = .seconds(10), handler: @escaping Handler
    ) -> Route {
        Route(
            .get, pattern, summary, detail: detail, id: id, tag: tag, family: family, access: access, limit: limit,
            query: query, path: path, headers: headers, returns: returns, produces: produces, deadline: deadline,
            handler: handler)
    }

    public static func post(
        _ pattern: String, _ summary: String, detail: String? = nil, id: String? = nil, tag: String? = nil,
        family: Family? = nil, access: Access, limit: Limit = .standard, query: [Parameter] = [],
        path: [Parameter] = [],
        headers: [Parameter] = [], body: Schema? = nil, consumes: Content = .json, returns: Returns = .ok(),
        produces: String = "application/json", bodyMax: Int = Request.bodyMaxDefault,
        deadline: Duration = .seconds(10), idempotent: Bool = false, handler: @escaping Handler
    ) -> Route {
        Route(
            .post, pattern, summary, detail: detail, id: id, tag: tag, family: family, access: access, limit: limit,
            query: query, path: path, headers: headers, body: body, consumes: consumes, returns: returns,
            produces: produces, bodyMax: bodyMax, deadline: deadline, idempotent: idempotent, handler: handler)
    }

    public static func put(
        _ pattern: String, _ summary: String, detail: String? = nil, id: String? = nil, tag: String? = nil,
        family: Family? = nil, access: Access, limit: Limit = .standard, query: [Parameter] = [],
        path: [Parameter] = [],
        headers: [Parameter] = [], body: Schema? = nil, consumes: Content = .json, returns: Returns = .ok(),
        produces: String = "application/json", bodyMax: Int = Request.bodyMaxDefault,
        deadline: Duration = .seconds(10), handler: @escaping Handler
    ) -> Route {
        Route(
            .put, pattern, summary, detail: detail, id: id, tag: tag, family: family, access: access, limit: limit,
            query: query, path: path, headers: headers, body: body, consumes: consumes, returns: returns,
            produces: produces, bodyMax: bodyMax, deadline: deadline, handler: handler)
    }

    public static func patch(
        _ pattern: String, _ summary: String, detail: String? = nil, id: String? = nil, tag: String? = nil,
        family: Family? = nil, access: Access, limit: Limit = .standard, query: [Parameter] = [],
        path: [Parameter] = [],
        headers: [Parameter] = [], body: Schema? = nil, consumes: Content = .json, returns: Returns = .ok(),
        produces: String = "application/json", bodyMax: Int = Request.bodyMaxDefault,
        deadline: Duration = .seconds(10), handler: @escaping Handler
    ) -> Route {
        Route(
            .patch, pattern, summary, detail: detail, id: id, tag: tag, family: family, access: access, limit: limit,
            query: query, path: path, headers: headers, body: body, consumes: consumes, returns: returns,
            produces: produces, bodyMax: bodyMax, deadline: deadline, handler: handler)
    }

    public static func delete(
        _ pattern: String, _ summary: String, detail: String? = nil, id: String? = nil, tag: String? = nil,
        family: Family? = nil, access: Access, limit: Limit = .standard, query: [Parameter] = [],
        path: [Parameter] = [],
        headers: [Parameter] = [], body: Schema? = nil, consumes: Content = .json, returns: Returns = .nothing,
        produces: String = "application/json", bodyMax: Int = Request.bodyMaxDefault,
        deadline: Duration = .seconds(10), handler: @escaping Handler
    ) -> Route {
        Route(
            .delete, pattern, summary, detail: detail, id: id, tag: tag, family: family, access: access, limit: limit,
            query: query, path: path, headers: headers, body: body, consumes: consumes, returns: returns,
            produces: produces, bodyMax: bodyMax, deadline: deadline, handler: handler)
    }
}

/// What a pattern's own words tell.
struct PathNames {
    private let segments: [Substring]

    init(_ pattern: String) { segments = pattern.split(separator: "/") }

    /// Names in braces, in order, without the star.
    var parameters: [String] { segments.compactMap(PathNames.parameter) }

    /// The first word that says what the route is about: `/api/v1/calls/{id}` → `calls`.
    var area: String {
        let skipped: Set<Substring> = ["api", "v1"]
        let word = segments.first { !skipped.contains($0) && PathNames.parameter($0) == nil }
        return word.map(String.init) ?? "root"
    }

    /// `getV1CallsByCallIdInteractions`.
    func operation(_ method: Method) -> String {
        var name = method.name.lowercased()
        for (index, segment) in segments.enumerated() where !(index == 0 && segment == "api") {
            if let parameter = PathNames.parameter(segment) {
                name += "By" + PathNames.camel(parameter)
            } else {
                name += PathNames.camel(segment)
            }
        }
        return name
    }

    static func parameter(_ segment: Substring) -> String? {
        guard segment.hasPrefix("{"), segment.hasSuffix("}") else { return nil }
        return String(segment.dropFirst().dropLast().filter { $0 != "*" })
    }

    private static func camel(_ text: some StringProtocol) -> String {
        text.split(whereSeparator: { !($0.isASCII && ($0.isLetter || $0.isNumber)) })
            .map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }
}
