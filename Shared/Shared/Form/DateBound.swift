/// One end of a date range as a client wrote it. A date without time means the whole day, which only the bucketing
/// time zone can turn into instants, so it is kept as text for PostgreSQL; as an upper end a day is inclusive and an
/// instant exclusive.
public enum DateBound: Hashable, Sendable {
    /// `yyyy-mm-dd`, a date that exists.
    case day(String)
    case instant(Instant)

    public init?(_ text: some StringProtocol) {
        var copy = String(text)
        let isDay = copy.withUTF8 { bytes in
            var scan = DigitScan(bytes)
            return InstantText.parseDate(&scan) != nil && scan.isAtEnd
        }
        if isDay {
            self = .day(copy)
        } else if let instant = Instant(iso: copy) {
            self = .instant(instant)
        } else {
            return nil
        }
    }

    /// As a lower end with days taken in UTC: the first instant inside.
    public var firstInUTC: Instant {
        switch self {
        case .day(let text): Instant(iso: text) ?? Instant(microseconds: 0)
        case .instant(let instant): instant
        }
    }

    /// As an upper end with days taken in UTC: the first instant no longer inside.
    public var endInUTC: Instant {
        switch self {
        case .day: firstInUTC + .seconds(86_400)
        case .instant(let instant): instant
        }
    }
}
