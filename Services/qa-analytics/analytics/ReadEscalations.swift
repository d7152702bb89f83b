import Postgres
import Shared

/// The figures of `GET /api/v1/analytics/escalations`.
struct EscalationFigures: Sendable, Equatable, JSONWritable {
    struct Point: Sendable, Equatable {
        var period: String
        var escalations: Int64
        var rate: Double
    }

    var total: Int64
    var rate: Double
    var triggers: [Counted]
    var pending: Int64
    var inProgress: Int64
    var completed: Int64
    var cancelled: Int64
    /// Seconds.
    var averageResolution: Double
    var trends: [Point]

    var statuses: [(name: String, count: Int64)] {
        [("pending", pending), ("in_progress", inProgress), ("completed", completed), ("cancelled", cancelled)]
    }

    /// Trigger types are a short list of ours; this many hold all of it.
    private static let triggersMax = 100

    static func read(
        _ range: AnalyticsRange, by interval: Interval, _ scope: AnalyticsScope, _ database: Database
    ) async throws -> EscalationFigures {
        let answers = try await database.pipeline([
            """
            \(fragment: ReadRange.parts(range, by: interval, scope))
            SELECT \(fragment: Figures.period),
                coalesce(sum(total), 0)::bigint AS total, coalesce(sum(escalated), 0)::bigint AS escalated,
                coalesce(sum(escalations), 0)::bigint AS escalations,
                coalesce(sum(escalations_pending), 0)::bigint AS pending,
                coalesce(sum(escalations_in_progress), 0)::bigint AS in_progress,
                coalesce(sum(escalations_completed), 0)::bigint AS completed,
                coalesce(sum(escalations_cancelled), 0)::bigint AS cancelled,
                coalesce(sum(resolution_sum)::float8 / nullif(sum(resolution_count), 0)::float8, 0) AS resolution
            \(fragment: Figures.series)
            """,
            ReadRange.items(.trigger, range, scope, limit: triggersMax),
        ])
        guard let whole = answers[0].last else { throw Problem(.internalError) }
        _ = try range.resolved(whole)
        func rate(_ row: Row) throws -> Double { percent(try row["escalated"], of: try row["total"]) }
        return EscalationFigures(
            total: try whole["escalations"], rate: try rate(whole), triggers: try answers[1].map { try Counted($0) },
            pending: try whole["pending"], inProgress: try whole["in_progress"], completed: try whole["completed"],
            cancelled: try whole["cancelled"],
            averageResolution: try whole.decode("resolution", as: Double.self) / 1_000_000,
            trends: try answers[0].dropLast().map { row in
                Point(period: try Period.label(row) ?? "", escalations: try row["escalations"], rate: try rate(row))
            })
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("total_escalations", total)
            json.field("escalation_rate", rate)
            json.fieldArray("by_trigger_type") { json in
                for trigger in triggers {
                    json.object { json in
                        json.field("trigger_type", trigger.item)
                        json.field("count", trigger.count)
                        json.field("percentage", percent(trigger.count, of: total))
                    }
                }
            }
            json.fieldObject("by_status") { json in
                for status in statuses { json.field(status.name, status.count) }
            }
            json.field("average_resolution_time", averageResolution)
            json.fieldArray("trends") { json in
                for point in trends {
                    json.object { json in
                        json.field("period", point.period)
                        json.field("escalation_count", point.escalations)
                        json.field("escalation_rate", point.rate)
                    }
                }
            }
        }
    }
}
