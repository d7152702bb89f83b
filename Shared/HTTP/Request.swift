import Runtime
import Shared

/// One HTTP request, already checked by the parser: token method, origin-form target, exactly one host.
public struct Request: Sendable {
    public var method: Method
    /// Path and query as sent, always starting with `/` (or `*` for OPTIONS).
    public var target: String
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public var minorVersion: Int
    public var headers: Headers
    public var body: Body
    /// The address at the other end of the socket, without the port.
    public var peer: String
    /// Whether it came over TLS.
    public var isSecure: Bool

    // Filled in by the router.

    /// Path parameters by name, percent-decoded.
    public var parameters: [(name: String, value: String)] = []
    /// `X-Request-Id`: the caller's if it is a harmless one, else a new one.
    public var id = ""
    public var trace: TraceContext?
    public var principal: Principal?
    /// When the answer has to be out.
    public var deadline: ContinuousClock.Instant?
    /// The most bytes `bytes()`, `json()` and `urlEncoded()` accept; the route's own limit once routed.
    public var bodyMax = Request.bodyMaxDefault

    /// 1 MiB: no JSON body of the API comes near it, and 1000 of them at once still fit in memory.
    public static let bodyMaxDefault = 1 << 20

    public init(
        _ method: Method, _ target: String, headers: Headers = Headers(), body: Body = Body(), minorVersion: Int = 1,
        peer: String = "", isSecure: Bool = false
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.minorVersion = minorVersion
        self.peer = peer
        self.isSecure = isSecure
    }

    /// The target up to the `?`, still percent-encoded.
    public var path: Substring {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return target[...] }
        return target[..<mark]
    }

    /// The path's segments, percent-decoded; nil when an escape is malformed, is no UTF-8 or hides a NUL.
    public var pathSegments: [String]? {
        var segments: [String] = []
        for part in path.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let segment = URLText.decode(Substring(part)) else { return nil }
            segments.append(segment)
        }
        return segments
    }

    /// The text after the `?`, undecoded; empty when there is none.
    public var rawQuery: Substring {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return "" }
        return target[target.utf8.index(after: mark)...]
    }

    /// The query's pairs, decoded as a form (`+` is a space), in order. Malformed escapes are kept as they are.
    public var query: [(String, String)] { URLText.pairs(rawQuery) }

    /// The path parameter of that name; empty when the route has none, which is a mistake in the route table.
    public func parameter(_ name: String) -> String {
        parameters.first { $0.name == name }?.value ?? ""
    }

    /// The whole body. Over `max` (default: the route's limit) → ``Body/TooLarge``, answered with 413.
    public func bytes(max: Int? = nil) async throws -> [UInt8] {
        try await body.bytes(max: max ?? bodyMax)
    }
}
