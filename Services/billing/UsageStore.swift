import Messaging
import Postgres
import Shared

/// The SQL behind metering. Everything here runs in the transaction that consumed the event.
enum UsageStore {
    /// A workspace's plan and the period a given instant falls into.
    struct Terms: Sendable {
        var callLimit: Int64?
        var agentLimit: Int64?
        var minutesMax: Int64?
        var periodStart: Instant
        var periodEnd: Instant
    }

    /// The terms a workspace had at `instant`. A workspace whose creation has not arrived yet is on the free plan by the
    /// calendar month, so no call goes unmetered.
    static func terms(
        of workspace: WorkspaceID, at instant: Instant, _ tx: borrowing Transaction
    ) async throws -> Terms? {
        try await tx.queryOne(
            """
            SELECT p.call_limit, p.agent_limit, p.max_minutes,
                coalesce(s.period_start, date_trunc('month', \(instant)::timestamptz, 'UTC')) AS period_start,
                coalesce(s.period_end, date_trunc('month', \(instant)::timestamptz, 'UTC') + interval '1 month')
                    AS period_end
            FROM plans p LEFT JOIN subscriptions s
                ON s.workspace_id = \(workspace) AND s.period_start <= \(instant) AND \(instant) < s.period_end
            WHERE p.id = coalesce(s.plan_id, (SELECT plan_id FROM subscriptions WHERE workspace_id = \(workspace)),
                (SELECT id FROM plans WHERE slug = \(FreePlan.slug)))
            """
        ).map { row in
            Terms(
                callLimit: try row["call_limit"], agentLimit: try row["agent_limit"],
                minutesMax: try row["max_minutes"],
                periodStart: try row["period_start"], periodEnd: try row["period_end"])
        }
    }

    /// What a metered call now holds; `Change` is the difference to what it held before.
    struct Change: Sendable {
        var calls: Int64
        var seconds: Int64
    }

    /// Writes a call's usage if `version` is news; nil when an equal or newer version was metered already.
    static func meter(
        _ call: CallSnapshot, seconds: Int64, ended: Bool, periodStart: Instant, _ tx: borrowing Transaction
    ) async throws -> Change? {
        try await tx.queryOne(
            """
            -- `before` must not lock: a row this statement updates itself would then be passed over.
            WITH before AS (
                SELECT seconds FROM metered_calls WHERE call_id = \(call.id)
            ), after AS (
                INSERT INTO metered_calls AS m (call_id, workspace_id, period_start, seconds, ended, version)
                VALUES (\(call.id), \(call.workspaceID), \(periodStart), \(seconds), \(ended), \(call.version))
                ON CONFLICT (call_id) DO UPDATE SET seconds = excluded.seconds, ended = m.ended OR excluded.ended,
                    version = excluded.version
                WHERE m.version < excluded.version
                RETURNING seconds
            )
            SELECT after.seconds - coalesce((SELECT seconds FROM before), 0) AS seconds,
                CASE WHEN EXISTS (SELECT FROM before) THEN 0 ELSE 1 END::bigint AS calls
            FROM after
            """
        ).map { Change(calls: try $0["calls"], seconds: try $0["seconds"]) }
    }

    struct Total: Sendable {
        var calls: Int64
        var seconds: Int64
        var callsReached: Bool
        var minutesReached: Bool
    }

    /// Adds a change to the period's sums and returns them.
    static func add(
        _ change: Change, to workspace: WorkspaceID, periodStart: Instant, _ tx: borrowing Transaction
    ) async throws -> Total? {
        try await tx.queryOne(
            """
            INSERT INTO usage AS u (workspace_id, period_start, calls, seconds)
            VALUES (\(workspace), \(periodStart), \(change.calls), \(change.seconds))
            ON CONFLICT (workspace_id, period_start) DO UPDATE SET calls = u.calls + excluded.calls,
                seconds = u.seconds + excluded.seconds
            RETURNING calls, seconds, calls_reached, minutes_reached
            """
        ).map(total)
    }

    /// The period's sums as they are; nil when nothing was used in it.
    static func total(
        of workspace: WorkspaceID, periodStart: Instant, _ tx: borrowing Transaction
    ) async throws -> Total? {
        try await tx.queryOne(
            """
            SELECT calls, seconds, calls_reached, minutes_reached FROM usage
            WHERE workspace_id = \(workspace) AND period_start = \(periodStart) FOR UPDATE
            """
        ).map(total)
    }

    private static func total(_ row: Row) throws -> Total {
        Total(
            calls: try row["calls"], seconds: try row["seconds"], callsReached: try row["calls_reached"],
            minutesReached: try row["minutes_reached"])
    }

    static func markReached(
        calls: Bool, minutes: Bool, of workspace: WorkspaceID, periodStart: Instant, _ tx: borrowing Transaction
    ) {
        tx.enqueue(
            """
            UPDATE usage SET calls_reached = \(calls), minutes_reached = \(minutes)
            WHERE workspace_id = \(workspace) AND period_start = \(periodStart)
            """)
    }
}
