/// A phone number in E.164: `+`, a country code that does not start with 0, 7 to 15 digits in all.
public struct PhoneNumber: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    /// Accepts the usual decoration (spaces, dashes, dots, round brackets) and drops it.
    public init?(_ text: String) {
        var digits = ""
        var seenPlus = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "+") where !seenPlus && digits.isEmpty: seenPlus = true
            case UInt8(ascii: "0")...UInt8(ascii: "9") where seenPlus: digits.unicodeScalars.append(.init(byte))
            case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "("), UInt8(ascii: ")"): continue
            default: return nil
            }
            // Checked as it grows: the text may be as long as a request body.
            if digits.utf8.count > 15 { return nil }
        }
        guard digits.utf8.count >= 7, digits.utf8.first != UInt8(ascii: "0") else { return nil }
        self.text = "+" + digits
    }

    /// For logs: `+1******7890`, the first digit and the last four.
    public var masked: String {
        let hidden = text.utf8.count - 6
        return text.prefix(2) + String(repeating: "*", count: hidden) + text.suffix(4)
    }

    /// Masked, so that a number interpolated into a message by accident does not leak.
    public var description: String { masked }
}

extension PhoneNumber {
    private init(unchecked text: String) { self.text = text }

    /// Stands where a bad field was until the form is refused.
    static let placeholder = PhoneNumber(unchecked: "+0000000")
}
