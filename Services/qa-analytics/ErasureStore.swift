import Messaging
import Postgres
import Shared

/// How what analytics keeps of a workspace or a person goes. The sums go with the rows, by their trigger; what is left of
/// them is empty.
enum ErasureStore {
    private static let batch = 500

    static let steps: [ErasureStep] = [
        .workspace("utterances") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM utterances WHERE call_id IN (
                    SELECT c.call_id FROM calls c
                    WHERE c.workspace_id = \(workspace)
                        AND EXISTS (SELECT FROM utterances u WHERE u.call_id = c.call_id)
                    LIMIT \(batch))
                """)
        },
        .workspace("scores") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM qa_scores WHERE id IN (
                    SELECT id FROM qa_scores WHERE workspace_id = \(workspace) LIMIT \(batch))
                """)
        },
        .workspace("calls") { workspace, tx in
            let rows = try await tx.query(
                """
                DELETE FROM calls WHERE call_id IN (
                    SELECT call_id FROM calls WHERE workspace_id = \(workspace) LIMIT \(batch)) RETURNING call_id
                """)
            let calls = try rows.map { try $0.decode("call_id", as: CallID.self) }
            tx.enqueue("DELETE FROM escalations WHERE call_id = ANY (\(calls))")
            return rows.count
        },
        .workspace("configs") { workspace, tx in
            try await tx.execute("DELETE FROM business_configs WHERE workspace_id = \(workspace)")
        },
        .workspace("sums") { workspace, tx in
            try await tx.execute("DELETE FROM rollups WHERE workspace_id = \(workspace)")
        },
        .workspace("sums_of_items") { workspace, tx in
            try await tx.execute("DELETE FROM rollup_items WHERE workspace_id = \(workspace)")
        },
        // Those of whoever sees all hold the workspace's calls as well.
        .workspace("reports") { workspace, tx in
            try await tx.execute("DELETE FROM report_jobs WHERE workspaces IS NULL OR \(workspace) = ANY (workspaces)")
        },
        .user("reports") { user, tx in
            try await tx.execute("DELETE FROM report_jobs WHERE user_id = \(user)")
        },
        .user("scores") { user, tx in
            let scores = try await ScoreStore.loseReviewer(user, batch: batch, tx)
            // Whoever keeps the score has the name too.
            for (call, score) in scores { tx.publish(ScoreEvent.scoreUpdated(call, score.snapshot)) }
            return scores.count
        },
        .user("score_changes") { user, tx in
            try await tx.execute(
                """
                UPDATE qa_score_changes SET changed_by = \(ScoreStore.formerMember), changer_id = NULL
                WHERE (call_id, version) IN (
                    SELECT call_id, version FROM qa_score_changes WHERE changer_id = \(user) LIMIT \(batch))
                """)
        },
        .user("people") { user, tx in
            try await tx.execute("DELETE FROM people WHERE user_id = \(user)")
        },
    ]
}
