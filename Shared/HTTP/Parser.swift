/// Parses request heads out of bytes as they arrive (RFC 9112 §2–6). Pure: no socket, no clock.
///
/// Call ``parse(_:)`` with everything received since the last head; it remembers how far it looked.
public struct RequestParser: Sendable {
    public var limits: HeadLimits
    private var scanner = HeadScanner()

    public init(limits: HeadLimits = HeadLimits()) { self.limits = limits }

    public mutating func parse(_ input: UnsafeBufferPointer<UInt8>) -> Parsed<RequestHead> {
        switch scanner.scan(input, limits) {
        case .incomplete: return .incomplete
        case .refused(let refusal): return .refused(refusal)
        case .end(let end):
            let start = scanner.start
            scanner = HeadScanner()
            do throws(Refusal) {
                return .head(try Self.head(input, start..<end, limits), consumed: end)
            } catch {
                return .refused(error)
            }
        }
    }

    /// For callers that hold an array.
    public mutating func parse(_ input: [UInt8]) -> Parsed<RequestHead> {
        input.withUnsafeBufferPointer { parse($0) }
    }

    private static func head(
        _ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ limits: HeadLimits
    ) throws(Refusal) -> RequestHead {
        let line = try StartLine(input, range, limits)
        let fields = try Fields(input, line.end..<range.upperBound, limits)
        let target = try line.target(input, host: fields.host)
        if fields.host == nil, line.minorVersion == 1 { throw Refusal(400, "Host is missing.") }
        if let host = fields.host, !Authority.isValid(input, host) { throw Refusal(400, "Host is not valid.") }
        return RequestHead(
            method: line.method, target: target, minorVersion: line.minorVersion, headers: fields.headers,
            framing: try framing(fields, line.minorVersion),
            keepAlive: line.minorVersion == 1 ? !fields.closes : fields.keepsAlive && !fields.closes,
            // An HTTP/1.0 client knows nothing of 100 (RFC 9110 §10.1.1).
            expectsContinue: fields.expectsContinue && line.minorVersion == 1,
            asksUpgrade: fields.hasUpgrade && fields.upgradeListed && line.minorVersion == 1)
    }

    private static func framing(_ fields: Fields, _ minorVersion: Int) throws(Refusal) -> Framing {
        guard let codings = fields.codings else {
            return fields.contentLength.map { $0 == 0 ? .none : .length($0) } ?? .none
        }
        if fields.contentLength != nil {
            throw Refusal(400, "Content-Length and Transfer-Encoding exclude each other.")
        }
        if minorVersion == 0 { throw Refusal(400, "HTTP/1.0 has no Transfer-Encoding.") }
        switch codings {
        case .chunked: return .chunked
        case .unknown: throw Refusal(501, "The transfer coding is not supported.")
        case .notFinal: throw Refusal(400, "The last transfer coding is not chunked.")
        }
    }
}

/// `method SP target SP HTTP/1.x CRLF`
private struct StartLine {
    let method: Method
    let minorVersion: Int
    /// Behind the CRLF.
    let end: Int
    private let raw: Range<Int>

    init(_ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ limits: HeadLimits) throws(Refusal) {
        let classes = Octets.table
        var at = range.lowerBound
        while classes[Int(input[at])] & 1 != 0 { at += 1 }
        guard at > range.lowerBound, input[at] == 32 else { throw Refusal(400, "The method is not a token.") }
        if at - range.lowerBound > limits.methodMax { throw Refusal(501, "The method is unknown.") }
        method = try Self.method(input, range.lowerBound..<at)

        let target = at + 1
        at = target
        while classes[Int(input[at])] & 4 != 0 { at += 1 }
        if at - target > limits.targetMax { throw Refusal(414, "The request target is too long.") }
        guard at > target, input[at] == 32 else { throw Refusal(400, "The request target is not valid.") }
        raw = target..<at
        let (minor, behind) = try Version.parse(input, at + 1)
        guard input[behind] == 13, input[behind + 1] == 10 else {
            throw Refusal(400, "The request line is not valid.")
        }
        minorVersion = minor
        end = behind + 2
    }

    private static func method(
        _ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
    ) throws(Refusal) -> Method {
        let method = Method(UnsafeBufferPointer(rebasing: input[range]))
        switch method {
        case .other("CONNECT"), .other("TRACE"):
            throw Refusal(405, "This server is no forward proxy.")
        default: return method
        }
    }

