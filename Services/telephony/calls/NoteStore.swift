import Messaging
import Postgres
import Shared

/// The SQL of managers' notes.
enum NoteStore {
    /// Stores and publishes a note; its number.
    static func add(
        _ text: String, tags: [String], category: String?, to call: Call, by author: UserID, at now: Instant,
        _ tx: borrowing Transaction
    ) async throws -> Int64 {
        let row = try await tx.queryOne(
            """
            INSERT INTO notes (call_id, author_id, note, tags, category, created_at)
            VALUES (\(call.id), \(author), \(text), \(tags), \(category), \(now)) RETURNING id
            """)
        guard let row else { throw EscalationStore.NoRow() }
        let id: Int64 = try row["id"]
        tx.publish(
            CallEvent.noteAdded(
                call.ref,
                NoteSnapshot(
                    id: id, callID: call.id, note: text, tags: tags, category: category, authorID: author,
                    createdAt: now)))
        return id
    }
}
