import Messaging
import Postgres
import Shared

/// How what billing keeps of a workspace or a person goes. Rows of other workspaces stay, without the person.
enum ErasureStore {
    private static let batch = 1_000

    static let steps: [ErasureStep] = [
        .workspace("metered_calls") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM metered_calls WHERE call_id IN (
                    SELECT call_id FROM metered_calls WHERE workspace_id = \(workspace) LIMIT \(batch))
                """)
        },
        .workspace("usage") { workspace, tx in
            try await tx.execute("DELETE FROM usage WHERE workspace_id = \(workspace)")
        },
        .workspace("counted_agents") { workspace, tx in
            try await tx.execute("DELETE FROM counted_agents WHERE workspace_id = \(workspace)")
        },
        .workspace("agent_counts") { workspace, tx in
            try await tx.execute("DELETE FROM agent_counts WHERE workspace_id = \(workspace)")
        },
        .workspace("subscriptions") { workspace, tx in
            try await tx.execute("DELETE FROM subscriptions WHERE workspace_id = \(workspace)")
        },
        .user("subscriptions") { user, tx in
            try await tx.execute(
                """
                UPDATE subscriptions SET user_id = '00000000-0000-0000-0000-000000000000' WHERE user_id = \(user)
                """)
        },
    ]
}
