import HTTP
import Messaging
import Postgres
import Shared

/// `/api/v1/calls/{call_id}/qa`: how a call was judged, and a person's word on it.
struct QualityReview: Sendable {
    let database: Database

    init(_ database: Database) { self.database = database }

    /// `GET /api/v1/calls/{call_id}/qa`
    func readScore(_ request: Request) async throws -> Response {
        try await visible(request, for: .readCalls).response
    }

    /// `GET /api/v1/calls/{call_id}/qa/history`
    func listChanges(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let page = Page(manager: &form)
        var before: Int64?
        if let cursor = page.cursor {
            before = cursor.values.count == 1 ? cursor.values[0].int64 : nil
            if before == nil { form.fail("cursor", "must be a next_cursor of this list") }
        }
        try form.finishRefusingUnknown()
        let call = try await visible(request, for: .readCalls).call
        let found = try await ReadQualityOfCall.changes(of: call, before: before, page, database)
        return .json { json in
            json.object { json in
                json.field("changes", found.changes)
                page.writePagination(
                    to: &json, total: before == nil ? .exact(found.total) : .uncounted,
                    next: found.hasMore ? found.changes.last.map { Cursor([.int($0.version)]) } : nil)
            }
        }
    }

    /// `PATCH /api/v1/calls/{call_id}/qa` — a person corrects a score; nothing automatic changes it from then on.
    func reviewCall(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let found = try await visible(request, for: .reviewCalls)
        var form = try await request.form()
        let review = Review(&form)
        try form.finish()
        let expected = request.headers["If-Match"]
        let score = try await database.transaction { (tx: borrowing Transaction) -> CallScore in
            guard let call = try await ScoreStore.lock(found.call, tx) else { throw Problem.notFound(.callNotFound) }
            guard let before = try await ScoreStore.find(found.call, tx) else {
                throw Problem.conflict("The call has no score: it has not ended, or it is not to be judged.")
            }
            if let expected, !before.etag.isMatched(by: expected) {
                throw Problem(
                    .preconditionFailed, "The score was changed meanwhile; read it again and repeat the correction.")
            }
            let name = try await QualityConfigStore.name(of: principal.user, tx) ?? principal.user.text
            var score = review.applied(to: before, by: principal.user, named: name)
            // The same said again by the same person is nothing new.
            guard score.differs(from: before) else { return before }
            try await ScoreStore.save(&score, after: before, tx)
            tx.publish(ScoreEvent.scoreUpdated(call.ref, score.snapshot))
            return score
        }
        return QualityOfCall(call: found.call, workspace: found.workspace, score: score).response
    }

    /// - Throws: 404 for a call of a workspace they do not belong to, 403 for too low a role.
    private func visible(_ request: Request, for action: Action) async throws -> QualityOfCall {
        let id = try request.pathID("call_id", as: CallID.self, or: .callNotFound)
        let principal = try request.requirePrincipal()
        guard let found = try await ReadQualityOfCall.find(id, principal.tenancy, database) else {
            throw Problem.notFound(.callNotFound)
        }
        try principal.require(action, in: found.workspace)
        return found
    }
}

// MARK: For the API's description

extension QualityReview {
    static let about = """
        The score, and under `evidence` what each part of it rests on: findings with the points they took and the \
        utterances that show them, and what was looked at. A part is 1 less its points (0 at least) until a person \
        corrects it; docs/qa-rubric.md has the rubric. Without `qa_score` the call is not judged yet, or its business \
        configuration has quality assurance off.
        """

    static let aboutReview = """
        Only what is named changes. A part without `overall_score` moves the overall score as the rubric weighs it; \
        `sentiment_score` without `sentiment_label` brings the label along. `reviewed_by` is then the person's name, \
        and nothing automatic changes the score any more. 409 when the call has no score yet; 412 when `If-Match` names \
        an older version. The history keeps what it was before.
        """

    static let ifMatch = Parameter.header(
        "If-Match", .string, "The ETag the correction is based on; 412 when the score has changed since.")

    private static let points = Schema.number(min: 0, max: 1)

    static let quality = Schema.ref(
        "CallQuality",
        .object(
            .required("call_id", .uuid), .optional("qa_score", ScoreSnapshot.clientSchema),
            .optional("version", .integer(min: 1), "Grows with every change; the ETag."),
            .optional("judged_by", .string, "What made the findings: `\(Rubric.name)`, or `model:` and its name."),
            .optional("is_reviewed", .boolean, "Whether a person has corrected it."),
            .optional("is_below_threshold", .boolean, "Whether it is flagged as below `min_score_threshold`."),
            .optional(
                "terms",
                .object(
                    .optional("business_id", .uuid), .optional("version", .integer, "Of the business configuration."),
                    .optional("sentiment_analysis", .boolean), .optional("compliance_check", .boolean),
                    .optional("min_score_threshold", .number)),
                "What the business configuration asked for when the call was judged; without a version the defaults."),
            .required(
                "evidence",
                .array(
                    .object(
                        .required("criterion", .choice(Rubric.Finding.Area.self)),
                        .optional("code", .string, "What kind of finding; as in docs/qa-rubric.md."),
                        .optional("issue", .string, "As in `compliance_issues` or `flagged_issues`."),
                        .required("points", points, "What it took from the part."),
                        .required("interaction_ids", .array(.integer), "The utterances that show it."),
                        .optional("note", .string, "What was looked at, where it is no finding."))))))

    static let reviewBody: Schema = {
        let issues = Schema.array(.string(min: 1, max: Review.issueLengthMax), max: Review.issuesMax)
        return .object(
            .optional("overall_score", points), .optional("sentiment_score", points),
            .optional("compliance_score", points), .optional("accuracy_score", points),
            .optional("professionalism_score", points), .optional("sentiment_label", .choice(SentimentLabel.self)),
            .optional("compliance_issues", issues, "The whole list; those that stay keep their evidence."),
            .optional("flagged_issues", issues, "The whole list."),
            .optional("review_notes", .nullable(.string(max: Review.notesLengthMax)), "null removes them."))
    }()

    static let changes = Schema.page(
        "changes",
        of: .ref(
            "QAScoreChange",
            .object(
                .required("version", .integer(min: 2), "Of the score, as it was from then on."),
                .required("changed_by", .string, "A person's name, `\(Rubric.name)`, or `model:` and its name."),
                .optional("changed_by_id", .uuid, "The user, when it was one."),
                .required("changed_at", .instant),
                .required("before", .anyObject, "The members that changed, as they were."),
                .required("after", .anyObject, "The same, as they are from then on."))))
}
