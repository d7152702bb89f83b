import HTTP
import Postgres
import Shared

/// Every endpoint of qa-analytics, one line each.
enum Routes {
    static func list(_ database: Database) -> [Route] {
        [
            .get(
                "/api/v1/analytics/overview", "Dashboard figures of a span of time", access: .may(.readAnalytics),
                limit: .analytics,
                query: [
                    .query(
                        "from_date", .string, "A day (from its first instant, UTC) or an instant; default: 7 days ago."),
                    .query("to_date", .string, "A day (inclusive) or an instant (exclusive); default: now."),
                    .query("business_id", .uuid, "Only calls of this business configuration."),
                ],
                returns: .ok(Schemas.overview)
            ) { try await readOverview($0, database) },
            WorkspaceFigures.route(database),
        ]
    }

    private static func readOverview(_ request: Request, _ database: Database) async throws -> Response {
        var form = request.queryForm
        let from = form.optionalDateBound("from_date")
        let to = form.optionalDateBound("to_date")
        let business = form.optionalID("business_id", as: BusinessID.self)
        let now = Instant.now()
        let end = to?.endInUTC ?? now
        let start = from?.firstInUTC ?? now - .seconds(7 * 86_400)
        if start > end { form.fail("to_date", "must not be before from_date") }
        try form.finish()
        let tenancy = try request.requirePrincipal().tenancy
        return .json(200, try await Overview.read(tenancy, business: business, from: start, to: end, database))
    }
}

enum Schemas {
    static let overview = Schema.ref(
        "AnalyticsOverview",
        .object(
            .required("total_calls", .integer), .required("active_calls", .integer, "Started and not ended."),
            .required("completed_calls", .integer), .required("failed_calls", .integer),
            .required("escalated_calls", .integer, "Calls with an escalation."),
            .required("average_qa_score", .number, "0 … 1 over scored calls; 0 when none is scored."),
            .required("average_call_duration", .number, "Seconds, over ended calls."),
            .required("escalation_rate", .number, "Percent: 100 × escalated / total."),
            .required(
                "sentiment_distribution",
                .object(
                    .required("positive", .integer, "Calls whose mood is ≥ 0.05."), .required("neutral", .integer),
                    .required("negative", .integer, "Calls whose mood is ≤ −0.05."))),
            .required(
                "qa_score_distribution",
                .object(
                    .required("excellent", .integer, "≥ 0.8"), .required("good", .integer, "0.6 … 0.79"),
                    .required("fair", .integer, "0.4 … 0.59"), .required("poor", .integer, "< 0.4")))))
}
