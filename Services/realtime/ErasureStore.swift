import Messaging
import Postgres
import Shared

/// How frames of a workspace, or that name a person or a human agent, go. A browser that comes back to a stream with frames
/// missing loads anew.
enum ErasureStore {
    private static let batch = 2_000

    static let steps: [ErasureStep] = [
        .workspace("frames") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM frames WHERE id IN (
                    SELECT id FROM frames WHERE workspace_id = \(workspace) ORDER BY id LIMIT \(batch))
                """)
        },
        .workspace("streams") { workspace, tx in
            try await tx.execute("DELETE FROM streams WHERE workspace_id = \(workspace)")
        },
        .scan(
            "frames", stretch: 5_000,
            bounds: { tx in
                let row = try await tx.queryOne("SELECT min(id) AS first, max(id) AS last FROM frames")
                guard let row, let first = try row.decode("first", as: Int64?.self) else { return nil }
                return first...(try row["last"])
            }
        ) { subject, ids, tx in
            if case .workspace = subject { return 0 }
            let row = try await tx.queryOne(
                """
                WITH gone AS (
                    DELETE FROM frames WHERE id BETWEEN \(ids.lowerBound) AND \(ids.upperBound)
                        AND (strpos(data, \(subject.id)) > 0 OR strpos(audience, \(subject.id)) > 0)
                    RETURNING workspace_id, id
                ), told AS (
                    UPDATE streams s SET kept = s.kept - g.count, gone_to = greatest(s.gone_to, g.last)
                    FROM (SELECT workspace_id, count(*) AS count, max(id) AS last FROM gone GROUP BY workspace_id) g
                    WHERE s.workspace_id = g.workspace_id
                )
                SELECT count(*) AS count FROM gone
                """)
            return try row.map { try $0["count"] } ?? 0
        },
    ]
}
