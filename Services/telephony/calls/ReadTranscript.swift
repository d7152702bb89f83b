import HTTP
import Postgres
import Shared

/// What was said in a call, and what managers noted on it.
extension ReadCalls {
    struct Line: Sendable {
        let interaction: InteractionSnapshot
        /// −1…1; nil until it has been scored.
        let sentiment: Double?
    }

    static func transcript(
        of call: CallID, speaker: Speaker?, limit: Int, offset: Int, in database: Database
    ) async throws -> (lines: [Line], total: Int) {
        let only: Query = speaker.map { "AND i.speaker = \($0)" } ?? ""
        let rows = try await database.query(
            """
            SELECT \(fragment: TranscriptStore.columns) FROM interactions i
            WHERE i.call_id = \(call) \(fragment: only) ORDER BY i.sequence LIMIT \(limit) OFFSET \(offset)
            """)
        let count = try await database.queryOne(
            "SELECT count(*) AS n FROM interactions i WHERE i.call_id = \(call) \(fragment: only)")
        let lines = try rows.map {
            Line(interaction: try InteractionSnapshot($0), sentiment: try $0["sentiment_score"])
        }
        return (lines, try count.map { try $0["n"] } ?? 0)
    }

    static func countInteractions(of call: CallID, in database: Database) async throws -> Int {
        let row = try await database.queryOne("SELECT last_sequence AS n FROM calls WHERE id = \(call)")
        return try row.map { try $0["n"] } ?? 0
    }

    /// In the order they were written; the cursor is the last one's number.
    static func notes(
        of call: CallID, _ page: Page, in database: Database
    ) async throws -> (notes: [Note], total: Total, next: Cursor?) {
        let after = try page.cursor.map { cursor in
            guard cursor.values.count == 2, cursor.values[0] == "notes", let id = cursor.values[1].int64 else {
                throw Problem.validation("cursor", "belongs to another list")
            }
            return id
        }
        let rows = try await database.query(
            """
            SELECT id, call_id, author_id, note, tags, category, created_at FROM notes
            WHERE call_id = \(call) AND id > \(after ?? 0) ORDER BY id LIMIT \(page.size + 1) OFFSET \(page.offset)
            """)
        var notes = try rows.map(Note.init)
        var next: Cursor?
        if notes.count > page.size {
            notes.removeLast()
            next = Cursor(["notes", .int(notes[notes.count - 1].id)])
        }
        guard after == nil else { return (notes, .uncounted, next) }
        let count = try await database.queryOne("SELECT count(*) AS n FROM notes WHERE call_id = \(call)")
        return (notes, .exact(try count.map { try $0["n"] } ?? 0), next)
    }
}

struct Note: Sendable, JSONWritable {
    let id: Int64
    let call: CallID
    let author: UserID?
    let text: String
    let tags: [String]
    let category: String?
    let createdAt: Instant

    init(_ row: Row) throws {
        id = try row["id"]
        call = try row["call_id"]
        author = try row["author_id"]
        text = try row["note"]
        tags = try row["tags"]
        category = try row["category"]
        createdAt = try row["created_at"]
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("call_id", call)
            json.field("author_id", ifPresent: author)
            json.field("note", text)
            json.field("tags", tags)
            json.field("category", ifPresent: category)
            json.field("created_at", createdAt)
        }
    }
}
