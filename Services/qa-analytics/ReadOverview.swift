import Postgres
import Shared

/// The figures of `GET /api/v1/analytics/overview`: whole UTC days from the rollup, the cut days at both ends of the range
/// from the rows themselves, in one round trip.
struct Overview: Sendable, JSONWritable {
    var total: Int64 = 0
    var active: Int64 = 0
    var completed: Int64 = 0
    var failed: Int64 = 0
    var escalated: Int64 = 0
    var durationSum: Int64 = 0
    var durationCount: Int64 = 0
    var overallSum: Int64 = 0
    var overallCount: Int64 = 0
    var positive: Int64 = 0
    var neutral: Int64 = 0
    var negative: Int64 = 0
    var excellent: Int64 = 0
    var good: Int64 = 0
    var fair: Int64 = 0
    var poor: Int64 = 0

    /// - Parameters:
    ///   - tenancy: whose calls; everyone's for an admin.
    ///   - from: first instant of the range, inclusive. - to: its end, exclusive.
    static func read(
        _ tenancy: Tenancy, business: BusinessID?, from: Instant, to: Instant, _ database: Database
    ) async throws -> Overview {
        let row = try await database.queryOne(
            """
            WITH span AS (
                SELECT \(from)::timestamptz AS low, \(to)::timestamptz AS high,
                    (date_trunc('day', \(from)::timestamptz AT TIME ZONE 'UTC' + interval '1 day - 1 microsecond'))::date
                        AS first_day,
                    (date_trunc('day', \(to)::timestamptz AT TIME ZONE 'UTC'))::date AS end_day
            ), edges AS (
                -- A range within one day has no whole day: both edges are then the range itself.
                SELECT low AS a, CASE WHEN first_day < end_day THEN first_day::timestamp AT TIME ZONE 'UTC' ELSE high END AS b
                FROM span
                UNION ALL
                SELECT end_day::timestamp AT TIME ZONE 'UTC', high FROM span WHERE first_day < end_day
            ), parts AS (
                SELECT d.* FROM span, calls_daily d
                WHERE d.day >= span.first_day AND d.day < span.end_day
                    AND (\(tenancy.ids)::uuid[] IS NULL OR d.workspace_id = ANY (\(tenancy.ids)::uuid[]))
                    AND (\(business)::uuid IS NULL OR d.business_id = \(business)::uuid)
                UNION ALL
                SELECT (call_part(c)).* FROM edges, calls c
                WHERE c.started_at >= edges.a AND c.started_at < edges.b
                    AND (\(tenancy.ids)::uuid[] IS NULL OR c.workspace_id = ANY (\(tenancy.ids)::uuid[]))
                    AND (\(business)::uuid IS NULL OR c.business_id = \(business)::uuid)
            )
            SELECT coalesce(sum(total), 0)::bigint AS total, coalesce(sum(active), 0)::bigint AS active,
                coalesce(sum(completed), 0)::bigint AS completed, coalesce(sum(failed), 0)::bigint AS failed,
                coalesce(sum(escalated), 0)::bigint AS escalated,
                coalesce(sum(duration_sum), 0)::bigint AS duration_sum,
                coalesce(sum(duration_count), 0)::bigint AS duration_count,
                coalesce(sum(overall_sum), 0)::bigint AS overall_sum,
                coalesce(sum(overall_count), 0)::bigint AS overall_count,
                coalesce(sum(positive), 0)::bigint AS positive, coalesce(sum(neutral), 0)::bigint AS neutral,
                coalesce(sum(negative), 0)::bigint AS negative, coalesce(sum(excellent), 0)::bigint AS excellent,
                coalesce(sum(good), 0)::bigint AS good, coalesce(sum(fair), 0)::bigint AS fair,
                coalesce(sum(poor), 0)::bigint AS poor
            FROM parts
            """)
        guard let row else { return Overview() }
        return Overview(
            total: try row["total"], active: try row["active"], completed: try row["completed"],
            failed: try row["failed"], escalated: try row["escalated"], durationSum: try row["duration_sum"],
            durationCount: try row["duration_count"], overallSum: try row["overall_sum"],
            overallCount: try row["overall_count"], positive: try row["positive"], neutral: try row["neutral"],
            negative: try row["negative"], excellent: try row["excellent"], good: try row["good"],
            fair: try row["fair"], poor: try row["poor"])
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("total_calls", total)
            json.field("active_calls", active)
            json.field("completed_calls", completed)
            json.field("failed_calls", failed)
            json.field("escalated_calls", escalated)
            json.field("average_qa_score", overallCount > 0 ? Double(overallSum) / 1_000_000 / Double(overallCount) : 0)
            json.field("average_call_duration", durationCount > 0 ? Double(durationSum) / Double(durationCount) : 0)
            json.field("escalation_rate", total > 0 ? 100 * Double(escalated) / Double(total) : 0)
            json.fieldObject("sentiment_distribution") { json in
                json.field("positive", positive)
                json.field("neutral", neutral)
                json.field("negative", negative)
            }
            json.fieldObject("qa_score_distribution") { json in
                json.field("excellent", excellent)
                json.field("good", good)
                json.field("fair", fair)
                json.field("poor", poor)
            }
        }
    }
}
