/// Phone numbers that are meant together: one number, all that begin alike, or all from one to another.
///
/// Written as `+14155550123`, as `+4479*` (every number that begins so) or as `+14155550100-+14155550199` (both ends
/// included, both of the same length, which the numbers in between have too).
public struct NumberRange: Hashable, Sendable {
    /// The first and the last number covered, filled up to 15 digits with zeros and nines: as such, "is it covered" is a
    /// comparison of whole numbers, which an index answers.
    public let first: Int64
    public let last: Int64
    /// How many digits the covered numbers have.
    public let lengths: ClosedRange<Int>
    /// The one spelling.
    public let text: String

    /// E.164 numbers have no more.
    private static let digitsMax = 15
    /// One digit is a continent, and more likely a slip of the finger.
    public static let prefixMin = 2

    public init(_ number: PhoneNumber) {
        let digits = number.text.dropFirst()
        first = Self.filled(digits, with: "0")
        last = first
        // Not the longer numbers that end in zeros where this one ends.
        lengths = digits.utf8.count...digits.utf8.count
        text = number.text
    }

    /// nil for anything but the three spellings; spaces and other decoration within numbers are dropped.
    public init?(_ text: String) {
        let trimmed = text.trimmingWhitespace()
        // Checked before it is taken apart: the text may be as long as a request body.
        guard trimmed.utf8.count <= 64, trimmed.hasPrefix("+") else { return nil }
        if trimmed.hasSuffix("*") {
            self.init(prefix: trimmed.dropLast())
        } else if let plus = trimmed.lastIndex(of: "+"), plus > trimmed.startIndex {
            let from = trimmed[..<plus].trimmingWhitespace()
            guard from.hasSuffix("-") else { return nil }
            self.init(from: String(from.dropLast()), to: String(trimmed[plus...]))
        } else if trimmed.last?.isNumber == true, let number = PhoneNumber(trimmed) {
            self.init(number)
        } else {
            return nil
        }
    }

    private init?(prefix: Substring) {
        guard prefix.hasPrefix("+") else { return nil }
        let digits = prefix.dropFirst().filter { !" -.()".contains($0) }
        guard (Self.prefixMin...Self.digitsMax - 1).contains(digits.utf8.count), digits.first != "0",
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        first = Self.filled(digits[...], with: "0")
        last = Self.filled(digits[...], with: "9")
        lengths = digits.utf8.count...Self.digitsMax
        text = "+\(digits)*"
    }

    private init?(from: String, to: String) {
        guard let from = PhoneNumber(from.trimmingWhitespace()), let to = PhoneNumber(to.trimmingWhitespace()),
            from.text.utf8.count == to.text.utf8.count, from.text <= to.text
        else { return nil }
        first = Self.filled(from.text.dropFirst(), with: "0")
        last = Self.filled(to.text.dropFirst(), with: "0")
        lengths = from.text.utf8.count - 1...from.text.utf8.count - 1
        text = from == to ? from.text : "\(from.text)-\(to.text)"
    }

    /// A number as `first…last` is compared with.
    public static func place(of number: PhoneNumber) -> Int64 { filled(number.text.dropFirst(), with: "0") }

    public func contains(_ number: PhoneNumber) -> Bool {
        let place = Self.place(of: number)
        return first <= place && place <= last && lengths.contains(number.text.utf8.count - 1)
    }

    /// Whether it is one number rather than several.
    public var isSingle: Bool { first == last }

    private static func filled(_ digits: Substring, with fill: Character) -> Int64 {
        // Fifteen digits always fit.
        Int64(digits + String(repeating: fill, count: digitsMax - digits.utf8.count)) ?? 0
    }
}
