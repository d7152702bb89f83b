import Postgres
import Shared

/// Columns that several endpoints add up.
enum Figures {
    static let calls: Query = """
        coalesce(sum(total), 0)::bigint AS total, coalesce(sum(active), 0)::bigint AS active,
        coalesce(sum(completed), 0)::bigint AS completed, coalesce(sum(failed), 0)::bigint AS failed,
        coalesce(sum(escalated), 0)::bigint AS escalated,
        coalesce(sum(duration_sum)::float8 / nullif(sum(duration_count), 0)::float8, 0) AS average_duration
        """
    static let moods: Query = """
        coalesce(sum(positive), 0)::bigint AS positive, coalesce(sum(neutral), 0)::bigint AS neutral,
        coalesce(sum(negative), 0)::bigint AS negative
        """
    static let bands: Query = """
        coalesce(sum(excellent), 0)::bigint AS excellent, coalesce(sum(good), 0)::bigint AS good,
        coalesce(sum(fair), 0)::bigint AS fair, coalesce(sum(poor), 0)::bigint AS poor
        """
    /// What every series has beside its sums.
    static let period: Query = """
        spans.label, spans.zone_offset, (SELECT low FROM bounds) AS low, (SELECT high FROM bounds) AS high
        """
    /// One row for each period, also for one without a call, and a last one, without a label, for the whole range.
    static let series: Query = """
        FROM spans LEFT JOIN parts ON parts.n = spans.n
        GROUP BY GROUPING SETS ((spans.n, spans.label, spans.zone_offset), ())
        ORDER BY spans.n NULLS LAST
        """
}

/// Calls by mood.
struct Moods: Sendable, Equatable, JSONWritable {
    var positive: Int64
    var neutral: Int64
    var negative: Int64

    init(_ row: Row) throws {
        positive = try row["positive"]
        neutral = try row["neutral"]
        negative = try row["negative"]
    }

    var named: [(name: String, count: Int64)] {
        [("positive", positive), ("neutral", neutral), ("negative", negative)]
    }

    func write(to json: inout JSONWriter) {
        json.object { json in for mood in named { json.field(mood.name, mood.count) } }
    }
}

/// Scored calls by their overall score, in the bands of document 003 §3.1.
struct Bands: Sendable, Equatable {
    var excellent: Int64
    var good: Int64
    var fair: Int64
    var poor: Int64

    init(_ row: Row) throws {
        excellent = try row["excellent"]
        good = try row["good"]
        fair = try row["fair"]
        poor = try row["poor"]
    }

    var total: Int64 { excellent + good + fair + poor }

    var named: [(name: String, range: String, count: Int64)] {
        [
            ("excellent", "0.8-1.0", excellent), ("good", "0.6-0.8", good), ("fair", "0.4-0.6", fair),
            ("poor", "0.0-0.4", poor),
        ]
    }
}

/// One period of a series: `2026-03-01` for days, weeks (their Monday) and months (their first),
/// `2026-03-01T05:00:00+05:30` for hours.
struct Period {
    /// nil: the whole range.
    static func label(_ row: Row) throws -> String? {
        guard let label = try row.decode("label", as: String?.self) else { return nil }
        guard label.contains("T") else { return label }
        let offset = try row.decode("zone_offset", as: Int64.self)
        if offset == 0 { return label + "Z" }
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let minutes = abs(offset) / 60
        return "\(label)\(offset < 0 ? "-" : "+")\(two(minutes / 60)):\(two(minutes % 60))"
    }
}

/// An item of an open list with how often it happened.
struct Counted: Sendable, Equatable {
    var item: String
    var count: Int64

    init(_ row: Row) throws {
        item = try row["item"]
        count = try row["count"]
    }
}

extension AnalyticsRange {
    /// The range's instants as the database found them.
    /// - Throws: 400 when it ends before it begins.
    func resolved(_ row: Row) throws -> (low: Instant, high: Instant) {
        let low: Instant = try row["low"]
        let high: Instant = try row["high"]
        if low > high { throw Problem.validation(complaint.field, complaint.message) }
        return (low, high)
    }
}

/// 100 × part / whole; 0 of nothing.
func percent(_ part: Int64, of whole: Int64) -> Double { whole > 0 ? 100 * Double(part) / Double(whole) : 0 }

/// The mean of what is summed in units of 1e-12; 0 of nothing.
func meanScore(_ sum: Double, of count: Int64) -> Double { count > 0 ? sum / 1e12 / Double(count) : 0 }
