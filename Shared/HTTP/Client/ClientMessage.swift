import Shared

/// A request to somebody else's server.
public struct ClientRequest: Sendable {
    public var method: Method
    /// `http` or `https`, absolute.
    public var url: String
    public var headers: Headers
    public var body: [UInt8]
    /// For the whole exchange; a stream's until its end.
    public var timeout: Duration = .seconds(10)
    public var connectTimeout: Duration = .seconds(3)
    /// A stream that says nothing for so long is broken off; nil: only `timeout` counts. Whole seconds.
    public var silenceMax: Duration?
    /// Of the response's content; more throws ``ClientError/tooLarge(max:)``.
    public var bodyMax = 4 << 20
    /// Refuse to connect to anything but public addresses: for URLs that strangers chose.
    public var refusePrivate = false

    public init(_ method: Method = .get, _ url: String, headers: Headers = Headers(), body: [UInt8] = []) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }

    public static func get(_ url: String, headers: Headers = Headers()) -> ClientRequest {
        ClientRequest(.get, url, headers: headers)
    }

    public static func post(_ url: String, json: some JSONWritable, headers: Headers = Headers()) -> ClientRequest {
        var request = ClientRequest(.post, url, headers: headers, body: json.jsonBytes)
        request.headers.set("Content-Type", "application/json")
        return request
    }

    /// `application/x-www-form-urlencoded`, in the given order.
    public static func post(
        _ url: String, form: [(String, String)], headers: Headers = Headers()
    ) -> ClientRequest {
        var request = ClientRequest(.post, url, headers: headers, body: Array(URLText.form(form).utf8))
        request.headers.set("Content-Type", "application/x-www-form-urlencoded")
        return request
    }

    /// HTTP Basic (RFC 7617).
    public mutating func authorize(user: String, password: String) {
        headers.set("Authorization", "Basic " + Digest.base64(Array("\(user):\(password)".utf8)))
    }

    public mutating func authorize(bearer token: String) { headers.set("Authorization", "Bearer \(token)") }
}

public struct ClientResponse: Sendable {
    public let status: Int
    public let headers: Headers
    public let body: [UInt8]

    public init(status: Int, headers: Headers = Headers(), body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public var isSuccess: Bool { (200..<300).contains(status) }
    public var text: String { String(decoding: body, as: UTF8.self) }

    public func json() throws(JSON.SyntaxError) -> JSON { try JSON.parse(body) }
}

/// A response whose content is still arriving. Dropping `body` ends the exchange.
public struct ClientStream: Sendable {
    public let status: Int
    public let headers: Headers
    /// Bounded: the other side is held back while nobody reads.
    public let body: Body
}

/// Why there is no response.
public enum ClientError: Error, Hashable, Sendable {
    case invalidURL
    /// The name could not be resolved.
    case unresolved
    /// `refusePrivate`, and the address is none of the public internet.
    case privateAddress
    /// No connection, the reason in curl's words.
    case unreachable(String)
    case timeout
    case tooLarge(max: Int)
    /// The other side's certificate or handshake.
    case tls(String)
    /// The connection broke in the middle, or what came is no HTTP.
    case broken(String)

    /// Whether the request certainly never reached a server, so that sending it again cannot do anything twice.
    public var isBeforeSending: Bool {
        switch self {
        case .invalidURL, .unresolved, .privateAddress, .unreachable, .tls: true
        case .timeout, .tooLarge, .broken: false
        }
    }
}
