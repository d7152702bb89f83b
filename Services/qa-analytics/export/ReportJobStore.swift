import Postgres
import Shared

/// A report that is made apart from the request that asked for it.
struct ReportJob: Sendable, JSONWritable {
    enum Status: String, CaseIterable, Sendable { case queued, running, completed, failed }

    var id: JobID
    var user: UserID
    /// Whose calls it shows.
    var tenancy: Tenancy
    var request: ReportRequest
    var status: Status
    /// Percent.
    var progress: Int64
    var size: Int64?
    var created: Instant

    /// How long a job and its file are kept.
    static let kept: Duration = .seconds(86_400)

    var scope: AnalyticsScope { AnalyticsScope(tenancy: tenancy, business: request.business) }
    var url: String { "/api/v1/analytics/export/\(id.text)" }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("status", status.rawValue)
            json.field("progress", progress)
            json.field("format", request.format.rawValue)
            json.field("report_type", request.type.rawValue)
            json.field("created_at", created)
            json.field("expires_at", created + Self.kept)
            json.field("status_url", url)
            if status == .completed {
                json.field("download_url", "\(url)/file")
                json.field("size", ifPresent: size)
            }
            if status == .failed { json.field("error", "The report could not be made; ask for it again.") }
        }
    }

    init(id: JobID, user: UserID, tenancy: Tenancy, request: ReportRequest, created: Instant) {
        (self.id, self.user, self.tenancy, self.request, self.created) = (id, user, tenancy, request, created)
        status = .queued
        progress = 0
    }

    /// nil when a newer program kept a kind of report this one does not know.
    init?(_ row: Row) throws {
        guard let request = ReportRequest(json: try row["request"]) else { return nil }
        let status: String = try row["status"]
        let workspaces: [WorkspaceID]? = try row["workspaces"]
        self.init(
            id: try row["id"], user: try row["user_id"], tenancy: workspaces.map { Tenancy.only($0) } ?? .all,
            request: request, created: try row["created_at"])
        self.status = Status(rawValue: status) ?? .failed
        progress = try row["progress"]
        size = try row["size"]
    }
}

/// The SQL behind reports made as jobs.
enum ReportJobStore {
    /// Jobs of one person that are not done; more are refused.
    static let openMax = 5
    /// Times a job is begun; then something is wrong with it and not with the program that made it.
    static let attemptsMax = 3
    /// A heartbeat older than this belongs to a program that is gone. Beats come every second or so.
    static let silenceSeconds = 15

    /// - Returns: false when the person has as many under way as they may.
    static func add(_ job: ReportJob, _ database: Database) async throws -> Bool {
        try await database.execute(
            """
            INSERT INTO report_jobs (id, user_id, workspaces, request, created_at)
            SELECT \(job.id), \(job.user), \(job.tenancy.ids)::uuid[], \(job.request.json), \(job.created)
            WHERE (SELECT count(*) FROM report_jobs WHERE user_id = \(job.user) AND status IN ('queued', 'running'))
                < \(openMax)
            """) == 1
    }

    static func find(_ id: JobID, _ database: Database) async throws -> ReportJob? {
        try await database.queryOne(
            """
            SELECT id, user_id, workspaces, request, status, progress, size, created_at FROM report_jobs
            WHERE id = \(id) AND created_at > now() - interval '1 day'
            """
        ).flatMap { try ReportJob($0) }
    }

    /// The oldest job nobody works on, now this owner's. What its last owner had written is gone.
    static func claim(_ owner: JobID, _ database: Database) async throws -> ReportJob? {
        try await database.transaction { (tx: borrowing Transaction) in
            let row = try await tx.queryOne(
                """
                UPDATE report_jobs SET status = 'running', owner = \(owner), heartbeat_at = now(), progress = 0,
                    attempts = attempts + 1
                WHERE id = (
                    SELECT id FROM report_jobs
                    WHERE attempts < \(attemptsMax) AND (status = 'queued' OR status = 'running'
                        AND heartbeat_at < now() - make_interval(secs => \(Double(silenceSeconds))))
                    ORDER BY created_at FOR UPDATE SKIP LOCKED LIMIT 1)
                RETURNING id, user_id, workspaces, request, status, progress, size, created_at
                """)
            guard let row else { return nil }
            let id: JobID = try row["id"]
            _ = try await tx.execute("DELETE FROM report_parts WHERE job_id = \(id)")
            return try ReportJob(row)
        }
    }

    /// Keeps a piece of the file (an empty one is only a sign of life).
    /// - Returns: false when the job is no longer this owner's.
    static func write(
        _ bytes: [UInt8], part: Int, progress: Int, of job: JobID, by owner: JobID, _ database: Database
    ) async throws -> Bool {
        try await database.execute(
            """
            WITH mine AS (
                UPDATE report_jobs SET heartbeat_at = now(), progress = \(progress)
                WHERE id = \(job) AND owner = \(owner) AND status = 'running' RETURNING id
            ), kept AS (
                INSERT INTO report_parts (job_id, part, bytes)
                SELECT id, \(part), \(bytes) FROM mine WHERE length(\(bytes)) > 0
            )
            SELECT FROM mine
            """) == 1
    }

    static func finish(_ job: JobID, size: Int, by owner: JobID, _ database: Database) async throws {
        _ = try await database.execute(
            """
            UPDATE report_jobs SET status = 'completed', progress = 100, size = \(size), finished_at = now(), owner = NULL
            WHERE id = \(job) AND owner = \(owner)
            """)
    }

    /// - Parameter again: whether another try may succeed: the program stops, the database was away.
    static func giveUp(_ job: JobID, by owner: JobID, again: Bool, _ database: Database) async throws {
        let status = (again ? ReportJob.Status.queued : .failed).rawValue
        _ = try await database.execute(
            """
            WITH given AS (
                UPDATE report_jobs SET status = \(status), progress = 0, owner = NULL,
                    attempts = CASE WHEN \(again) THEN attempts - 1 ELSE attempts END
                WHERE id = \(job) AND owner = \(owner) RETURNING id
            )
            DELETE FROM report_parts WHERE job_id IN (SELECT id FROM given)
            """)
    }

    /// Ends what was begun too often, with what there was of its file, and removes what is a day old.
    static func tidy(_ database: Database) async throws {
        _ = try await database.pipeline([
            """
            WITH ended AS (
                UPDATE report_jobs SET status = 'failed', owner = NULL
                WHERE status = 'running' AND attempts >= \(attemptsMax)
                    AND heartbeat_at < now() - make_interval(secs => \(Double(silenceSeconds))) RETURNING id
            )
            DELETE FROM report_parts WHERE job_id IN (SELECT id FROM ended)
            """,
            "DELETE FROM report_jobs WHERE created_at < now() - interval '1 day'",
        ])
    }

    /// One piece of a finished file; nil after the last.
    static func part(_ part: Int, of job: JobID, _ database: Database) async throws -> [UInt8]? {
        try await database.queryOne("SELECT bytes FROM report_parts WHERE job_id = \(job) AND part = \(part)")
            .map { try $0["bytes"] }
    }
}
