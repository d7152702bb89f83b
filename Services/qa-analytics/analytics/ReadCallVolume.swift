import Postgres
import Shared

/// The series of `GET /api/v1/analytics/call-volume`.
struct CallVolume: Sendable, Equatable, JSONWritable {
    struct Point: Sendable, Equatable {
        var period: String
        var total: Int64
        var inbound: Int64
        var outbound: Int64
        var completed: Int64
        var escalated: Int64
    }

    var points: [Point]

    /// - Parameter direction: only these calls; nil = both. What the other one would have is then 0.
    static func read(
        _ range: AnalyticsRange, by interval: Interval, _ direction: CallDirection?, _ scope: AnalyticsScope,
        _ database: Database
    ) async throws -> CallVolume {
        let rows = try await database.query(
            """
            \(fragment: ReadRange.parts(range, by: interval, scope))
            SELECT \(fragment: Figures.period),
                coalesce(sum(total), 0)::bigint AS total, coalesce(sum(completed), 0)::bigint AS completed,
                coalesce(sum(escalated), 0)::bigint AS escalated, coalesce(sum(inbound), 0)::bigint AS inbound,
                coalesce(sum(inbound_completed), 0)::bigint AS inbound_completed,
                coalesce(sum(inbound_escalated), 0)::bigint AS inbound_escalated
            \(fragment: Figures.series)
            """)
        var points: [Point] = []
        for row in rows {
            guard let period = try Period.label(row) else {
                _ = try range.resolved(row)
                continue
            }
            points.append(try Point(period, row, direction))
        }
        return CallVolume(points: points)
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.fieldArray("data") { json in
                for point in points {
                    json.object { json in
                        json.field("period", point.period)
                        json.field("total_calls", point.total)
                        json.field("inbound_calls", point.inbound)
                        json.field("outbound_calls", point.outbound)
                        json.field("completed_calls", point.completed)
                        json.field("escalated_calls", point.escalated)
                    }
                }
            }
        }
    }
}

extension CallVolume.Point {
    fileprivate init(_ period: String, _ row: Row, _ direction: CallDirection?) throws {
        let total: Int64 = try row["total"]
        let completed: Int64 = try row["completed"]
        let escalated: Int64 = try row["escalated"]
        let inbound: Int64 = try row["inbound"]
        let inboundCompleted: Int64 = try row["inbound_completed"]
        let inboundEscalated: Int64 = try row["inbound_escalated"]
        self.period = period
        switch direction {
        case nil:
            (self.total, self.inbound, outbound) = (total, inbound, total - inbound)
            (self.completed, self.escalated) = (completed, escalated)
        case .inbound:
            (self.total, self.inbound, outbound) = (inbound, inbound, 0)
            (self.completed, self.escalated) = (inboundCompleted, inboundEscalated)
        case .outbound:
            (self.total, self.inbound, outbound) = (total - inbound, 0, total - inbound)
            (self.completed, self.escalated) = (completed - inboundCompleted, escalated - inboundEscalated)
        }
    }
}
