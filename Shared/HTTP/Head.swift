import Glibc

/// What bounds a message head, and why.
public struct HeadLimits: Sendable {
    /// 16 KiB: twice what browsers with many cookies send; anything larger is an attack or a mistake.
    public var headMax = 16 * 1024
    /// 100 fields: real requests carry under 40, and every lookup walks them.
    public var fieldsMax = 100
    /// 8 KiB: the longest URL that browsers, proxies and carriers agree on.
    public var targetMax = 8 * 1024
    /// Methods are short words; 32 octets is far beyond any registered one.
    public var methodMax = 32

    public init() {}
}

/// Why a message was refused. The connection is closed after the answer: what follows cannot be told apart.
public struct Refusal: Error, Hashable, Sendable {
    /// The status to answer with; always 502 for an upstream's response.
    public let status: Int
    public let reason: String

    init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }
}

/// How the content after a head is delimited (RFC 9112 §6.3).
public enum Framing: Hashable, Sendable {
    case none
    case length(Int)
    case chunked
    /// Responses only: everything until the connection closes.
    case untilClose
}

public struct RequestHead: Sendable {
    public var method: Method
    /// Origin-form, or `*`. An absolute-form target has been split into this and the host.
    public var target: String
    public var minorVersion: Int
    public var headers: Headers
    public var framing: Framing
    /// The client lets the connection be used again.
    public var keepAlive: Bool
    /// The client waits for `100 Continue` before it sends the body.
    public var expectsContinue: Bool
    /// `Connection: upgrade` together with an `Upgrade` field.
    public var asksUpgrade: Bool
}

public struct ResponseHead: Sendable {
    public var status: Int
    public var minorVersion: Int
    public var headers: Headers
    public var framing: Framing
    public var keepAlive: Bool
}

/// What parsing the bytes so far has come to.
public enum Parsed<Head: Sendable>: Sendable {
    /// More bytes are needed.
    case incomplete
    /// A whole head; `consumed` bytes belong to it (including empty lines before it).
    case head(Head, consumed: Int)
    case refused(Refusal)
}

/// Finds the end of a head in bytes that arrive piecemeal, never looking at a byte twice, and refuses as early as the
/// bytes allow: a line that ends without CR, or too much of everything.
struct HeadScanner: Sendable {
    /// Where the start line begins, after tolerated empty lines.
    private(set) var start = 0
    /// Where the first unseen byte is.
    private var seen = 0
    /// Where the line being read begins.
    private var line = 0
    private var startLineDone = false

    enum Scan {
        case incomplete
        /// The index just behind the empty line.
        case end(Int)
        case refused(Refusal)
    }

    mutating func scan(_ input: UnsafeBufferPointer<UInt8>, _ limits: HeadLimits) -> Scan {
        guard let base = input.baseAddress else { return .incomplete }
        while seen < input.count {
            guard let found = memchr(base + seen, 10, input.count - seen) else {
                seen = input.count
                break
            }
            let feed = UnsafeRawPointer(found) - UnsafeRawPointer(base)
            seen = feed + 1
            // feed == line means that the line is a bare LF.
            guard feed > line, input[feed - 1] == 13 else { return .refused(Refusal(400, "A line ends without CR.")) }
            let isEmpty = feed - line == 1
            line = feed + 1
            if !isEmpty {
                startLineDone = true
            } else if startLineDone {
                if line - start > limits.headMax { return tooLarge }
                return .end(line)
            } else {
                // RFC 9112 §2.2: empty lines before a request are skipped; a stream of them is not.
                start = line
                if start > 64 { return .refused(Refusal(400, "Too many empty lines before the request.")) }
            }
        }
        if input.count - start > limits.headMax { return tooLarge }
        return .incomplete
    }

    /// Too long: a start line that never ends is a target too long, else the fields are too many.
    private var tooLarge: Scan {
        startLineDone
            ? .refused(Refusal(431, "The header fields are too large."))
            : .refused(Refusal(414, "The request target is too long."))
    }
}

/// Bytes of the well-known fields that decide about framing.
enum Known {
    static func equals(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ lower: StaticString) -> Bool {
        guard range.count == lower.utf8CodeUnitCount else { return false }
        return Octets.equal(UnsafeBufferPointer(rebasing: bytes[range]), toLower: lower.utf8Start)
    }
}
