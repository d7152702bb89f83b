import HTTP
import Postgres
import Shared

/// Every endpoint of qa-analytics, one line each.
enum Routes {
    static func list(_ database: Database, _ reports: ReportJobs) -> [Route] {
        let analytics = Analytics(database)
        let export = ExportAnalytics(database, analytics.zones, reports)
        let review = QualityReview(database)
        return [
            .get(
                "/api/v1/calls/{call_id}/qa", "A call's score and its evidence", detail: QualityReview.about,
                access: .may(.readCalls), returns: .ok(QualityReview.quality)
            ) { try await review.readScore($0) },
            .patch(
                "/api/v1/calls/{call_id}/qa", "Correct a call's score", detail: QualityReview.aboutReview,
                access: .may(.reviewCalls), headers: [QualityReview.ifMatch], body: QualityReview.reviewBody,
                returns: [200: QualityReview.quality, 409: nil, 412: nil]
            ) { try await review.reviewCall($0) },
            .get(
                "/api/v1/calls/{call_id}/qa/history", "What a score was before, newest first",
                access: .may(.readCalls), query: .managerPage, returns: .ok(QualityReview.changes)
            ) { try await review.listChanges($0) },
            .get(
                "/api/v1/analytics/overview", "Dashboard figures of a span of time", detail: Analytics.about,
                access: .may(.readAnalytics), limit: .analytics, query: Analytics.range,
                returns: .ok(Schemas.overview)
            ) { try await analytics.overview($0) },
            .get(
                "/api/v1/analytics/call-volume", "How many calls there were, period by period",
                detail: Analytics.about, access: .may(.readAnalytics), limit: .analytics,
                query: Analytics.requiredRange + [Analytics.interval("day"), Analytics.direction],
                returns: .ok(Schemas.callVolume)
            ) { try await analytics.callVolume($0) },
            .get(
                "/api/v1/analytics/qa", "Scores, their distribution and trend, and what took points",
                detail: Analytics.about, access: .may(.readAnalytics), limit: .analytics,
                query: Analytics.range + [Analytics.interval(Analytics.fitting)], returns: .ok(Schemas.quality)
            ) { try await analytics.quality($0) },
            .get(
                "/api/v1/analytics/sentiment", "Moods, their trend, and what they go together with",
                detail: Analytics.about, access: .may(.readAnalytics), limit: .analytics,
                query: Analytics.range + [Analytics.interval(Analytics.fitting)], returns: .ok(Schemas.sentiment)
            ) { try await analytics.sentiment($0) },
            .get(
                "/api/v1/analytics/escalations", "Escalations by trigger and status, and how long they took",
                detail: Analytics.about, access: .may(.readAnalytics), limit: .analytics,
                query: Analytics.range + [Analytics.interval(Analytics.fitting)], returns: .ok(Schemas.escalations)
            ) { try await analytics.escalations($0) },
            .post(
                "/api/v1/analytics/export", "A report as a file", detail: ExportAnalytics.about,
                access: .may(.readAnalytics), limit: .analytics, headers: [ExportAnalytics.prefer],
                body: Schemas.exportRequest, returns: [200: Schemas.file, 202: Schemas.reportJob],
                produces: "text/csv, application/pdf", idempotent: true
            ) { try await export.export($0) },
            .get(
                "/api/v1/analytics/export/{job_id}", "How far a report is", access: .may(.readAnalytics),
                returns: .ok(Schemas.reportJob)
            ) { try await export.job($0) },
            .get(
                "/api/v1/analytics/export/{job_id}/file", "A finished report's file", access: .may(.readAnalytics),
                returns: [200: Schemas.file, 409: nil], produces: "text/csv, application/pdf"
            ) { try await export.file($0) },
            WorkspaceFigures.route(database),
        ]
    }
}
