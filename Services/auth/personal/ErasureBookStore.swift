import Messaging
import Postgres
import Shared

/// The SQL of the book of erasures.
enum ErasureBookStore {
    static func open(_ subject: ErasureSubject, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO erasure_requests (kind, id) VALUES (\(subject.kind), \(subject.id)::uuid) ON CONFLICT DO NOTHING
            """)
    }

    /// Notes a report down; finished when all `programs` have reported. The latest report of a program counts.
    static func report(
        _ report: ErasureReport, of programs: [String], _ tx: borrowing Transaction
    ) async throws {
        let counts = JSON.object(JSONObject(report.counts.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) }))
        let entry: JSON = [report.program: ["counts": counts, "at": .string(report.at.iso)]]
        _ = try await tx.execute(
            """
            INSERT INTO erasure_requests AS r (kind, id, reports)
            VALUES (\(report.subject.kind), \(report.subject.id)::uuid, \(entry))
            ON CONFLICT (kind, id) DO UPDATE SET reports = r.reports || excluded.reports,
                finished_at = coalesce(r.finished_at,
                    CASE WHEN (r.reports || excluded.reports) ?& \(programs) THEN now() END)
            """)
    }

    /// Those not finished that were asked for longest ago; they count as asked again.
    static func overdue(
        after: Duration, limit: Int, _ tx: borrowing Transaction
    ) async throws -> [ErasureSubject] {
        let rows = try await tx.query(
            """
            UPDATE erasure_requests SET asked_at = now(), asks = asks + 1 WHERE (kind, id) IN (
                SELECT kind, id FROM erasure_requests WHERE finished_at IS NULL AND asked_at < \(Instant.now() - after)
                ORDER BY asked_at LIMIT \(limit) FOR UPDATE SKIP LOCKED)
            RETURNING kind, id::text AS id
            """)
        return try rows.compactMap { ErasureSubject(kind: try $0["kind"], id: try $0["id"]) }
    }

    static func page(
        isFinished: Bool?, id: UserID?, size: Int, offset: Int, _ database: Database
    ) async throws -> (requests: [ErasureRequest], count: Int) {
        let chosen: Query = """
            (\(isFinished)::boolean IS NULL OR (finished_at IS NOT NULL) = \(isFinished)::boolean)
                AND (\(id)::uuid IS NULL OR id = \(id)::uuid)
            """
        let results = try await database.pipeline([
            """
            SELECT kind, id::text AS id, requested_at, asked_at, asks, finished_at, reports FROM erasure_requests
            WHERE \(fragment: chosen) ORDER BY requested_at DESC, id DESC LIMIT \(size) OFFSET \(offset)
            """,
            "SELECT count(*) AS count FROM erasure_requests WHERE \(fragment: chosen)",
        ])
        let requests = try results[0].map { row in
            let reports: JSON = try row["reports"]
            return ErasureRequest(
                kind: try row["kind"], id: try row["id"], requestedAt: try row["requested_at"],
                askedAt: try row["asked_at"], asks: try row["asks"], finishedAt: try row["finished_at"],
                reports: reports.object ?? [:])
        }
        return (requests, try results[1].first?.decode("count", as: Int.self) ?? 0)
    }
}
