import Postgres
import Shared

/// The SQL of archives.
enum ExportStore {
    /// A replica that died has its work taken over after this.
    private static let leaseSeconds = 15
    /// Tries before an archive counts as failed.
    static let attemptsMax = 5

    private static let columns: Query = "id, state, progress, size, created_at, expires_at"

    /// The newest one that can still be fetched or comes to be.
    static func latest(of user: UserID, _ database: Database) async throws -> ExportJob? {
        try await database.queryOne(
            """
            SELECT \(fragment: columns) FROM exports
            WHERE user_id = \(user) AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at DESC LIMIT 1
            """
        ).map(job)
    }

    /// Begins one; of two at once, both get the same.
    static func begin(_ user: UserID, _ database: Database) async throws -> ExportJob {
        let row = try await database.queryOne(
            """
            INSERT INTO exports (id, user_id) VALUES (\(JobID()), \(user))
            ON CONFLICT (user_id) WHERE state IN ('waiting', 'running') DO UPDATE SET progress = exports.progress
            RETURNING \(fragment: columns)
            """)
        guard let row else { throw Problem(.internalError) }
        return try job(row)
    }

    struct Work: Sendable {
        var id: JobID
        var user: UserID
        var attempts: Int
    }

    /// Takes the one that has waited longest, from a replica that died too.
    static func take(_ database: Database) async throws -> Work? {
        try await database.queryOne(
            """
            UPDATE exports SET state = 'running', attempts = attempts + 1, progress = 0,
                leased_until = now() + make_interval(secs => \(leaseSeconds)::int)
            WHERE id = (
                SELECT id FROM exports WHERE state IN ('waiting', 'running') AND leased_until < now()
                ORDER BY leased_until, created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, user_id, attempts
            """
        ).map { Work(id: try $0["id"], user: try $0["user_id"], attempts: try $0["attempts"]) }
    }

    /// Forgets what an earlier try has written.
    static func clear(_ id: JobID, _ database: Database) async throws {
        _ = try await database.execute("DELETE FROM export_chunks WHERE export_id = \(id)")
    }

    static func add(_ chunk: [UInt8], at position: Int, to id: JobID, _ database: Database) async throws {
        _ = try await database.execute(
            "INSERT INTO export_chunks (export_id, position, bytes) VALUES (\(id), \(position), \(chunk))")
    }

    /// Says how far it is and keeps the work. False when it is nobody's any more: the person is gone.
    static func keep(_ work: Work, progress: Int, _ database: Database) async throws -> Bool {
        try await database.execute(
            """
            UPDATE exports SET progress = greatest(progress, \(progress)),
                leased_until = now() + make_interval(secs => \(leaseSeconds)::int)
            WHERE id = \(work.id) AND state = 'running' AND attempts = \(work.attempts)
            """) == 1
    }

    static func finish(_ work: Work, size: Int, kept: Duration, _ database: Database) async throws {
        _ = try await database.execute(
            """
            UPDATE exports SET state = 'ready', progress = 100, size = \(size), finished_at = now(),
                expires_at = \(Instant.now() + kept)
            WHERE id = \(work.id) AND state = 'running' AND attempts = \(work.attempts)
            """)
    }

    /// Tries again after a while, or gives up.
    static func failed(_ work: Work, _ database: Database) async throws {
        let isOver = work.attempts >= attemptsMax
        _ = try await database.execute(
            """
            UPDATE exports SET state = CASE WHEN \(isOver) THEN 'failed' ELSE 'running' END,
                finished_at = CASE WHEN \(isOver) THEN now() END,
                leased_until = now() + make_interval(secs => \(2 * work.attempts)::int)
            WHERE id = \(work.id) AND attempts = \(work.attempts)
            """)
    }

    static func chunk(_ position: Int, of id: JobID, _ database: Database) async throws -> [UInt8]? {
        try await database.queryOne(
            "SELECT bytes FROM export_chunks WHERE export_id = \(id) AND position = \(position)"
        ).map { try $0["bytes"] }
    }

    static func prune(_ database: Database) async throws {
        _ = try await database.execute(
            """
            DELETE FROM exports WHERE expires_at < now()
                OR state = 'failed' AND finished_at < now() - interval '7 days'
            """)
    }

    private static func job(_ row: Row) throws -> ExportJob {
        ExportJob(
            id: try row["id"], state: try row["state"], progress: try row["progress"], size: try row["size"],
            createdAt: try row["created_at"], expiresAt: try row["expires_at"])
    }
}
