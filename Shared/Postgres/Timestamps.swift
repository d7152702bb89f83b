import Shared

/// Instants as `timestamptz` with microseconds. Connections run in UTC with ISO dates, so the offset read is `+00`;
/// others are understood all the same.
extension Instant: PostgresValue {
    public static var postgresType: PostgresType { .timestamptz }

    public func write(to text: inout PostgresText) {
        let civil = civil
        // PostgreSQL counts 1 BC where the proleptic calendar counts year 0.
        text.append(civil.year > 0 ? civil.year : 1 - civil.year, digits: 4)
        text.append(byte: UInt8(ascii: "-"))
        text.append(civil.month, digits: 2)
        text.append(byte: UInt8(ascii: "-"))
        text.append(civil.day, digits: 2)
        text.append(byte: UInt8(ascii: " "))
        text.append(civil.hour, digits: 2)
        text.append(byte: UInt8(ascii: ":"))
        text.append(civil.minute, digits: 2)
        text.append(byte: UInt8(ascii: ":"))
        text.append(civil.second, digits: 2)
        text.append(byte: UInt8(ascii: "."))
        text.append(civil.microsecond, digits: 6)
        text.append(civil.year > 0 ? "+00" : "+00 BC")
    }

    public init(postgres cell: Cell) throws(UnreadableCell) {
        var reader = TimestampReader(bytes: try cell.utf8())
        guard let microseconds = reader.timestamp() else { throw UnreadableCell("it is not a finite point in time") }
        self.init(microseconds: microseconds)
    }
}

extension Instant: PostgresElement {
    public static var postgresArrayType: PostgresType { .timestamptzArray }
}

extension PostgresText {
    fileprivate mutating func append(_ value: Int, digits: Int) {
        let text = String(value)
        for _ in 0..<max(0, digits - text.utf8.count) { append(byte: UInt8(ascii: "0")) }
        append(text)
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar. The year starts in March, so that the leap day is
/// its last and no table of months is needed; 400 years make an era of 146,097 days.
func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
    let marchYear = month <= 2 ? year - 1 : year
    let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
    let yearOfEra = marchYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}

/// Reads `2026-01-02`, `2026-01-02 03:04:05.678901` and the same with an offset: `+00`, `-03:30`; also ` BC`.
struct TimestampReader {
    let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Microseconds since 1970; nil when the text is no finite timestamp.
    mutating func timestamp() -> Int64? {
        guard let year = number(4...6), take("-"), let month = number(2...2), take("-"), let day = number(2...2)
        else { return nil }
        var seconds: Int64 = 0
        var fraction: Int64 = 0
        if take(" ") {
            if peek == UInt8(ascii: "B") {
                position -= 1
            } else {
                guard let time = timeOfDay() else { return nil }
                (seconds, fraction) = time
            }
        }
        let isBeforeChrist = take(" ") && take("B") && take("C")
        guard position == bytes.count, (1...12).contains(month), (1...31).contains(day) else { return nil }
        let days = daysSince1970(year: isBeforeChrist ? 1 - year : year, month: month, day: day)
        return (days * 86_400 + seconds) * 1_000_000 + fraction
    }

    private mutating func timeOfDay() -> (seconds: Int64, microseconds: Int64)? {
        guard let hour = number(2...2), take(":"), let minute = number(2...2), take(":"), let second = number(2...2)
        else { return nil }
        var fraction: Int64 = 0
        if take(".") {
            let start = position
            guard let digits = number(1...6) else { return nil }
            fraction = digits
            for _ in (position - start)..<6 { fraction *= 10 }
        }
        var offset: Int64 = 0
        if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") {
            let sign: Int64 = take("-") ? -1 : 1
            if sign > 0 { position += 1 }
            guard let hours = number(2...2) else { return nil }
            offset = hours * 3_600
            for scale in [60 as Int64, 1] where take(":") {
                guard let part = number(2...2) else { return nil }
                offset += part * scale
            }
            offset *= sign
        }
        return (hour * 3_600 + minute * 60 + second - offset, fraction)
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func number(_ digits: ClosedRange<Int>) -> Int64? {
        var value: Int64 = 0
        let start = position
        while position - start < digits.upperBound, let byte = peek, byte >= 0x30, byte <= 0x39 {
            value = value * 10 + Int64(byte - 0x30)
            position += 1
        }
        return position - start >= digits.lowerBound ? value : nil
    }
}
