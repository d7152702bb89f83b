import Glibc

/// A point in time, in microseconds since 1970-01-01T00:00:00Z: the precision PostgreSQL keeps.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    public init(seconds: Int64) {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        microseconds = overflow ? (seconds < 0 ? .min : .max) : product
    }

    /// The wall clock. For measuring how long something took use a monotonic clock instead.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// Reads `2026-01-02T03:04:05.678Z`, the same with an offset such as `+02:00`, or a date alone (its midnight in
    /// UTC). A time without an offset is refused: nobody can know which zone it means.
    public init?(iso text: some StringProtocol) {
        var copy = String(text)
        guard let microseconds = copy.withUTF8(InstantText.parse) else { return nil }
        self.microseconds = microseconds
    }

    /// Reads the date of an e-mail or a carrier's callback: `Fri, 02 Jan 2026 03:04:05 +0000` (RFC 2822 §3.3).
    public init?(rfc2822 text: some StringProtocol) {
        guard let microseconds = InstantText.parseMail(String(text)) else { return nil }
        self.microseconds = microseconds
    }

    /// `2026-01-02T03:04:05.678Z`: always UTC, always milliseconds (what is finer is cut off).
    public var iso: String {
        String(unsafeUninitializedCapacity: InstantText.lengthMax) { InstantText.write(microseconds, to: $0) }
    }

    /// The UTC date alone: `2026-01-02`.
    public var day: String { String(iso.prefix { $0 != "T" }) }

    public var description: String { iso }

    /// Whole seconds since 1970, rounded down.
    public var seconds: Int64 {
        microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000
    }

    public var civil: CivilTime { CivilTime(microseconds: microseconds) }

    public static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }

    public static func + (instant: Instant, duration: Duration) -> Instant {
        instant.advanced(by: duration.microseconds)
    }

    public static func - (instant: Instant, duration: Duration) -> Instant {
        let amount = duration.microseconds
        return instant.advanced(by: amount == .min ? .max : -amount)
    }

    public static func - (a: Instant, b: Instant) -> Duration {
        let (difference, overflow) = a.microseconds.subtractingReportingOverflow(b.microseconds)
        return .microseconds(overflow ? (a < b ? Int64.min : Int64.max) : difference)
    }

    public static func += (instant: inout Instant, duration: Duration) { instant = instant + duration }

    /// Stays at the end of the range instead of trapping: durations may come from outside.
    private func advanced(by amount: Int64) -> Instant {
        let (sum, overflow) = microseconds.addingReportingOverflow(amount)
        return Instant(microseconds: overflow ? (amount < 0 ? .min : .max) : sum)
    }
}

extension Duration {
    /// Whole microseconds, held at the ends of the range.
    public var microseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, tooBig) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, overflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        return tooBig || overflow ? (seconds < 0 ? .min : .max) : sum
    }

    public var milliseconds: Int64 { microseconds / 1000 }

    /// Seconds with their fraction, for metrics and logs.
    public var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
