/// ISO 8601 and RFC 2822 text of an `Instant`, by arithmetic.
enum InstantText {
    /// An expanded year has a sign and up to six digits.
    static let lengthMax = 32

    /// Writes `yyyy-mm-ddThh:mm:ss.mmmZ` and returns its length: 24 for the years 0…9999.
    static func write(_ microseconds: Int64, to out: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let time = CivilTime(microseconds: microseconds)
        var at = 0
        func put(_ byte: UInt8) {
            out[at] = byte
            at += 1
        }
        func pair(_ value: Int) {
            put(0x30 + UInt8(truncatingIfNeeded: value / 10))
            put(0x30 + UInt8(truncatingIfNeeded: value % 10))
        }
        let year = abs(time.year)
        if time.year < 0 || time.year > 9999 {
            put(time.year < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
            pair(year / 10_000)
        }
        pair(year / 100 % 100)
        pair(year % 100)
        put(UInt8(ascii: "-"))
        pair(time.month)
        put(UInt8(ascii: "-"))
        pair(time.day)
        put(UInt8(ascii: "T"))
        pair(time.hour)
        put(UInt8(ascii: ":"))
        pair(time.minute)
        put(UInt8(ascii: ":"))
        pair(time.second)
        put(UInt8(ascii: "."))
        let millisecond = time.microsecond / 1000
        put(0x30 + UInt8(truncatingIfNeeded: millisecond / 100))
        pair(millisecond % 100)
        put(UInt8(ascii: "Z"))
        return at
    }

    static func parse(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        var scan = DigitScan(text)
        guard let date = parseDate(&scan) else { return nil }
        if scan.isAtEnd { return date * 86_400_000_000 }
        guard scan.skip("T") || scan.skip("t") || scan.skip(" "),
            let hour = scan.number(2), hour < 24, scan.skip(":"),
            let minute = scan.number(2), minute < 60
        else { return nil }
        var second: Int64 = 0
        var fraction: Int64 = 0
        if scan.skip(":") {
            guard let value = scan.number(2), value < 60 else { return nil }
            second = value
            if scan.skip(".") || scan.skip(",") {
                guard let value = scan.fraction() else { return nil }
                fraction = value
            }
        }
        guard let offset = parseOffset(&scan), scan.isAtEnd else { return nil }
        let seconds = date * 86_400 + hour * 3600 + minute * 60 + second - offset
        return seconds * 1_000_000 + fraction
    }

    /// Days since 1970 of `yyyy-mm-dd`, a date that exists.
    static func parseDate(_ scan: inout DigitScan) -> Int64? {
        guard let year = scan.number(4), scan.skip("-"), let month = scan.number(2), (1...12).contains(month),
            scan.skip("-"), let day = scan.number(2), day >= 1,
            day <= CivilTime.daysIn(month: Int(month), of: Int(year))
        else { return nil }
        return Int64(CivilTime.days(year: Int(year), month: Int(month), day: Int(day)))
    }

    /// Seconds east of Greenwich of `Z`, `+hh:mm`, `+hhmm` or `+hh`.
    private static func parseOffset(_ scan: inout DigitScan) -> Int64? {
        if scan.skip("Z") || scan.skip("z") { return 0 }
        let west = scan.skip("-")
        guard west || scan.skip("+"), let hours = scan.number(2), hours < 24 else { return nil }
        var minutes: Int64 = 0
        if !scan.isAtEnd {
            _ = scan.skip(":")
            guard let value = scan.number(2), value < 60 else { return nil }
            minutes = value
        }
        return (west ? -1 : 1) * (hours * 3600 + minutes * 60)
    }

    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

    static func parseMail(_ text: String) -> Int64? {
        var words = text.split(separator: " ")
        if let first = words.first, first.hasSuffix(",") { words.removeFirst() }
        guard words.count >= 5, let day = Int(words[0]), let month = months.firstIndex(of: words[1].lowercased()),
            let year = Int(words[2]), (1...9999).contains(year),
            day >= 1, day <= CivilTime.daysIn(month: month + 1, of: year)
        else { return nil }
        let zone = words[4] == "GMT" || words[4] == "UT" || words[4] == "UTC" ? "Z" : String(words[4])
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        var iso = "\(padded(year, 4))-\(padded(month + 1, 2))-\(padded(day, 2))T\(words[3])\(zone)"
        return iso.withUTF8(parse)
    }
}

/// Reads fixed-width numbers and separators from ASCII.
struct DigitScan {
    private let text: UnsafeBufferPointer<UInt8>
    private var at = 0

    init(_ text: UnsafeBufferPointer<UInt8>) { self.text = text }

    var isAtEnd: Bool { at == text.count }

    mutating func skip(_ separator: Unicode.Scalar) -> Bool {
        guard at < text.count, text[at] == UInt8(ascii: separator) else { return false }
        at += 1
        return true
    }

    mutating func number(_ width: Int) -> Int64? {
        guard at + width <= text.count else { return nil }
        var value: Int64 = 0
        for byte in text[at..<at + width] {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        at += width
        return value
    }

    /// One to nine digits after a decimal point, as microseconds; what is finer is cut off.
    mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var digits = 0
        while at < text.count, (0x30...0x39).contains(text[at]) {
            if digits < 6 { value = value * 10 + Int64(text[at] - 0x30) }
            digits += 1
            at += 1
        }
        guard (1...9).contains(digits) else { return nil }
        for _ in digits..<max(digits, 6) { value *= 10 }
        return value
    }
}
