import Postgres
import Shared

/// The SQL of erasing: what is to go, how far that is, and what events still say of it.
enum ErasureStore {
    /// How long the row of a finished erasure stays: longer than topics and dead letters keep an event.
    static let keptDays = 90
    /// A finished erasure is gone over once more after this: longer than an access token lives, so that a request that was
    /// under way, or came with a token nobody had revoked yet, has left nothing.
    static let secondSweepMinutes = 20
    /// A replica that died has its work taken over after this.
    static let leaseSeconds = 15

    /// Puts the subject on the list, or has it gone over and reported again. Waits for every transaction that has asked
    /// `isErased` about it and was told no.
    static func begin(_ subject: ErasureSubject, reports: Bool, _ tx: borrowing Transaction) async throws {
        tx.enqueue("SELECT pg_advisory_xact_lock(hashtextextended(\(lockName(subject)), 0))")
        _ = try await tx.execute(
            """
            INSERT INTO erasures AS e (kind, id, must_report) VALUES (\(subject.kind), \(subject.id)::uuid, \(reports))
            ON CONFLICT (kind, id) DO UPDATE SET asked_at = now(), due_at = now(),
                must_report = e.must_report OR excluded.must_report
            """)
    }

    /// Two statements: the second must see what was committed while the first waited.
    static func isErased(_ subject: ErasureSubject, _ tx: borrowing Transaction) async throws -> Bool {
        tx.enqueue("SELECT pg_advisory_xact_lock_shared(hashtextextended(\(lockName(subject)), 0))")
        return try await tx.queryOne(
            "SELECT 1 AS erased FROM erasures WHERE kind = \(subject.kind) AND id = \(subject.id)::uuid") != nil
    }

    private static func lockName(_ subject: ErasureSubject) -> String { "erasure of \(subject)" }

    struct Job: Sendable {
        var subject: ErasureSubject
        var isFirst: Bool
    }

    /// Takes the job that has waited longest; nil when none is due.
    static func take(_ database: Database) async throws -> Job? {
        let row = try await database.queryOne(
            """
            UPDATE erasures e SET leased_until = now() + make_interval(secs => \(leaseSeconds)::int)
            WHERE (kind, id) = (
                SELECT kind, id FROM erasures WHERE due_at <= now() AND leased_until < now()
                ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING kind, id::text AS id, done_at IS NULL AS first
            """)
        guard let row, let subject = ErasureSubject(kind: try row["kind"], id: try row["id"]) else { return nil }
        return Job(subject: subject, isFirst: try row["first"])
    }

