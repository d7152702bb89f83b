/// An e-mail address people can register with: `local@domain` in ASCII, without comments, quotes or address literals.
public struct EmailAddress: Hashable, Sendable, CustomStringConvertible {
    /// As written, trimmed, with the domain in lower case.
    public let text: String

    public init?(_ text: String) {
        let trimmed = text.trimmingWhitespace()
        guard trimmed.utf8.count <= 254, let at = trimmed.lastIndex(of: "@") else { return nil }
        let local = trimmed[..<at]
        let domain = trimmed[trimmed.index(after: at)...].lowercased()
        guard EmailAddress.isLocal(local.utf8), EmailAddress.isDomain(domain) else { return nil }
        self.text = "\(local)@\(domain)"
    }

    /// All lower case: what two addresses of the same person share. Unique columns hold this.
    public var folded: String { text.lowercased() }

    public var description: String { text }

    /// The atoms of RFC 5322 §3.2.3 with single dots between them, 64 octets at most (RFC 5321 §4.5.3.1).
    private static func isLocal(_ local: Substring.UTF8View) -> Bool {
        guard (1...64).contains(local.count) else { return false }
        var previous = UInt8(ascii: ".")
        for byte in local {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: break
            case UInt8(ascii: "."):
                if previous == byte { return false }
            default:
                guard "!#$%&'*+/=?^_`{|}~-".utf8.contains(byte) else { return false }
            }
            previous = byte
        }
        return previous != UInt8(ascii: ".")
    }

    private static func isDomain(_ domain: String) -> Bool {
        let labels = domain.split(separator: ".", omittingEmptySubsequences: false)
        guard domain.utf8.count <= 253, labels.count >= 2, let top = labels.last else { return false }
        for label in labels {
            let bytes = label.utf8
            guard (1...63).contains(bytes.count), bytes.first != 0x2D, bytes.last != 0x2D,
                bytes.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D })
            else { return false }
        }
        return !top.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}

extension StringProtocol {
    /// Without white space and line ends at either end.
    public func trimmingWhitespace() -> String {
        var scalars = Substring(self).unicodeScalars
        while scalars.first?.properties.isWhitespace == true { scalars.removeFirst() }
        while scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
        return String(scalars)
    }
}

extension EmailAddress {
    private init(unchecked text: String) { self.text = text }

    /// Stands where a bad field was until the form is refused.
    static let placeholder = EmailAddress(unchecked: "@")
}
