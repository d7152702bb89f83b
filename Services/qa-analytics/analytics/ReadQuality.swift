import Postgres
import Shared

/// The figures of `GET /api/v1/analytics/qa`.
struct Quality: Sendable, Equatable, JSONWritable {
    struct Point: Sendable, Equatable {
        var period: String
        var average: Double
        /// Calls behind the average.
        var scored: Int64
    }

    struct Issue: Sendable, Equatable {
        var title: String
        /// Calls with it.
        var count: Int64
    }

    var overall: Double
    var sentiment: Double
    var compliance: Double
    var accuracy: Double
    var professionalism: Double
    var bands: Bands
    var trends: [Point]
    var issues: [Issue]

    var averages: [(name: String, score: Double)] {
        [
            ("overall", overall), ("sentiment", sentiment), ("compliance", compliance), ("accuracy", accuracy),
            ("professionalism", professionalism),
        ]
    }

    private static let issuesMax = 20

    static func read(
        _ range: AnalyticsRange, by interval: Interval, _ scope: AnalyticsScope, _ database: Database
    ) async throws -> Quality {
        let answers = try await database.pipeline([
            """
            \(fragment: ReadRange.parts(range, by: interval, scope))
            SELECT \(fragment: Figures.period), \(fragment: Figures.bands),
                coalesce(sum(overall_sum), 0)::float8 AS overall, coalesce(sum(sentiment_sum), 0)::float8 AS sentiment,
                coalesce(sum(compliance_sum), 0)::float8 AS compliance,
                coalesce(sum(accuracy_sum), 0)::float8 AS accuracy,
                coalesce(sum(professionalism_sum), 0)::float8 AS professionalism
            \(fragment: Figures.series)
            """,
            ReadRange.items(.issue, range, scope, limit: issuesMax),
        ])
        guard let whole = answers[0].last else { throw Problem(.internalError) }
        _ = try range.resolved(whole)
        let bands = try Bands(whole)
        func mean(_ column: String) throws -> Double { meanScore(try whole.decode(column), of: bands.total) }
        return Quality(
            overall: try mean("overall"), sentiment: try mean("sentiment"), compliance: try mean("compliance"),
            accuracy: try mean("accuracy"), professionalism: try mean("professionalism"), bands: bands,
            trends: try answers[0].dropLast().map { row in
                let scored = try Bands(row).total
                return Point(
                    period: try Period.label(row) ?? "", average: meanScore(try row["overall"], of: scored),
                    scored: scored)
            },
            issues: try answers[1].map { row in
                let issue = try Counted(row)
                return Issue(title: title(ofIssue: issue.item), count: issue.count)
            })
    }

    /// `asked_for_secret` → `Asked for secret`.
    static func title(ofIssue code: String) -> String {
        let words = code.split(separator: "_").joined(separator: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.fieldObject("average_scores") { json in
                for average in averages { json.field(average.name, average.score) }
            }
            json.fieldArray("score_distribution") { json in
                for band in bands.named {
                    json.object { json in
                        json.field("range", band.range)
                        json.field("count", band.count)
                        json.field("percentage", percent(band.count, of: bands.total))
                    }
                }
            }
            json.fieldArray("trends") { json in
                for point in trends {
                    json.object { json in
                        json.field("period", point.period)
                        json.field("average_score", point.average)
                    }
                }
            }
            json.fieldArray("top_issues") { json in
                for issue in issues {
                    json.object { json in
                        json.field("issue", issue.title)
                        json.field("count", issue.count)
                        json.field("percentage", percent(issue.count, of: bands.total))
                    }
                }
            }
        }
    }
}
