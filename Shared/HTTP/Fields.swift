/// The field section of a head, and what its fields say about framing. Shared by requests and responses.
struct Fields {
    var headers = Headers()
    var host: Range<Int>?
    var contentLength: Int?
    /// Nil without Transfer-Encoding.
    var codings: Codings?
    var closes = false
    var keepsAlive = false
    var upgradeListed = false
    var hasUpgrade = false
    var expectsContinue = false
    private var seenOnce: Once = []

    /// What a Transfer-Encoding field asks for.
    enum Codings {
        case chunked
        case unknown
        case notFinal
    }

    private struct Once: OptionSet {
        let rawValue: UInt8
        static let authorization = Once(rawValue: 1)
        static let contentType = Once(rawValue: 2)
    }

    /// Parses `input[range]`: lines that each end in CRLF, the last one empty. Field names and values are checked octet
    /// by octet (RFC 9112 §5, RFC 9110 §5.5).
    init(_ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ limits: HeadLimits) throws(Refusal) {
        let fields = UnsafeBufferPointer(rebasing: input[range])
        headers.bytes = [UInt8](unsafeUninitializedCapacity: range.count + Self.spare) { memory, count in
            _ = memory.update(fromContentsOf: fields)
            count = range.count
        }
        headers.slots.reserveCapacity(16)
        try headers.parse(input, range, fieldsMax: limits.fieldsMax)
        if headers.kinds.isDisjoint(with: .deciding) { return }
        for index in headers.slots.indices where FieldNames.deciding.has(headers.slots[index].kind) {
            try note(headers.slots[index], input, range.lowerBound)
        }
    }

    /// Room for what a gateway adds to an answer, so that the bytes need not move for it.
    private static let spare = 192

    private mutating func note(
        _ slot: Headers.Slot, _ input: UnsafeBufferPointer<UInt8>, _ base: Int
    ) throws(Refusal) {
        let value = base + Int(slot.value)..<base + Int(slot.value + slot.valueLength)
        switch slot.kind {
        case .host:
            if host != nil { throw Refusal(400, "Host appears more than once.") }
            host = value
        case .expect:
            guard Known.equals(input, value, "100-continue") else {
                throw Refusal(417, "Only 100-continue can be expected.")
            }
            expectsContinue = true
        case .upgrade: hasUpgrade = true
        case .connection:
            Headers.elements(input, value) { element in
                switch element.count {
                case 5: if Known.equals(input, element, "close") { closes = true }
                case 7: if Known.equals(input, element, "upgrade") { upgradeListed = true }
                case 10: if Known.equals(input, element, "keep-alive") { keepsAlive = true }
                default: break
                }
            }
        case .contentType:
            if !seenOnce.insert(.contentType).inserted { throw Refusal(400, "Content-Type appears more than once.") }
        case .authorization:
            if !seenOnce.insert(.authorization).inserted {
                throw Refusal(400, "Authorization appears more than once.")
            }
        case .contentLength:
            if contentLength != nil { throw Refusal(400, "Content-Length appears more than once.") }
            contentLength = try Self.length(input, value)
        case .transferEncoding:
            if codings != nil { throw Refusal(400, "Transfer-Encoding appears more than once.") }
            codings = Self.codings(headers.list("Transfer-Encoding"))
        default: break
        }
    }

    /// Digits only, at most 2^63−1 (RFC 9112 §6.2).
    private static func length(
        _ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
    ) throws(Refusal) -> Int {
        if range.isEmpty { throw Refusal(400, "Content-Length is empty.") }
        var length = 0
        for index in range {
            guard Octets.isDigit(input[index]) else { throw Refusal(400, "Content-Length is not a number.") }
            let (times, over) = length.multipliedReportingOverflow(by: 10)
            let (sum, overToo) = times.addingReportingOverflow(Int(input[index] - 48))
            if over || overToo { throw Refusal(400, "Content-Length is too large.") }
            length = sum
        }
        return length
    }

    /// Only `chunked` alone is understood. A registered coding that is not the last one's chunked leaves the end of the
    /// message unknown, which is worse than a coding we cannot undo.
    private static func codings(_ list: [String]) -> Codings {
        let registered: Set<String> = ["chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress", "identity"]
        if list == ["chunked"] { return .chunked }
        if list.contains(where: { !registered.contains($0) }) { return .unknown }
        if list.last != "chunked" || list.filter({ $0 == "chunked" }).count != 1 { return .notFinal }
        return .unknown
    }
}

extension Headers {
    /// Fills `slots` from lines of `input[range]`, relative to the range's start; `bytes` is a copy of that range.
    fileprivate mutating func parse(
        _ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, fieldsMax: Int
    ) throws(Refusal) {
        let classes = Octets.table
        var at = range.lowerBound
        let end = range.upperBound - 2
        while at < end {
            if Octets.isBlank(input[at]) { throw Refusal(400, "A header line begins with white space.") }
            let name = at
            while at < end, classes[Int(input[at])] & 1 != 0 { at += 1 }
            guard at < end, at > name, input[at] == 58 else { throw Refusal(400, "A header name is not a token.") }
            if at - name > Int(UInt16.max) { throw Refusal(431, "A header name is too long.") }
            let nameEnd = at
            at += 1
            while at < end, Octets.isBlank(input[at]) { at += 1 }
            let value = at
            at = Octets.valueEnd(input, at, end)
            guard input[at] == 13, input[at + 1] == 10 else {
                throw Refusal(400, "A header value holds a control character.")
            }
            var valueEnd = at
            while valueEnd > value, Octets.isBlank(input[valueEnd - 1]) { valueEnd -= 1 }
            at += 2
            if slots.count == fieldsMax { throw Refusal(431, "There are too many header fields.") }
            note(
                name: name - range.lowerBound..<nameEnd - range.lowerBound,
                value: value - range.lowerBound..<valueEnd - range.lowerBound,
                kind: FieldName(UnsafeBufferPointer(rebasing: input[name..<nameEnd])))
        }
    }
}
