/// An HTTP request method. Names are case-sensitive (RFC 9110 §9.1), so `get` is not `GET`.
public enum Method: Hashable, Sendable {
    case get, head, post, put, patch, delete, options
    /// Any other token. CONNECT and TRACE never get here: the parser refuses them.
    case other(String)

    public init(_ name: String) {
        switch name {
        case "GET": self = .get
        case "HEAD": self = .head
        case "POST": self = .post
        case "PUT": self = .put
        case "PATCH": self = .patch
        case "DELETE": self = .delete
        case "OPTIONS": self = .options
        default: self = .other(name)
        }
    }

    init(_ name: UnsafeBufferPointer<UInt8>) {
        func `is`(_ text: StaticString) -> Bool {
            for place in 0..<name.count where name[place] != text.utf8Start[place] { return false }
            return true
        }
        switch name.count {
        case 3 where `is`("GET"): self = .get
        case 3 where `is`("PUT"): self = .put
        case 4 where `is`("HEAD"): self = .head
        case 4 where `is`("POST"): self = .post
        case 5 where `is`("PATCH"): self = .patch
        case 6 where `is`("DELETE"): self = .delete
        case 7 where `is`("OPTIONS"): self = .options
        default: self = .other(String(decoding: name, as: UTF8.self))
        }
    }

    public var name: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .other(let name): name
        }
    }

    /// RFC 9110 §9.2.2: repeating the request has the same effect as sending it once.
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options: true
        case .post, .patch, .other: false
        }
    }
}

extension Method: CustomStringConvertible {
    public var description: String { name }
}