    /// The target in origin-form. Absolute-form must agree with Host (RFC 9112 §3.2.2).
    func target(_ input: UnsafeBufferPointer<UInt8>, host: Range<Int>?) throws(Refusal) -> String {
        if input[raw.lowerBound] == UInt8(ascii: "/") { return String(decoding: input[raw], as: UTF8.self) }
        if raw.count == 1, input[raw.lowerBound] == UInt8(ascii: "*"), method == .options { return "*" }
        let http = Self.begins(input, raw, "http://")
        guard http || Self.begins(input, raw, "https://") else {
            throw Refusal(400, "The request target is not valid.")
        }
        let start = raw.lowerBound + (http ? 7 : 8)
        var at = start
        while at < raw.upperBound, input[at] != UInt8(ascii: "/"), input[at] != UInt8(ascii: "?") { at += 1 }
        let authority = start..<at
        guard Authority.isValid(input, authority) else { throw Refusal(400, "The request target is not valid.") }
        if let host, !Authority.equal(input, authority, host, defaultPort: http ? ":80" : ":443") {
            throw Refusal(400, "Host and the request target name different hosts.")
        }
        let rest = String(decoding: input[at..<raw.upperBound], as: UTF8.self)
        if rest.isEmpty { return method == .options ? "*" : "/" }
        return rest.utf8.first == UInt8(ascii: "/") ? rest : "/" + rest
    }

    private static func begins(
        _ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ lower: StaticString
    ) -> Bool {
        let count = lower.utf8CodeUnitCount
        return range.count > count && Known.equals(input, range.lowerBound..<range.lowerBound + count, lower)
    }
}

enum Version {
    /// `HTTP/1.0` or `HTTP/1.1` at `at`; the index behind it. The line's CRLF guarantees that bytes follow.
    static func parse(
        _ input: UnsafeBufferPointer<UInt8>, _ at: Int
    ) throws(Refusal) -> (minor: Int, end: Int) {
        let text: StaticString = "HTTP/"
        guard input.count >= at + 10 else { throw Refusal(400, "The HTTP version is not valid.") }
        for offset in 0..<5 where input[at + offset] != text.utf8Start[offset] {
            throw Refusal(400, "The HTTP version is not valid.")
        }
        let (major, dot, minor) = (input[at + 5], input[at + 6], input[at + 7])
        guard Octets.isDigit(major), dot == UInt8(ascii: "."), Octets.isDigit(minor) else {
            throw Refusal(400, "The HTTP version is not valid.")
        }
        guard major == UInt8(ascii: "1"), minor <= UInt8(ascii: "1") else {
            throw Refusal(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
        }
        return (Int(minor - 48), at + 8)
    }
}

/// `host [":" port]` without user information (RFC 3986 §3.2).
enum Authority {
    static func isValid(_ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Bool {
        guard !range.isEmpty else { return false }
        var at = range.lowerBound
        if input[at] == UInt8(ascii: "[") {
            at += 1
            let start = at
            while at < range.upperBound, Octets.hex(input[at]) != nil || input[at] == 58 || input[at] == 46 { at += 1 }
            guard at > start, at < range.upperBound, input[at] == UInt8(ascii: "]") else { return false }
            at += 1
        } else {
            while at < range.upperBound, isName(input[at]) { at += 1 }
            if at == range.lowerBound { return false }
        }
        if at == range.upperBound { return true }
        guard input[at] == 58 else { return false }
        let port = at + 1..<range.upperBound
        return port.count <= 5 && port.allSatisfy { Octets.isDigit(input[$0]) }
    }

    /// Registered names: unreserved, escapes and sub-delimiters.
    private static func isName(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "%"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ";"), UInt8(ascii: "="): true
        // A comma would make a list of two hosts look like one.
        case UInt8(ascii: "|"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "#"): false
        default: Octets.isToken(octet)
        }
    }

    /// Equal without regard to case and to the scheme's default port.
    static func equal(
        _ input: UnsafeBufferPointer<UInt8>, _ left: Range<Int>, _ right: Range<Int>, defaultPort: StaticString
    ) -> Bool {
        let left = trim(input, left, defaultPort)
        let right = trim(input, right, defaultPort)
        guard left.count == right.count else { return false }
        return zip(left, right).allSatisfy { Octets.lower(input[$0]) == Octets.lower(input[$1]) }
    }

    private static func trim(
        _ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ port: StaticString
    ) -> Range<Int> {
        let count = port.utf8CodeUnitCount
        guard range.count > count, Known.equals(input, range.upperBound - count..<range.upperBound, port) else {
            return range
        }
        return range.lowerBound..<range.upperBound - count
    }
}
