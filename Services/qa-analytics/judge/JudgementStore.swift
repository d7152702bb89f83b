import Postgres
import Runtime
import Shared

/// The SQL of calls that wait for a model's judgement.
enum JudgementStore {
    struct Waiting: Sendable {
        var call: CallRef
        /// Another one means that words have been added since.
        var revision: Int64
        /// With this one.
        var attempts: Int64
    }

    /// - Parameter wait: the last words of a call may come after its end.
    static func ask(for call: CallID, after wait: Duration, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO qa_judgements AS j (call_id, due_at)
            VALUES (\(call), now() + make_interval(secs => \(wait.inSeconds)))
            ON CONFLICT (call_id) DO UPDATE SET revision = excluded.revision, attempts = 0, due_at = excluded.due_at
            """)
    }

    /// The call that is due longest, not due for anybody else until the lease is over.
    static func claim(lease: Duration, _ database: Database) async throws -> Waiting? {
        try await database.queryOne(
            """
            WITH due AS (
                SELECT call_id FROM qa_judgements WHERE due_at <= now()
                ORDER BY due_at FOR UPDATE SKIP LOCKED LIMIT 1
            )
            UPDATE qa_judgements j SET attempts = j.attempts + 1,
                due_at = now() + make_interval(secs => \(lease.inSeconds))
            FROM due JOIN calls c USING (call_id) WHERE j.call_id = due.call_id
            RETURNING j.call_id, j.revision, j.attempts::bigint AS attempts, c.workspace_id, c.business_id, c.direction
            """
        ).map { row in
            Waiting(
                call: CallRef(
                    callID: try row["call_id"], workspaceID: try row["workspace_id"],
                    businessID: try row["business_id"],
                    direction: CallDirection(rawValue: try row["direction"]) ?? .inbound),
                revision: try row["revision"], attempts: try row["attempts"])
        }
    }

    static func postpone(_ waiting: Waiting, by wait: Duration, _ database: Database) async throws {
        _ = try await database.execute(
            """
            UPDATE qa_judgements SET due_at = now() + make_interval(secs => \(wait.inSeconds))
            WHERE call_id = \(waiting.call.callID) AND revision = \(waiting.revision)
            """)
    }

    /// Takes it off the list. False when words have been added, or another replica was quicker.
    static func take(_ waiting: Waiting, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.execute(
            "DELETE FROM qa_judgements WHERE call_id = \(waiting.call.callID) AND revision = \(waiting.revision)") == 1
    }
}
