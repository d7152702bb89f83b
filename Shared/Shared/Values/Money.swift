/// An amount in the smallest unit of its currency: cents, not dollars. Never computed with in floating point.
public struct Money: Hashable, Sendable, CustomStringConvertible {
    public var minor: Int64
    /// ISO 4217, upper case.
    public var currency: String

    public init(minor: Int64, currency: String = "USD") {
        self.minor = minor
        self.currency = currency.uppercased()
    }

    /// Reads `29.99`; nil when it is no number, has more decimals than the currency, or does not fit.
    public init?(decimal text: some StringProtocol, currency: String = "USD") {
        let places = Money.places(of: currency.uppercased())
        let negative = text.hasPrefix("-")
        let parts = (negative ? text.dropFirst() : text[...]).split(
            separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, !whole.isEmpty else { return nil }
        var fraction = parts.count == 2 ? String(parts[1]) : ""
        if parts.count == 2 && fraction.isEmpty { return nil }
        // 29.990 is 29.99: zeros beyond the currency's places say nothing.
        while fraction.utf8.count > places, fraction.hasSuffix("0") { fraction.removeLast() }
        guard fraction.utf8.count <= places else { return nil }
        let digits = whole + fraction + String(repeating: "0", count: places - fraction.utf8.count)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let magnitude = Int64(digits) else { return nil }
        self.init(minor: negative ? -magnitude : magnitude, currency: currency)
    }

    /// `29.99`, `-0.05`, and `500` for a currency without decimals.
    public var decimal: String {
        let places = Money.places(of: currency)
        var digits = String(minor.magnitude)
        if places > 0 {
            digits = String(repeating: "0", count: max(0, places + 1 - digits.utf8.count)) + digits
            digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -places))
        }
        return (minor < 0 ? "-" : "") + digits
    }

    /// For the documents that show a number. Not for arithmetic.
    public var double: Double {
        var unit = 1.0
        for _ in 0..<Money.places(of: currency) { unit *= 10 }
        return Double(minor) / unit
    }

    public var description: String { "\(decimal) \(currency)" }

    /// Decimals of a currency, as Stripe counts them.
    static func places(of currency: String) -> Int {
        switch currency {
        case "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF",
            "XPF":
            0
        case "BHD", "JOD", "KWD", "OMR", "TND": 3
        default: 2
        }
    }
}
