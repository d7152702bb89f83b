/// A field name that somebody here asks about, found out once, when the field is read or added. From then on a look-up
/// compares one number, and a name that no field has is told by one bit.
enum FieldName: UInt8, Sendable {
    /// None of those below; two of these may still be different names.
    case other
    /// What only programs of ours say to each other: `X-User-…`, `X-Workspace-…`, `X-Deadline-…`, `X-Forwarded-…` and
    /// `Forwarded…`. Two of these may be different names too.
    case ours

    case te, host, date, etag, expect, origin, upgrade, trailer, connection, keepAlive, traceparent, contentType
    case requestID, authorization, contentLength, forwardedFor, proxyConnection, transferEncoding
    case proxyAuthenticate, proxyAuthorization, accessControlRequestMethod

    init(_ name: UnsafeBufferPointer<UInt8>) {
        self = Self.exact(name)
        if self == .other, Self.isOurs(name) { self = .ours }
    }

    init(_ name: StaticString) {
        self.init(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    /// Whether all fields of this kind have the same name.
    var isExact: Bool { rawValue > FieldName.ours.rawValue }

    private static func exact(_ name: UnsafeBufferPointer<UInt8>) -> FieldName {
        switch name.count {
        case 2: pick(name, "te", .te)
        case 4:
            switch name[0] | 0x20 {
            case UInt8(ascii: "h"): pick(name, "host", .host)
            case UInt8(ascii: "d"): pick(name, "date", .date)
            default: pick(name, "etag", .etag)
            }
        case 6: name[0] | 0x20 == UInt8(ascii: "e") ? pick(name, "expect", .expect) : pick(name, "origin", .origin)
        case 7: name[0] | 0x20 == UInt8(ascii: "u") ? pick(name, "upgrade", .upgrade) : pick(name, "trailer", .trailer)
        case 10:
            name[0] | 0x20 == UInt8(ascii: "c")
                ? pick(name, "connection", .connection) : pick(name, "keep-alive", .keepAlive)
        case 11: pick(name, "traceparent", .traceparent)
        case 12:
            name[0] | 0x20 == UInt8(ascii: "c")
                ? pick(name, "content-type", .contentType) : pick(name, "x-request-id", .requestID)
        case 13: pick(name, "authorization", .authorization)
        case 14: pick(name, "content-length", .contentLength)
        case 15: pick(name, "x-forwarded-for", .forwardedFor)
        case 16: pick(name, "proxy-connection", .proxyConnection)
        case 17: pick(name, "transfer-encoding", .transferEncoding)
        case 18: pick(name, "proxy-authenticate", .proxyAuthenticate)
        case 19: pick(name, "proxy-authorization", .proxyAuthorization)
        case 29: pick(name, "access-control-request-method", .accessControlRequestMethod)
        default: .other
        }
    }

    @inline(__always)
    private static func pick(
        _ name: UnsafeBufferPointer<UInt8>, _ lower: StaticString, _ found: FieldName
    ) -> FieldName {
        Known.equals(name, 0..<name.count, lower) ? found : .other
    }

    private static func isOurs(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = name.first else { return false }
        switch first | 0x20 {
        case UInt8(ascii: "f"): return begins(name, "forwarded")
        case UInt8(ascii: "x"):
            return begins(name, "x-forwarded-") || begins(name, "x-user-") || begins(name, "x-workspace-")
                || begins(name, "x-deadline-")
        default: return false
        }
    }

    private static func begins(_ name: UnsafeBufferPointer<UInt8>, _ lower: StaticString) -> Bool {
        let count = lower.utf8CodeUnitCount
        return name.count >= count && Known.equals(name, 0..<count, lower)
    }
}

/// A set of them.
public struct FieldNames: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    init(_ names: FieldName...) { rawValue = names.reduce(0) { $0 | 1 << UInt32($1.rawValue) } }

    /// What a stranger must not say, because the programs behind a gateway believe it.
    public static let ours = FieldNames(.ours, .forwardedFor)
    public static let date = FieldNames(.date)
    public static let requestID = FieldNames(.requestID)
    public static let traceparent = FieldNames(.traceparent)

    /// What concerns one hop only (RFC 9110 §7.6.1), and what frames a message, which every hop does anew.
    static let hopByHop = FieldNames(
        .connection, .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .te, .trailer,
        .transferEncoding, .upgrade, .contentLength, .expect)
    /// What decides how a message is read.
    static let deciding = FieldNames(
        .host, .expect, .upgrade, .connection, .contentType, .authorization, .contentLength, .transferEncoding)

    @inline(__always)
    func has(_ name: FieldName) -> Bool { rawValue & 1 << UInt32(name.rawValue) != 0 }

    @inline(__always)
    mutating func note(_ name: FieldName) { self = FieldNames(rawValue: rawValue | 1 << UInt32(name.rawValue)) }

    mutating func forget(_ name: FieldName) { self = FieldNames(rawValue: rawValue & ~(1 << UInt32(name.rawValue))) }
}
