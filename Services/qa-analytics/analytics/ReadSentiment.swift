import Postgres
import Shared

/// The figures of `GET /api/v1/analytics/sentiment`.
struct SentimentFigures: Sendable, Equatable, JSONWritable {
    struct Point: Sendable, Equatable {
        var period: String
        var moods: Moods
        var average: Double
    }

    var moods: Moods
    var average: Double
    var trends: [Point]
    var againstScore: Double
    var againstEscalation: Double

    static func read(
        _ range: AnalyticsRange, by interval: Interval, _ scope: AnalyticsScope, _ database: Database
    ) async throws -> SentimentFigures {
        // Differences of large sums: exact as `numeric`, and only then made a float.
        let rows = try await database.query(
            """
            \(fragment: ReadRange.parts(range, by: interval, scope))
            SELECT \(fragment: Figures.period), \(fragment: Figures.moods),
                coalesce(sum(felt), 0)::bigint AS felt, coalesce(sum(mood_sum), 0)::float8 AS mood_sum,
                coalesce(sum(pairs), 0)::bigint AS pairs,
                (1000000000000 * sum(pairs) * sum(pair_products)
                    - sum(pair_mood_sum) * sum(pair_overall_sum))::float8 AS pair_covariance,
                (1000000000000 * sum(pairs) * sum(pair_mood_squares) - sum(pair_mood_sum) * sum(pair_mood_sum))::float8
                    AS pair_mood_variance,
                (1000000000000 * sum(pairs) * sum(pair_overall_squares)
                    - sum(pair_overall_sum) * sum(pair_overall_sum))::float8 AS pair_overall_variance,
                (1000000000000 * (sum(felt) * sum(mood_escalated_sum) - sum(mood_sum) * sum(felt_escalated)))::float8
                    AS escalation_covariance,
                (1000000000000 * sum(felt) * sum(mood_squares) - sum(mood_sum) * sum(mood_sum))::float8
                    AS mood_variance,
                (1000000000000000000000000 * (sum(felt) * sum(felt_escalated)
                    - sum(felt_escalated) * sum(felt_escalated)))::float8 AS escalation_variance
            \(fragment: Figures.series)
            """)
        guard let whole = rows.last else { throw Problem(.internalError) }
        _ = try range.resolved(whole)
        return SentimentFigures(
            moods: try Moods(whole), average: meanScore(try whole["mood_sum"], of: try whole["felt"]),
            trends: try rows.dropLast().map { row in
                Point(
                    period: try Period.label(row) ?? "", moods: try Moods(row),
                    average: meanScore(try row["mood_sum"], of: try row["felt"]))
            },
            againstScore: correlation(
                try whole["pairs"], try whole["pair_covariance"], try whole["pair_mood_variance"],
                try whole["pair_overall_variance"]),
            againstEscalation: correlation(
                try whole["felt"], try whole["escalation_covariance"], try whole["mood_variance"],
                try whole["escalation_variance"]))
    }

    /// Pearson's r of n pairs from n²·covariance and n²·variances in units of 1e-24. 0 when one of the two never varies:
    /// nothing can then be said. Products are kept to 1e-12, so a variance below 1e-10 is none.
    static func correlation(_ count: Int64, _ covariance: Double?, _ one: Double?, _ other: Double?) -> Double {
        guard count > 1, let covariance, let one, let other else { return 0 }
        let least = 1e14 * Double(count) * Double(count)
        guard one > least, other > least else { return 0 }
        return max(-1, min(1, covariance / (one.squareRoot() * other.squareRoot())))
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("distribution", moods)
            json.field("average_sentiment_score", average)
            json.fieldArray("trends") { json in
                for point in trends {
                    json.object { json in
                        json.field("period", point.period)
                        for mood in point.moods.named { json.field(mood.name, mood.count) }
                        json.field("average_score", point.average)
                    }
                }
            }
            json.fieldObject("correlation") { json in
                json.field("sentiment_vs_qa", againstScore)
                json.field("sentiment_vs_escalation", againstEscalation)
            }
        }
    }
}
