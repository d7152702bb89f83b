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
            try await tx.execute(
                """
                UPDATE qa_scores SET reviewed_by = 'former member' WHERE id IN (
                    SELECT id FROM qa_scores WHERE reviewed_by <> 'automatic' AND reviewed_by = \(user.text)
                    LIMIT \(batch))
                """)
        },
    ]
}
