import HTTP
import Shared

/// What the endpoints take and return: document 003 §3, with the formulas.
enum Schemas {
    static let overview = Schema.ref(
        "AnalyticsOverview",
        .object(
            .required("total_calls", .integer),
            .required("active_calls", .integer, "Started and not ended: neither completed nor failed."),
            .required("completed_calls", .integer), .required("failed_calls", .integer),
            .required("escalated_calls", .integer, "Calls with an escalation, also a cancelled one."),
            .required("average_qa_score", .number, "Mean overall score of scored calls, 0 … 1; 0 when none is scored."),
            .required("average_call_duration", .number, "Seconds, mean over ended calls."),
            .required("escalation_rate", .number, "Percent: 100 × escalated_calls / total_calls."),
            .required("sentiment_distribution", moods),
            .required(
                "qa_score_distribution",
                .object(
                    .required("excellent", .integer, "≥ 0.8"), .required("good", .integer, "0.6 … 0.79"),
                    .required("fair", .integer, "0.4 … 0.59"), .required("poor", .integer, "< 0.4")))))

    static let callVolume = Schema.ref(
        "AnalyticsCallVolume",
        .object(
            .required(
                "data",
                .array(
                    .object(
                        .required("period", period), .required("total_calls", .integer),
                        .required("inbound_calls", .integer), .required("outbound_calls", .integer),
                        .required("completed_calls", .integer),
                        .required("escalated_calls", .integer, "Calls with an escalation."))),
                "Every period that touches the range, also one without calls. The first and the last count only what "
                    + "lies within the range.")))

    static let quality = Schema.ref(
        "AnalyticsQA",
        .object(
            .required(
                "average_scores",
                .object(
                    .required("overall", score), .required("sentiment", score), .required("compliance", score),
                    .required("accuracy", score), .required("professionalism", score)),
                "Means over scored calls."),
            .required(
                "score_distribution",
                .array(
                    .object(
                        .required("range", .string(enum: ["0.8-1.0", "0.6-0.8", "0.4-0.6", "0.0-0.4"])),
                        .required("count", .integer),
                        .required("percentage", .number, "100 × count / scored calls."))),
                "By overall score; a range holds its lower end, and 0.8-1.0 both."),
            .required(
                "trends",
                .array(
                    .object(
                        .required("period", period),
                        .required("average_score", score, "Mean overall score; 0 when none is scored.")))),
            .required(
                "top_issues",
                .array(
                    .object(
                        .required("issue", .string, "The kind of finding, as in docs/qa-rubric.md."),
                        .required("count", .integer, "Calls with at least one such finding."),
                        .required("percentage", .number, "100 × count / scored calls."))),
                "The 20 most frequent.")))

    static let sentiment = Schema.ref(
        "AnalyticsSentiment",
        .object(
            .required("distribution", moods),
            .required("average_sentiment_score", mood, "Mean mood of calls in which the customer spoke."),
            .required(
                "trends",
                .array(
                    .object(
                        .required("period", period), .required("positive", .integer), .required("neutral", .integer),
                        .required("negative", .integer), .required("average_score", mood)))),
            .required(
                "correlation",
                .object(
                    .required(
                        "sentiment_vs_qa", coefficient, "Pearson's r of a call's mood and its overall score."),
                    .required(
                        "sentiment_vs_escalation", coefficient,
                        "Pearson's r of a call's mood and whether it was escalated (1 or 0): negative when unhappy "
                            + "customers are escalated.")),
                "0 when fewer than two calls have both, or one of the two never varies.")))

    static let escalations = Schema.ref(
        "AnalyticsEscalations",
        .object(
            .required("total_escalations", .integer, "Escalations of the calls that started in the range."),
            .required("escalation_rate", .number, "Percent: 100 × calls with an escalation / calls."),
            .required(
                "by_trigger_type",
                .array(
                    .object(
                        .required("trigger_type", .string, "keyword, sentiment, request, failure, confidence, manual"),
                        .required("count", .integer),
                        .required("percentage", .number, "100 × count / total_escalations.")))),
            .required(
                "by_status",
                .object(
                    .required("pending", .integer), .required("in_progress", .integer),
                    .required("completed", .integer), .required("cancelled", .integer))),
            .required(
                "average_resolution_time", .number, "Seconds from request to completion, mean over completed ones."),
            .required(
                "trends",
                .array(
                    .object(
                        .required("period", period), .required("escalation_count", .integer),
                        .required("escalation_rate", .number, "As above, of the period."))))))

    static let exportRequest = Schema.ref(
        "AnalyticsExportRequest",
        .object(
            .required("format", .choice(ReportFormat.self)), .required("report_type", .choice(ReportType.self)),
            .optional("from_date", .string, "As for the figures; default: 7 days before the end."),
            .optional("to_date", .string, "Default: now."), .optional("business_id", .uuid),
            .optional("timezone", .string, "IANA name; default: UTC."),
            .optional("include_charts", .boolean, "PDF only; default: true.")))

    static let file = Schema.string(format: "binary")

    static let reportJob = Schema.ref(
        "AnalyticsReportJob",
        .object(
            .required("id", .uuid), .required("status", .string(enum: ["queued", "running", "completed", "failed"])),
            .required("progress", .integer(min: 0, max: 100), "Percent."),
            .required("format", .choice(ReportFormat.self)), .required("report_type", .choice(ReportType.self)),
            .required("created_at", .instant),
            .required("expires_at", .instant, "The job and its file are gone then."),
            .required("status_url", .string, "Where to ask again."),
            .optional("download_url", .string, "Once it is completed."),
            .optional("size", .integer, "Bytes, once it is completed."),
            .optional("error", .string, "Why it failed.")))

    private static let period = Schema.string.described(
        "`2026-03-01` for a day, a week (its Monday) or a month (its first day); `2026-03-01T05:00:00+05:30` for an hour."
    )
    private static let score = Schema.number(min: 0, max: 1)
    private static let mood = Schema.number(min: -1, max: 1)
    private static let coefficient = Schema.number(min: -1, max: 1)
    private static let moods = Schema.object(
        .required("positive", .integer, "Calls whose mood is ≥ 0.05."), .required("neutral", .integer),
        .required("negative", .integer, "Calls whose mood is ≤ −0.05."))
}
