/// Parses response heads from an upstream (RFC 9112 §4). Pure, and as strict as ``RequestParser``: what it refuses is a
/// 502 to the client, because a response that two parties read differently is how caches and proxies get poisoned.
public struct ResponseParser: Sendable {
    public var limits: HeadLimits
    private var scanner = HeadScanner()

    public init(limits: HeadLimits = HeadLimits()) { self.limits = limits }

    /// `method` is the request's: it decides whether content follows.
    public mutating func parse(_ input: UnsafeBufferPointer<UInt8>, method: Method) -> Parsed<ResponseHead> {
        switch scanner.scan(input, limits) {
        case .incomplete: return .incomplete
        case .refused(let refusal): return .refused(Refusal(502, refusal.reason))
        case .end(let end):
            let start = scanner.start
            scanner = HeadScanner()
            // An empty line before a status line is no part of any grammar.
            if start != 0 { return .refused(Refusal(502, "Bytes precede the status line.")) }
            do throws(Refusal) {
                return .head(try Self.head(input, end, method, limits), consumed: end)
            } catch {
                return .refused(Refusal(502, error.reason))
            }
        }
    }

    public mutating func parse(_ input: [UInt8], method: Method) -> Parsed<ResponseHead> {
        input.withUnsafeBufferPointer { parse($0, method: method) }
    }

    private static func head(
        _ input: UnsafeBufferPointer<UInt8>, _ end: Int, _ method: Method, _ limits: HeadLimits
    ) throws(Refusal) -> ResponseHead {
        let (minorVersion, afterVersion) = try Version.parse(input, 0)
        guard end >= afterVersion + 8, input[afterVersion] == 32 else {
            throw Refusal(502, "The status line is not valid.")
        }
        var status = 0
        for index in afterVersion + 1...afterVersion + 3 {
            guard Octets.isDigit(input[index]) else { throw Refusal(502, "The status is not a number.") }
            status = status * 10 + Int(input[index] - 48)
        }
        guard (100...599).contains(status) else { throw Refusal(502, "The status is out of range.") }
        var at = afterVersion + 4
        // Some servers leave out the space before an empty reason.
        guard input[at] == 32 || input[at] == 13 else { throw Refusal(502, "The status line is not valid.") }
        let classes = Octets.table
        while classes[Int(input[at])] & 2 != 0 { at += 1 }
        guard input[at] == 13, input[at + 1] == 10 else { throw Refusal(502, "The status line is not valid.") }

        let fields = try Fields(input, at + 2..<end, limits)
        let framing = try framing(fields, status, method)
        let lasting = minorVersion == 1 ? !fields.closes : fields.keepsAlive && !fields.closes
        return ResponseHead(
            status: status, minorVersion: minorVersion, headers: fields.headers, framing: framing,
            keepAlive: lasting && framing != .untilClose)
    }

    private static func framing(_ fields: Fields, _ status: Int, _ method: Method) throws(Refusal) -> Framing {
        if let codings = fields.codings {
            if fields.contentLength != nil {
                throw Refusal(502, "Content-Length and Transfer-Encoding exclude each other.")
            }
            guard case .chunked = codings else { throw Refusal(502, "The transfer coding is not supported.") }
        }
        if method == .head || status < 200 || status == 204 || status == 304 { return .none }
        if fields.codings != nil { return .chunked }
        if let length = fields.contentLength { return length == 0 ? .none : .length(length) }
        return .untilClose
    }
}
