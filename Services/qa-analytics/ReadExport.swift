import HTTP
import Postgres
import Program
import Shared

/// What a person may take along of analytics: how the calls of their workspaces were scored.
enum ReadExport {
    static func sections(_ database: Database) -> [ExportSection] {
        [
            ExportSection("scores") { person, after in
                let last = after?.values.first?.int64 ?? 0
                let rows = try await database.query(
                    """
                    SELECT s.id, s.call_id, s.version, s.overall, s.sentiment, s.compliance, s.accuracy,
                        s.professionalism, s.sentiment_label, s.findings, s.basis, s.judged_by, s.reviewed_by, s.review_notes, s.created_at,
                        s.updated_at, c.mood, c.outcome
                    FROM qa_scores s JOIN calls c USING (call_id)
                    WHERE s.workspace_id = ANY (\(person.workspaces)) AND s.id > \(last)
                    ORDER BY s.id LIMIT \(ExportSection.pageSize)
                    """)
                let scores = try rows.map(Scored.init)
                return .init(
                    scores,
                    next: scores.count < ExportSection.pageSize ? nil : scores.last.map { Cursor([.int($0.id)]) })
            }
        ]
    }

    /// Document 003's `QAScore`, with what it was made of.
    private struct Scored: JSONWritable {
        let id: Int64

        init(_ row: Row) throws {
            id = try row["id"]
            call = try row["call_id"]
            numbers = try ["overall", "sentiment", "compliance", "accuracy", "professionalism"].map { try row[$0] }
            label = try row["sentiment_label"]
            findings = try row["findings"]
            basis = try row["basis"]
            judgedBy = try row["judged_by"]
            reviewedBy = try row["reviewed_by"]
            notes = try row["review_notes"]
            createdAt = try row["created_at"]
            updatedAt = try row["updated_at"]
            mood = try row["mood"]
            outcome = try row["outcome"]
        }

        private let call: CallID
        private let numbers: [Double]
        private let label: String
        private let findings: JSON
        private let basis: JSON
        private let judgedBy: String
        private let reviewedBy: String
        private let notes: String?
        private let createdAt: Instant
        private let updatedAt: Instant
        private let mood: Double?
        private let outcome: String?

        func write(to json: inout JSONWriter) {
            json.object { json in
                json.field("id", id)
                json.field("call_id", call)
                json.field("overall_score", numbers[0])
                json.field("sentiment_score", numbers[1])
                json.field("compliance_score", numbers[2])
                json.field("accuracy_score", numbers[3])
                json.field("professionalism_score", numbers[4])
                json.field("sentiment_label", label)
                json.field("findings", findings)
                json.field("basis", basis)
                json.field("judged_by", judgedBy)
                json.field("reviewed_by", reviewedBy)
                json.field("review_notes", ifPresent: notes)
                json.field("mood", ifPresent: mood)
                json.field("outcome", ifPresent: outcome)
                json.field("created_at", createdAt)
                json.field("updated_at", updatedAt)
            }
        }
    }
}
