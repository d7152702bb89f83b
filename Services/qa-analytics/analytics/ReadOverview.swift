import Postgres
import Shared

/// The figures of `GET /api/v1/analytics/overview`.
struct Overview: Sendable, Equatable, JSONWritable {
    var total: Int64
    var active: Int64
    var completed: Int64
    var failed: Int64
    var escalated: Int64
    var averageScore: Double
    var averageDuration: Double
    var sentiment: Moods
    var bands: Bands
    /// The instants the range came to be.
    var low: Instant
    var high: Instant

    var escalationRate: Double { percent(escalated, of: total) }

    /// - Throws: 400 when the range ends before it begins.
    static func read(_ range: AnalyticsRange, _ scope: AnalyticsScope, _ database: Database) async throws -> Overview {
        let row = try await database.queryOne(
            """
            \(fragment: ReadRange.parts(range, by: nil, scope))
            SELECT (SELECT low FROM bounds) AS low, (SELECT high FROM bounds) AS high,
                \(fragment: Figures.calls), \(fragment: Figures.moods), \(fragment: Figures.bands),
                coalesce(sum(overall_sum), 0)::float8 AS overall_sum
            FROM parts
            """)
        guard let row else { throw Problem(.internalError) }
        let (low, high) = try range.resolved(row)
        let bands = try Bands(row)
        return Overview(
            total: try row["total"], active: try row["active"], completed: try row["completed"],
            failed: try row["failed"], escalated: try row["escalated"],
            averageScore: meanScore(try row["overall_sum"], of: bands.total),
            averageDuration: try row["average_duration"], sentiment: try Moods(row), bands: bands, low: low, high: high)
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("total_calls", total)
            json.field("active_calls", active)
            json.field("completed_calls", completed)
            json.field("failed_calls", failed)
            json.field("escalated_calls", escalated)
            json.field("average_qa_score", averageScore)
            json.field("average_call_duration", averageDuration)
            json.field("escalation_rate", escalationRate)
            json.field("sentiment_distribution", sentiment)
            json.fieldObject("qa_score_distribution") { json in
                for band in bands.named { json.field(band.name, band.count) }
            }
        }
    }
}
