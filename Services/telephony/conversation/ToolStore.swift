import Postgres
import Shared

/// The SQL of what customers ask for.
enum ToolStore {
    /// Takes a callback or meeting down; its time, in words of the agent's time zone.
    static func add(
        _ request: ToolCall.CallbackRequest, for call: Call, in database: Database
    ) async throws -> String {
        let (time, hours) = (request.time, request.time.hoursFromNow)
        let row = try await database.queryOne(
            """
            WITH place AS (
                SELECT coalesce((SELECT timezone FROM ai_agents WHERE id = \(call.agent)), 'UTC') AS zone
            ), due AS (
                SELECT zone, CASE
                    WHEN \(request.at)::timestamptz IS NOT NULL THEN \(request.at)::timestamptz
                    WHEN \(hours)::int IS NOT NULL THEN now() + make_interval(hours => \(hours)::int)
                    WHEN \(time.days)::int = 0 AND \(time.hour)::int IS NULL THEN now() + interval '1 hour'
                    ELSE (date_trunc('day', now() AT TIME ZONE zone)
                          + make_interval(days => \(time.days)::int, hours => coalesce(\(time.hour)::int, 10),
                                          mins => \(time.minute)::int)) AT TIME ZONE zone
                    END AS at FROM place
            ), made AS (
                INSERT INTO callbacks (workspace_id, call_id, kind, phone_number, name, due_at, note)
                SELECT \(call.workspace), \(call.id), \(request.kind.rawValue), \(call.customerNumber), \(request.name),
                       at, \(request.note) FROM due RETURNING due_at
            )
            SELECT to_char(due_at AT TIME ZONE zone, 'FMDay, FMMonth FMDD "at" HH24:MI') AS spoken FROM made, place
            """)
        return try row.map { try $0["spoken"] } ?? "the day you asked for"
    }

    static func neverCall(_ database: Database, _ call: Call) async throws {
        _ = try await database.execute(
            """
            INSERT INTO do_not_call (workspace_id, phone_number, reason)
            VALUES (\(call.workspace), \(call.customerNumber), 'asked on a call') ON CONFLICT DO NOTHING
            """)
    }
}
