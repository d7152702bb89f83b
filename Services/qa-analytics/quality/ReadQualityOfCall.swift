import HTTP
import Postgres
import Shared

/// A call's score with what it rests on, as clients see it.
struct QualityOfCall: Sendable, JSONWritable {
    var call: CallID
    var workspace: WorkspaceID
    /// nil: not judged yet, or not to be judged.
    var score: CallScore?

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("call_id", call)
            if let score {
                json.key("qa_score")
                score.snapshot.writeScore(to: &json)
                json.field("version", score.version)
                json.field("judged_by", score.judgedBy)
                json.field("is_reviewed", score.reviewed)
                json.field("is_below_threshold", score.isBelowThreshold)
                json.field("terms", score.terms.scored)
            }
            json.fieldArray("evidence") { json in
                guard let score else { return }
                for area in Rubric.Finding.Area.allCases {
                    for finding in score.findings where finding.area == area { finding.writeEvidence(to: &json) }
                    for basis in score.basis where basis.area == area { basis.writeEvidence(to: &json) }
                }
            }
        }
    }

    var response: Response {
        var response = Response.json(200, self)
        response.headers.set("ETag", (score?.etag ?? .strong("0")).text)
        return response
    }
}

extension CallScore {
    /// For `If-Match`.
    var etag: ETag { .strong("\(version)") }
}

extension Rubric.Finding {
    fileprivate func writeEvidence(to json: inout JSONWriter) {
        json.object { json in
            json.field("criterion", area.rawValue)
            json.field("code", code)
            json.field("issue", reason)
            json.field("points", deduction)
            json.field("interaction_ids", evidence)
        }
    }
}

extension Rubric.Basis {
    fileprivate func writeEvidence(to json: inout JSONWriter) {
        json.object { json in
            json.field("criterion", area.rawValue)
            json.field("points", deduction)
            json.field("interaction_ids", evidence)
            json.field("note", note)
        }
    }
}

/// One line of a score's history.
struct ScoreChange: Sendable, JSONWritable {
    var version: Int64
    var changedBy: String
    var changer: UserID?
    var changedAt: Instant
    var before: JSON
    var after: JSON

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("version", version)
            json.field("changed_by", changedBy)
            json.field("changed_by_id", ifPresent: changer)
            json.field("changed_at", changedAt)
            json.field("before", before)
            json.field("after", after)
        }
    }
}

/// The SQL behind reading them.
enum ReadQualityOfCall {
    /// nil when there is no such call in these workspaces.
    static func find(_ call: CallID, _ tenancy: Tenancy, _ database: Database) async throws -> QualityOfCall? {
        let answers = try await database.pipeline([
            "SELECT workspace_id FROM calls WHERE call_id = \(call)",
            "SELECT \(fragment: ScoreStore.columns) FROM qa_scores WHERE call_id = \(call)",
        ])
        guard let workspace: WorkspaceID = try answers[0].first?["workspace_id"], tenancy.contains(workspace) else {
            return nil
        }
        return QualityOfCall(call: call, workspace: workspace, score: try answers[1].first.map(ScoreStore.score))
    }

    /// Newest first.
    /// - Parameter before: the last version of the page before, instead of an offset.
    static func changes(
        of call: CallID, before: Int64?, _ page: Page, _ database: Database
    ) async throws -> (changes: [ScoreChange], total: Int, hasMore: Bool) {
        let place: Query = before.map { "AND version < \($0)" } ?? ""
        let answers = try await database.pipeline([
            """
            SELECT version, changed_by, changer_id, changed_at, before, after FROM qa_score_changes
            WHERE call_id = \(call) \(fragment: place) ORDER BY version DESC LIMIT \(page.size + 1) OFFSET \(page.offset)
            """,
            "SELECT count(*) AS total FROM qa_score_changes WHERE call_id = \(call)",
        ])
        let found = try answers[0].map { row in
            ScoreChange(
                version: try row["version"], changedBy: try row["changed_by"], changer: try row["changer_id"],
                changedAt: try row["changed_at"], before: try row["before"], after: try row["after"])
        }
        return (
            Array(found.prefix(page.size)), try answers[1].first?.decode("total", as: Int.self) ?? 0,
            found.count > page.size
        )
    }
}
