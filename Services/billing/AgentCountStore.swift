import Messaging
import Postgres
import Shared

/// The SQL behind counting AI agents. Everything here runs in the transaction that consumed the event.
enum AgentCountStore {
    struct Count: Sendable {
        var agents: Int64
        /// The plan's limit was announced as reached.
        var reached: Bool
    }

    /// What this adds to the workspace's count: 1 for an agent not heard of before. A removed one stays removed.
    static func keep(
        _ agent: AgentID, in workspace: WorkspaceID, version: Int64, _ tx: borrowing Transaction
    ) async throws -> Int64 {
        try await tx.queryOne(
            """
            -- `before` must not lock: a row this statement updates itself would then be passed over.
            WITH before AS (
                SELECT FROM counted_agents WHERE agent_id = \(agent)
            ), after AS (
                INSERT INTO counted_agents AS c (agent_id, workspace_id, version)
                VALUES (\(agent), \(workspace), \(version))
                ON CONFLICT (agent_id) DO UPDATE SET version = excluded.version
                WHERE c.version < excluded.version AND NOT c.is_removed
                RETURNING 1
            )
            SELECT CASE WHEN EXISTS (SELECT FROM before) THEN 0 ELSE 1 END::bigint AS change FROM after
            """
        ).map { try $0["change"] } ?? 0
    }

    /// −1 for an agent that counted until now.
    static func remove(
        _ agent: AgentID, in workspace: WorkspaceID, version: Int64, _ tx: borrowing Transaction
    ) async throws -> Int64 {
        try await tx.queryOne(
            """
            WITH before AS (
                SELECT FROM counted_agents WHERE agent_id = \(agent) AND NOT is_removed
            ), after AS (
                INSERT INTO counted_agents AS c (agent_id, workspace_id, is_removed, version)
                VALUES (\(agent), \(workspace), true, \(version))
                ON CONFLICT (agent_id) DO UPDATE SET is_removed = true, version = excluded.version
                WHERE NOT c.is_removed
                RETURNING 1
            )
            SELECT CASE WHEN EXISTS (SELECT FROM before) THEN -1 ELSE 0 END::bigint AS change FROM after
            """
        ).map { try $0["change"] } ?? 0
    }

    static func add(
        _ change: Int64, to workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> Count? {
        try await tx.queryOne(
            """
            INSERT INTO agent_counts AS a (workspace_id, agents) VALUES (\(workspace), \(change))
            ON CONFLICT (workspace_id) DO UPDATE SET agents = a.agents + excluded.agents
            RETURNING agents, reached
            """
        ).map(count)
    }

    static func count(of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> Count? {
        try await tx.queryOne(
            "SELECT agents, reached FROM agent_counts WHERE workspace_id = \(workspace) FOR UPDATE"
        ).map(count)
    }

    static func markReached(_ reached: Bool, of workspace: WorkspaceID, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE agent_counts SET reached = \(reached) WHERE workspace_id = \(workspace)")
    }

    private static func count(_ row: Row) throws -> Count {
        Count(agents: try row["agents"], reached: try row["reached"])
    }
}
