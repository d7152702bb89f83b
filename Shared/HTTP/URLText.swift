/// Percent-encoding (RFC 3986 §2.1) and `application/x-www-form-urlencoded`.
public enum URLText {
    /// Decodes `%XX`; nil when an escape is malformed, the result is no UTF-8 or holds a NUL.
    public static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8.makeIterator()
        while let octet = rest.next() {
            switch octet {
            case UInt8(ascii: "%"):
                guard let high = rest.next().flatMap(Octets.hex), let low = rest.next().flatMap(Octets.hex) else {
                    return nil
                }
                let value = high << 4 | low
                if value == 0 { return nil }
                bytes.append(value)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(32)
            default: bytes.append(octet)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The pairs of a form or query. A part whose escapes are malformed is kept undecoded.
    public static func pairs(_ text: some StringProtocol) -> [(String, String)] {
        var found: [(String, String)] = []
        for part in text.utf8.split(separator: UInt8(ascii: "&")) {
            let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(decoding: pair[0], as: UTF8.self)
            let value = pair.count > 1 ? String(decoding: pair[1], as: UTF8.self) : ""
            found.append((decode(name, plusIsSpace: true) ?? name, decode(value, plusIsSpace: true) ?? value))
        }
        return found
    }

    /// Encodes everything but unreserved characters, fit for a path segment or a query's name or value.
    public static func encode(_ text: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(octet)
            default:
                bytes.append(UInt8(ascii: "%"))
                bytes.append(digits[Int(octet >> 4)])
                bytes.append(digits[Int(octet & 15)])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `a=1&b=2` with every name and value encoded.
    public static func form(_ pairs: [(String, String)]) -> String {
        pairs.map { "\(encode($0.0))=\(encode($0.1))" }.joined(separator: "&")
    }

    private static let digits = Array("0123456789ABCDEF".utf8)
}
