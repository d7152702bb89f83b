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
            try await tx.execute(
                """
                DELETE FROM calls WHERE call_id IN (
                    SELECT call_id FROM calls WHERE workspace_id = \(workspace) LIMIT \(batch))
                """)
        },
        .workspace("daily_sums") { workspace, tx in
            try await tx.execute("DELETE FROM calls_daily WHERE workspace_id = \(workspace)")
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
