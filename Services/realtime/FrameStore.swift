import Messaging
import Postgres
import Shared

/// The SQL of frames.
enum FrameStore {
    /// Stores frames under the next ids, in this order. The row of `head` stays locked until the transaction ends, so ids
    /// are in commit order and a browser can resume with one number.
    static func keep(_ frames: [NewFrame], _ tx: borrowing Transaction) async throws -> [FrameSnapshot] {
        guard !frames.isEmpty else { return [] }
        let row = try await tx.queryOne("UPDATE head SET last = last + \(Int64(frames.count)) RETURNING last")
        guard let row else { throw Problem(.internalError) }
        let last: Int64 = try row["last"]
        var counts: [WorkspaceID: Int64] = [:]
        var kept: [FrameSnapshot] = []
        for (place, frame) in frames.enumerated() {
            let id = last - Int64(frames.count - 1 - place)
            tx.enqueue(
                """
                INSERT INTO frames (id, workspace_id, event, call_id, audience, at, data)
                VALUES (\(id), \(frame.workspaceID), \(frame.event), \(frame.callID), \(frame.audience.text), \(frame.at),
                    \(frame.data))
                """)
            counts[frame.workspaceID, default: 0] += 1
            kept.append(
                FrameSnapshot(
                    id: id, workspaceID: frame.workspaceID, event: frame.event, callID: frame.callID, at: frame.at,
                    data: frame.data, audience: frame.audience))
        }
        for (workspace, count) in counts {
            tx.enqueue(
                """
                INSERT INTO streams AS s (workspace_id, kept) VALUES (\(workspace), \(count))
                ON CONFLICT (workspace_id) DO UPDATE SET kept = s.kept + excluded.kept
                """)
        }
        return kept
    }

    /// Frames after `id`, oldest first; `complete` is false when frames in between are no longer kept, or when `id` was
    /// never given out (a database restored from an older copy).
    static func after(
        _ id: Int64, _ tenancy: Tenancy, limit: Int, _ database: Database
    ) async throws -> (frames: [FrameSnapshot], complete: Bool, last: Int64) {
        let results = try await database.pipeline([
            """
            SELECT last, coalesce((SELECT max(gone_to) FROM streams
                WHERE \(tenancy.ids)::uuid[] IS NULL OR workspace_id = ANY (\(tenancy.ids)::uuid[])), 0) AS gone_to
            FROM head
            """,
            """
            SELECT id, workspace_id, event, call_id, audience, at, data FROM frames
            WHERE id > \(id) AND (\(tenancy.ids)::uuid[] IS NULL OR workspace_id = ANY (\(tenancy.ids)::uuid[]))
            ORDER BY id LIMIT \(limit)
            """,
        ])
        let last: Int64 = try results[0].first?.decode("last", as: Int64.self) ?? 0
        let goneTo: Int64 = try results[0].first?.decode("gone_to", as: Int64.self) ?? 0
        let frames = try results[1].map { row in
            FrameSnapshot(
                id: try row["id"], workspaceID: try row["workspace_id"], event: try row["event"],
                callID: try row["call_id"], at: try row["at"], data: try row["data"],
                audience: try .of(row.decode("audience", as: String.self)))
        }
        return (frames, id >= goneTo && id <= last, last)
    }

    /// Forgets the oldest frames of the workspace that keeps the most, down to `max`; a slice at a time so that no delete
    /// is long. Returns how many went: 0 means nobody keeps too many.
    static func prune(keeping max: Int64, slice: Int = 5_000, _ database: Database) async throws -> Int {
        try await database.transaction { tx in
            let fullest = try await tx.queryOne(
                """
                SELECT workspace_id, kept FROM streams WHERE kept > \(max) ORDER BY kept DESC LIMIT 1
                FOR UPDATE SKIP LOCKED
                """)
            guard let fullest else { return 0 }
            let workspace: WorkspaceID = try fullest["workspace_id"]
            let excess = min(try fullest.decode("kept", as: Int64.self) - max, Int64(slice))
            let gone = try await tx.queryOne(
                """
                WITH oldest AS (
                    DELETE FROM frames WHERE id IN (
                        SELECT id FROM frames WHERE workspace_id = \(workspace) ORDER BY id LIMIT \(excess))
                    RETURNING id
                )
                SELECT count(*) AS count, coalesce(max(id), 0) AS last FROM oldest
                """)
            let count = try gone?.decode("count", as: Int64.self) ?? 0
            let last = try gone?.decode("last", as: Int64.self) ?? 0
            tx.enqueue(
                """
                UPDATE streams SET kept = kept - \(count), gone_to = greatest(gone_to, \(last))
                WHERE workspace_id = \(workspace)
                """)
            return Int(count)
        }
    }
}