    /// Counts what a batch has done, in its transaction, and keeps the job.
    static func count(_ subject: ErasureSubject, _ name: String, _ count: Int, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE erasures SET leased_until = now() + make_interval(secs => \(leaseSeconds)::int),
                counts = jsonb_set(counts, ARRAY[\(name)::text],
                    to_jsonb(coalesce((counts ->> \(name)::text)::bigint, 0) + \(count)::bigint))
            WHERE kind = \(subject.kind) AND id = \(subject.id)::uuid
            """)
    }

    static func add(_ other: String, to subject: ErasureSubject, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE erasures SET also = array_append(also, \(other)::text)
            WHERE kind = \(subject.kind) AND id = \(subject.id)::uuid AND NOT \(other)::text = ANY (also)
            """)
    }

    static func also(_ subject: ErasureSubject, _ tx: borrowing Transaction) async throws -> [String] {
        let row = try await tx.queryOne(
            "SELECT also FROM erasures WHERE kind = \(subject.kind) AND id = \(subject.id)::uuid")
        return try row.map { try $0["also"] } ?? []
    }

    /// Ends a sweep: tells auth if it wants to hear, and plans the second one. Nothing when it was asked for anew meanwhile.
    static func finish(
        _ job: Job, program: String, startedAt: Instant, _ tx: borrowing Transaction
    ) async throws {
        let row = try await tx.queryOne(
            """
            SELECT must_report, counts, sweeps FROM erasures
            WHERE kind = \(job.subject.kind) AND id = \(job.subject.id)::uuid FOR UPDATE
            """)
        guard let row else { return }
        if try row["must_report"] {
            let counts: JSON = try row["counts"]
            tx.publish(
                ErasureEvent.reported(
                    ErasureReport(
                        subject: job.subject, program: program,
                        counts: (counts.object?.pairs ?? []).reduce(into: [:]) { $0[$1.name] = $1.value.int64 },
                        at: .now())))
        }
        tx.enqueue(
            """
            UPDATE erasures SET done_at = coalesce(done_at, now()), must_report = false, sweeps = sweeps + 1,
                leased_until = '-infinity', also = CASE WHEN sweeps = 0 THEN also ELSE '{}' END,
                due_at = CASE WHEN asked_at > \(startedAt) THEN now()
                    WHEN sweeps = 0 THEN now() + make_interval(mins => \(secondSweepMinutes)::int) END
            WHERE kind = \(job.subject.kind) AND id = \(job.subject.id)::uuid
            """)
    }

    /// Tries again a little later; others go first.
    static func postpone(_ job: Job, seconds: Int, _ database: Database) async throws {
        _ = try await database.execute(
            """
            UPDATE erasures SET due_at = now() + make_interval(secs => \(seconds)::int), leased_until = '-infinity'
            WHERE kind = \(job.subject.kind) AND id = \(job.subject.id)::uuid
            """)
    }

    static func prune(_ database: Database) async throws {
        _ = try await database.execute(
            """
            DELETE FROM erasures WHERE due_at IS NULL AND done_at < now() - make_interval(days => \(keptDays)::int)
            """)
    }

    // MARK: What events say

    /// Rows of the outbox looked at in one statement.
    private static let sliceLength: Int64 = 5_000

    /// The places the outbox holds that are published.
    static func published(_ database: Database) async throws -> ClosedRange<Int64>? {
        let row = try await database.queryOne(
            """
            SELECT (SELECT min(seq) FROM outbox) AS first, (SELECT published FROM outbox_relay) AS last
            """)
        guard let row, let first = try row.decode("first", as: Int64?.self) else { return nil }
        let last: Int64 = try row["last"]
        return first <= last ? first...last : nil
    }

    /// A stretch of the outbox, small enough for one statement.
    static func slice(from first: Int64, upTo last: Int64) -> ClosedRange<Int64> {
        first...min(last, first + sliceLength - 1)
    }

    /// The keys of published events that speak of one of `ids`.
    static func keys(speakingOf ids: [String], in places: ClosedRange<Int64>, _ database: Database) async throws
        -> [String]
    {
        try await database.query(
            """
            SELECT DISTINCT key FROM outbox WHERE seq BETWEEN \(places.lowerBound) AND \(places.upperBound)
                AND \(fragment: isAboutSomethingThere) AND \(fragment: speaks(of: ids))
            """
        ).map { try $0["key"] }
    }

    /// Deletes published events under one of `keys`, except those that say that something is gone: they hold ids only, and a
    /// broker that comes back empty must hear it again.
    static func scrubOutbox(
        keys: [String], except ids: [String], in places: ClosedRange<Int64>, _ database: Database
    ) async throws -> Int {
        try await database.execute(
            """
            DELETE FROM outbox WHERE seq BETWEEN \(places.lowerBound) AND \(places.upperBound)
                AND \(fragment: isAboutSomethingThere) AND key = ANY (\(keys)) AND NOT \(fragment: speaks(of: ids))
            """)
    }

    /// The same for events that speak of one of `ids`.
    static func scrubOutbox(_ ids: [String], in places: ClosedRange<Int64>, _ database: Database) async throws -> Int {
        try await database.execute(
            """
            DELETE FROM outbox WHERE seq BETWEEN \(places.lowerBound) AND \(places.upperBound)
                AND \(fragment: isAboutSomethingThere) AND \(fragment: speaks(of: ids))
            """)
    }

    private static func speaks(of ids: [String]) -> Query {
        """
        EXISTS (SELECT FROM unnest(\(ids)) AS one (id) WHERE strpos(key, one.id) > 0 OR strpos(payload, one.id) > 0)
        """
    }

    private static let isAboutSomethingThere: Query =
        "payload IS NOT NULL AND type !~ '[.](deleted|removed|reported)[.]v[0-9]+$' AND topic NOT IN ('auth.revocations')"

    /// Whether an event that speaks of one of `ids` has still to be published: it must go out before it may be forgotten.
    static func isWaiting(_ ids: [String], _ database: Database) async throws -> Bool {
        try await database.queryOne(
            """
            SELECT 1 AS waiting FROM outbox
            WHERE seq > (SELECT published FROM outbox_relay)
                AND \(fragment: isAboutSomethingThere) AND \(fragment: speaks(of: ids)) LIMIT 1
            """) != nil
    }

    /// Deletes events put aside that speak of one of `ids`.
    static func scrubDeadLetters(_ ids: [String], _ database: Database) async throws -> Int {
        try await database.execute(
            """
            DELETE FROM dead_letters WHERE EXISTS (SELECT FROM unnest(\(ids)) AS one (id)
                WHERE strpos(key, one.id) > 0 OR position(convert_to(one.id, 'UTF8') IN payload) > 0)
                AND type !~ '[.]deleted[.]v[0-9]+$'
            """)
    }

    /// Deletes answers that were kept for being asked for again.
    static func scrubAnswers(_ ids: [String], _ database: Database) async throws -> Int {
        try await database.execute(
            """
            DELETE FROM idempotency_keys WHERE EXISTS (SELECT FROM unnest(\(ids)) AS one (id)
                WHERE strpos(scope, one.id) > 0 OR position(convert_to(one.id, 'UTF8') IN body) > 0)
            """)
    }

    static func also(_ subject: ErasureSubject, _ database: Database) async throws -> [String] {
        let row = try await database.queryOne(
            "SELECT also FROM erasures WHERE kind = \(subject.kind) AND id = \(subject.id)::uuid")
        return try row.map { try $0["also"] } ?? []
    }
}
