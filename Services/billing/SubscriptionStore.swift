import Messaging
import Postgres
import Shared

/// The SQL of subscriptions.
enum SubscriptionStore {
    /// Puts a new workspace on the free plan, for the calendar month it was created in. Twice is once.
    static func open(
        _ workspace: WorkspaceID, owner: UserID, at instant: Instant, _ tx: borrowing Transaction
    ) async throws -> SubscriptionSnapshot? {
        try await tx.queryOne(
            """
            WITH opened AS (
                INSERT INTO subscriptions (workspace_id, user_id, plan_id, plan_version, status, period_start, period_end)
                SELECT \(workspace), \(owner), p.id, p.version, 'active', date_trunc('month', \(instant)::timestamptz, 'UTC'),
                    date_trunc('month', \(instant)::timestamptz, 'UTC') + interval '1 month'
                FROM plans p WHERE p.slug = \(FreePlan.slug)
                ON CONFLICT (workspace_id) DO NOTHING
                RETURNING *
            )
            SELECT \(fragment: shown) FROM opened s JOIN plans p ON p.id = s.plan_id
            """
        ).map(snapshot)
    }

    /// The workspace was given to somebody else.
    static func setOwner(_ owner: UserID, of workspace: WorkspaceID, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE subscriptions SET user_id = \(owner), version = version + 1, updated_at = now()
            WHERE workspace_id = \(workspace) AND user_id <> \(owner)
            """)
    }

    /// Moves every subscription whose period is over into the one that holds `now`, at most `limit` at a time.
    static func renew(now: Instant, limit: Int, _ tx: borrowing Transaction) async throws -> [SubscriptionSnapshot] {
        try await tx.query(
            """
            WITH due AS (
                SELECT id FROM subscriptions WHERE period_end <= \(now) ORDER BY period_end LIMIT \(limit)
                FOR UPDATE SKIP LOCKED
            ), moved AS (
                UPDATE subscriptions s SET period_start = date_trunc('month', \(now)::timestamptz, 'UTC'),
                    period_end = date_trunc('month', \(now)::timestamptz, 'UTC') + interval '1 month',
                    version = version + 1, updated_at = now()
                FROM due WHERE s.id = due.id
                RETURNING s.*
            )
            SELECT \(fragment: shown) FROM moved s JOIN plans p ON p.id = s.plan_id
            """
        ).map(snapshot)
    }

    /// Subscriptions whose plan has changed since they were last told of, marked as told, at most `limit` at a time.
    static func behind(limit: Int, _ tx: borrowing Transaction) async throws -> [SubscriptionSnapshot] {
        try await tx.query(
            """
            WITH due AS (
                SELECT s.id, p.version AS plan_version FROM plans p JOIN subscriptions s
                    ON s.plan_id = p.id AND s.plan_version < p.version
                LIMIT \(limit) FOR UPDATE OF s SKIP LOCKED
            ), told AS (
                UPDATE subscriptions s SET plan_version = due.plan_version, version = version + 1, updated_at = now()
                FROM due WHERE s.id = due.id
                RETURNING s.*
            )
            SELECT \(fragment: shown) FROM told s JOIN plans p ON p.id = s.plan_id
            """
        ).map(snapshot)
    }

    /// What a person may see of a workspace's subscription, with what the current period has used.
    static func current(_ workspace: WorkspaceID, _ database: Database) async throws -> CurrentSubscription? {
        try await database.queryOne(
            """
            SELECT \(fragment: shown), s.cancel_at_period_end, coalesce(u.calls, 0) AS used_calls,
                coalesce(u.seconds, 0) AS used_seconds, coalesce(a.agents, 0) AS used_agents
            FROM subscriptions s JOIN plans p ON p.id = s.plan_id
                LEFT JOIN agent_counts a ON a.workspace_id = s.workspace_id
                LEFT JOIN usage u ON u.workspace_id = s.workspace_id AND u.period_start = s.period_start
            WHERE s.workspace_id = \(workspace)
            """
        ).map { row in
            CurrentSubscription(
                subscription: try snapshot(row), cancelAtPeriodEnd: try row["cancel_at_period_end"],
                calls: try row["used_calls"], seconds: try row["used_seconds"], agents: try row["used_agents"])
        }
    }

    private static let shown: Query = """
        s.id, s.workspace_id, s.user_id, s.status, s.period_start, s.period_end, s.version, p.id AS plan_id,
        p.slug AS plan_slug, p.name AS plan_name, p.call_limit, p.agent_limit, p.max_minutes
        """

    private static func snapshot(_ row: Row) throws -> SubscriptionSnapshot {
        SubscriptionSnapshot(
            id: try row["id"], workspaceID: try row["workspace_id"], userID: try row["user_id"],
            plan: .init(id: try row["plan_id"], slug: try row["plan_slug"], name: try row["plan_name"]),
            status: try row["status"],
            limits: .init(
                callLimit: try row["call_limit"], agentLimit: try row["agent_limit"],
                maxMinutes: try row["max_minutes"]),
            periodStart: try row["period_start"], periodEnd: try row["period_end"], version: try row["version"])
    }
}

/// A subscription beside what it has used.
struct CurrentSubscription: Sendable {
    var subscription: SubscriptionSnapshot
    var cancelAtPeriodEnd: Bool
    var calls: Int64
    var seconds: Int64
    /// AI agents there are now, whatever the period.
    var agents: Int64
}
