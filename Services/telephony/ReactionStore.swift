import Postgres
import Shared

/// What other programs told us, as we keep it.
enum ReactionStore {
    // MARK: Business configurations

    /// False when it is no news.
    static func put(_ config: ConfigSnapshot, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.execute(
            """
            INSERT INTO business_configs (id, workspace_id, version, name, is_active, config_data, updated_at)
            VALUES (\(config.id), \(config.workspaceID), \(config.version), \(config.name), \(config.isActive),
                    \(JSON.object(config.configData)), \(config.updatedAt))
            ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name,
                is_active = excluded.is_active, config_data = excluded.config_data, updated_at = excluded.updated_at
            WHERE business_configs.version < excluded.version
            """) == 1
    }

    static func removeConfig(_ id: BusinessID, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("DELETE FROM business_configs WHERE id = \(id)")
    }

    static func config(_ id: BusinessID?, in workspace: WorkspaceID, in database: Database) async throws -> JSON? {
        guard let id else { return nil }
        let row = try await database.queryOne(
            "SELECT config_data FROM business_configs WHERE id = \(id) AND workspace_id = \(workspace)")
        return try row.map { try $0["config_data"] }
    }

    /// How the AI of a call sounds: the agent's settings first, the configuration's else.
    static func voice(of call: Call, in database: Database) async throws -> RelayVoice {
        let row = try await database.queryOne(
            """
            SELECT nullif(a.language, '') AS language, nullif(a.voice, '') AS voice, b.config_data
            FROM (SELECT \(call.agent)::uuid AS agent, \(call.business)::uuid AS business) AS ask
            LEFT JOIN ai_agents a ON a.id = ask.agent
            LEFT JOIN business_configs b ON b.id = ask.business AND b.is_active AND b.workspace_id = \(call.workspace)
            """)
        guard let row else { return RelayVoice() }
        let config: JSON? = try row["config_data"]
        let (language, voice): (String?, String?) = (try row["language"], try row["voice"])
        return RelayVoice(
            language: language ?? config?["voice"]?["language"]?.string,
            voice: voice ?? config?["voice"]?["voice"]?.string)
    }

    /// How many sockets the call has had.
    static func epoch(of call: CallID, in database: Database) async throws -> Int {
        let row = try await database.queryOne("SELECT relay_epoch FROM calls WHERE id = \(call)")
        return try row.map { try $0["relay_epoch"] } ?? 0
    }

    // MARK: Limits

    static func reached(
        _ limit: UsageEvent.Limit, of workspace: WorkspaceID, value: Int64, max: Int64, _ tx: borrowing Transaction
    ) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO workspace_limits (workspace_id, "limit", value, max)
            VALUES (\(workspace), \(limit.rawValue), \(value), \(max))
            ON CONFLICT (workspace_id, "limit") DO UPDATE SET value = excluded.value, max = excluded.max
            """)
    }

    static func cleared(
        _ limit: UsageEvent.Limit, of workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws {
        _ = try await tx.execute(
            "DELETE FROM workspace_limits WHERE workspace_id = \(workspace) AND \"limit\" = \(limit.rawValue)")
    }

    /// A later subscription of the workspace counts its versions anew.
    static func put(_ subscription: SubscriptionSnapshot, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO workspace_plans AS p (workspace_id, subscription_id, agent_limit, version)
            VALUES (\(subscription.workspaceID), \(subscription.id), \(subscription.limits.agentLimit),
                    \(subscription.version))
            ON CONFLICT (workspace_id) DO UPDATE SET subscription_id = excluded.subscription_id,
                agent_limit = excluded.agent_limit, version = excluded.version
            WHERE p.subscription_id <> excluded.subscription_id OR p.version < excluded.version
            """)
    }

    static func removePlan(of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("DELETE FROM workspace_plans WHERE workspace_id = \(workspace)")
    }

    // MARK: Scores

    static func score(_ interaction: Int64, of call: CallID, _ score: Double, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE interactions SET sentiment_score = \(score) WHERE id = \(interaction) AND call_id = \(call)
            """)
    }

    /// Takes the score's place in line. False when a newer one is known already.
    static func claim(
        _ score: ScoreSnapshot, _ tx: borrowing Transaction
    ) async throws -> Bool {
        try await tx.execute(
            "UPDATE calls SET qa_version = \(score.version) WHERE id = \(score.callID) AND qa_version < \(score.version)"
        ) == 1
    }
}
