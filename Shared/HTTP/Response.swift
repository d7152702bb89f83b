import Shared

/// What goes back: status, fields and content. The server adds `Date`, `Content-Length` or
/// `Transfer-Encoding`, and `Connection`; handlers set none of them.
public struct Response: Sendable {
    public var status: Int
    public var headers: Headers
    public var body: Content

    public enum Content: Sendable {
        case empty
        case bytes([UInt8])
        /// Written piece by piece while the connection takes it. With a length exactly that many bytes must follow;
        /// without one it is sent chunked. Throwing breaks the connection off, so the reader knows it is cut short.
        case stream(length: Int?, @Sendable (BodyWriter) async throws -> Void)
        /// 101 has been answered with this response's fields; the rest of the connection belongs to the closure
        /// and is closed when it returns. `leftover` are bytes the peer sent ahead.
        case upgrade(@Sendable (_ stream: Transport, _ leftover: [UInt8]) async throws -> Void)
        /// The server completes the RFC 6455 handshake (or refuses it) and runs the closure with the socket.
        case webSocket(WebSocketUpgrade)
    }

    public init(status: Int, headers: Headers = Headers(), body: Content = .empty) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

extension Response {
    public static func json(_ status: Int = 200, _ value: some JSONWritable) -> Response {
        json(status) { value.write(to: &$0) }
    }

    public static func json(_ status: Int = 200, _ write: (inout JSONWriter) -> Void) -> Response {
        var json = JSONWriter(capacity: 512)
        write(&json)
        return bytes(status, type: "application/json", json.bytes)
    }

    public static func text(_ status: Int = 200, _ text: String) -> Response {
        bytes(status, type: "text/plain; charset=utf-8", Array(text.utf8))
    }

    public static func html(_ status: Int = 200, _ text: String) -> Response {
        bytes(status, type: "text/html; charset=utf-8", Array(text.utf8))
    }

    public static func bytes(_ status: Int = 200, type: String, _ bytes: [UInt8]) -> Response {
        var response = Response(status: status, body: .bytes(bytes))
        response.headers.add("Content-Type", type)
        return response
    }

    /// 204 unless told otherwise.
    public static func empty(_ status: Int = 204) -> Response { Response(status: status) }

    /// 303 after a POST, 302/307/308 as given.
    public static func redirect(_ status: Int = 303, to location: String) -> Response {
        Response(status: status, headers: ["Location": location])
    }

    public static func stream(
        _ status: Int = 200, type: String, length: Int? = nil,
        _ write: @escaping @Sendable (BodyWriter) async throws -> Void
    ) -> Response {
        Response(status: status, headers: ["Content-Type": type], body: .stream(length: length, write))
    }

    /// Turns the connection into a WebSocket. The server answers 400, 403 or 426 itself when the request is no
    /// proper handshake. `name` is the chosen sub-protocol and must be one the client offered.
    public static func webSocket(
        _ name: String? = nil, limits: WebSocket.Limits = WebSocket.Limits(), origins: [String]? = nil,
        _ serve: @escaping @Sendable (WebSocket) async throws -> Void
    ) -> Response {
        Response(
            status: 101,
            body: .webSocket(WebSocketUpgrade(subprotocol: name, limits: limits, origins: origins, serve: serve)))
    }

    /// The reason phrase of the status line; nobody reads it, but some tools print it.
    public static func reason(_ status: Int) -> String { Self.reasons[status] ?? "Status" }

    private static let reasons: [Int: String] = [
        100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
        206: "Partial Content", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
        307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
        402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
        408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed",
        413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
        417: "Expectation Failed", 422: "Unprocessable Content", 426: "Upgrade Required", 428: "Precondition Required",
        429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
        501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
        505: "HTTP Version Not Supported",
    ]
}

/// A handler's wish to speak WebSocket.
public struct WebSocketUpgrade: Sendable {
    public var subprotocol: String?
    public var limits: WebSocket.Limits
    /// `Origin` values let in; nil lets in everyone. A request without `Origin` is no browser's and passes.
    public var origins: [String]?
    public var serve: @Sendable (WebSocket) async throws -> Void
}
