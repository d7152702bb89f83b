import Postgres
import Shared

/// How wide the periods of a series are.
enum Interval: String, CaseIterable, Sendable {
    case hour, day, week, month

    /// The shortest there is, for judging how many periods a range may have.
    var days: Double {
        switch self {
        case .hour: 1.0 / 24
        case .day: 1
        case .week: 7
        case .month: 28
        }
    }

    /// What a series has unless it is told otherwise: days, and for long ranges not more points than a chart can show.
    static func fitting(_ range: AnalyticsRange) -> Interval {
        switch range.days {
        case ...93: .day
        case ...732: .week
        default: .month
        }
    }
}

/// `from_date`, `to_date` and `timezone` as a client gave them. Which instants they are only PostgreSQL knows, which has
/// the time zones.
struct AnalyticsRange: Sendable, Equatable {
    var from: DateBound?
    var to: DateBound
    /// An IANA name that PostgreSQL knows.
    var zone: String
    /// Nobody said where it ends.
    var isUpToNow = false

    /// More periods than this are refused: a chart of more points shows nothing, and each costs a look at an index.
    static let periodsMax = 5000
    /// Calls are counted from here on; an earlier day is a mistake, and the year 1 would make 700,000 periods.
    static let firstYear = "1970"

    var fromDay: String? { if case .day(let text)? = from { text } else { nil } }
    var fromInstant: Instant? { if case .instant(let instant)? = from { instant } else { nil } }
    var toDay: String? { if case .day(let text) = to { text } else { nil } }
    var toInstant: Instant? { if case .instant(let instant) = to { instant } else { nil } }

    /// Within a day or so, zones apart.
    var days: Double {
        let end = to.endInUTC
        let start = from?.firstInUTC ?? end - .seconds(7 * 86_400)
        return (end - start).inSeconds / 86_400
    }

    /// The range of a query or a body. Complaints name the field.
    /// - Parameter required: document 003 §3.2 wants both ends given.
    static func read(_ form: inout Form, required: Bool = false, now: Instant = .now()) -> AnalyticsRange {
        let from = required ? form.dateBound("from_date") : form.optionalDateBound("from_date")
        let to = required ? form.dateBound("to_date") : form.optionalDateBound("to_date")
        let zone = form.optionalString("timezone", min: 1, max: 64) ?? "UTC"
        for (name, bound) in [("from_date", from), ("to_date", to)] where !form.hasFailed {
            guard let bound, bound.firstInUTC < Instant(seconds: 0) else { continue }
            form.fail(name, "must not be before \(firstYear)")
        }
        let range = AnalyticsRange(from: from, to: to ?? .instant(now), zone: zone, isUpToNow: to == nil)
        if !form.hasFailed, range.isBackwards { form.fail(range.complaint.field, range.complaint.message) }
        return range
    }

    /// Whether it ends before it begins, as far as can be said without time zones. A day against an instant is left to
    /// the database.
    private var isBackwards: Bool {
        switch (from, to) {
        case (.day(let first)?, .day(let last)): last < first
        case (.instant(let first)?, .instant(let last)): last < first
        default: false
        }
    }

    /// What is wrong when it ends before it begins. One that ends now can only begin too late.
    var complaint: (field: String, message: String) {
        isUpToNow ? ("from_date", "must not be in the future") : ("to_date", "must not be before from_date")
    }

    /// Complains when the range has more periods than are answered.
    func check(_ interval: Interval, _ form: inout Form) {
        guard !form.hasFailed, days / interval.days > Double(Self.periodsMax) else { return }
        form.fail(
            "interval",
            "would make more than \(Self.periodsMax) periods: choose a longer one than \(interval.rawValue), or fewer days"
        )
    }
}
