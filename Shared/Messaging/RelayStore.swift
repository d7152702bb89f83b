import Postgres
import Shared

/// The SQL of relaying: everything runs in a transaction that holds the relay's lock.
enum RelayStore {
    struct Row: Sendable {
        var xid: String
        var seq: Int64
        var id: EventID
        var topic: String
        var key: String
        var type: String
        var payload: String?
        var trace: String?
        var createdAt: Instant
    }

    /// What is under way: a resending, or how far publishing has come.
    struct State: Sendable {
        var xid: String
        var seq: Int64
        /// A topic whose rows are being sent again, and up to where they were.
        var resending: (topic: String, xid: String, seq: Int64)?
    }

    /// Waits until no other replica relays; the lock goes with the transaction.
    static func lock(_ tx: borrowing Transaction) async throws -> State? {
        _ = try await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('relay', 0))")
        return try await tx.queryOne(
            """
            SELECT r.xid::text AS xid, r.seq, t.topic, t.resend_xid::text AS resend_xid, t.resend_seq
            FROM relay r LEFT JOIN LATERAL (
                SELECT topic, resend_xid, resend_seq FROM relay_topics WHERE resend_xid IS NOT NULL ORDER BY topic LIMIT 1
            ) t ON true
            """
        ).map { row in
            let topic: String? = try row["topic"]
            return State(
                xid: try row["xid"], seq: try row["seq"],
                resending: try topic.map { ($0, try row["resend_xid"], try row["resend_seq"]) })
        }
    }

    /// The next rows to publish. Only rows of transactions older than every open one: a slow transaction's rows come
    /// before those of later ones, or the cursor would pass them by.
    static func pending(after state: State, limit: Int, _ tx: borrowing Transaction) async throws -> [Row] {
        try await tx.query(
            """
            SELECT xid::text AS xid, seq, id, topic, key, type, payload, trace, created_at FROM outbox
            WHERE (xid, seq) > (\(state.xid)::text::xid8, \(state.seq))
                AND xid < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY outbox.xid, seq LIMIT \(limit)
            """
        ).map(row)
    }

    /// The next rows of a topic that are sent again: behind the resending's own place, up to the cursor.
    static func resent(
        _ state: State, topic: String, afterXid: String, afterSeq: Int64, limit: Int, _ tx: borrowing Transaction
    ) async throws -> [Row] {
        try await tx.query(
            """
            SELECT xid::text AS xid, seq, id, topic, key, type, payload, trace, created_at FROM outbox
            WHERE (xid, seq) > (\(afterXid)::text::xid8, \(afterSeq))
                AND (xid, seq) <= (\(state.xid)::text::xid8, \(state.seq)) AND topic = \(topic)
            ORDER BY outbox.xid, seq LIMIT \(limit)
            """
        ).map(row)
    }

    private static func row(_ row: Postgres.Row) throws -> Row {
        Row(
            xid: try row["xid"], seq: try row["seq"], id: try row["id"], topic: try row["topic"], key: try row["key"],
            type: try row["type"], payload: try row["payload"], trace: try row["trace"], createdAt: try row["created_at"])
    }

    static func move(to row: Row, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE relay SET xid = \(row.xid)::text::xid8, seq = \(row.seq)")
    }

    static func moveResending(of topic: String, to row: Row?, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE relay_topics SET resend_xid = \(row?.xid)::text::xid8, resend_seq = \(row?.seq) WHERE topic = \(topic)
            """)
    }

    static func keep(
        _ offsets: [(topic: String, partition: Int32, last: Int64)], _ tx: borrowing Transaction
    ) {
        tx.enqueue(
            """
            INSERT INTO relay_offsets (topic, partition, last)
            SELECT * FROM unnest(\(offsets.map(\.topic))::text[], \(offsets.map { Int64($0.partition) })::bigint[],
                \(offsets.map(\.last))::bigint[])
            ON CONFLICT (topic, partition) DO UPDATE SET last = greatest(relay_offsets.last, excluded.last)
            """)
    }

    static func offsets(_ database: Database) async throws -> [(topic: String, partition: Int32, last: Int64)] {
        try await database.query("SELECT topic, partition, last FROM relay_offsets").map { row in
            (try row["topic"], try row.decode("partition", as: Int32.self), try row["last"])
        }
    }

    /// Of these topics, those nobody has begun anew meanwhile.
    static func stillLost(_ topics: [String], _ tx: borrowing Transaction) async throws -> [String] {
        try await tx.query("SELECT DISTINCT topic FROM relay_offsets WHERE topic = ANY (\(topics)::text[])").map {
            try $0["topic"]
        }
    }

    static func epochs(_ tx: borrowing Transaction) async throws -> [String: Int64] {
        var epochs: [String: Int64] = [:]
        for row in try await tx.query("SELECT topic, epoch FROM relay_topics") { epochs[try row["topic"]] = try row["epoch"] }
        return epochs
    }

    /// Begins a new epoch of topics whose log turned out to be another one: everything in the retention goes out again.
    static func beginAnew(_ topics: [String], _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO relay_topics AS t (topic, epoch, resend_xid, resend_seq, restate)
            SELECT topic, 2, '0', 0, true FROM unnest(\(topics)::text[]) AS topic
            ON CONFLICT (topic) DO UPDATE SET epoch = t.epoch + 1, resend_xid = '0', resend_seq = 0, restate = true
            """)
        tx.enqueue("DELETE FROM relay_offsets WHERE topic = ANY (\(topics)::text[])")
    }

    /// Has every event since `since` sent again, in the present epoch: consumers know those they have had.
    static func replay(since: Instant, topics: [String]?, _ tx: borrowing Transaction) async throws -> Int64 {
        _ = try await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('relay', 0))")
        let row = try await tx.queryOne(
            """
            WITH old AS (
                SELECT topic, xid, seq FROM outbox
                WHERE created_at >= \(since) AND (\(topics)::text[] IS NULL OR topic = ANY (\(topics)::text[]))
            ), first AS (
                SELECT DISTINCT ON (topic) topic, xid, seq FROM old ORDER BY topic, xid, seq
            ), marked AS (
                INSERT INTO relay_topics AS t (topic, resend_xid, resend_seq) SELECT topic, xid, seq - 1 FROM first
                ON CONFLICT (topic) DO UPDATE SET
                    resend_xid = least(coalesce(t.resend_xid, excluded.resend_xid), excluded.resend_xid),
                    resend_seq = CASE WHEN t.resend_xid < excluded.resend_xid THEN t.resend_seq ELSE excluded.resend_seq END
            )
            SELECT count(*) AS count FROM old
            """)
        return try row?.decode("count", as: Int64.self) ?? 0
    }

    /// Topics whose owner has to state the present again, which this call takes over.
    static func toRestate(_ database: Database) async throws -> [String] {
        try await database.query(
            "UPDATE relay_topics SET restate = false WHERE restate AND resend_xid IS NULL RETURNING topic"
        ).map { try $0["topic"] }
    }

    static func restateAgain(_ topic: String, _ database: Database) async throws {
        _ = try await database.execute("UPDATE relay_topics SET restate = true WHERE topic = \(topic)")
    }

    /// Rows not published yet, counted up to a bound, and the age of the oldest in seconds.
    static func depth(_ database: Database) async throws -> (rows: Int64, age: Double) {
        let row = try await database.queryOne(
            """
            WITH rest AS (
                SELECT o.created_at FROM relay r, outbox o WHERE (o.xid, o.seq) > (r.xid, r.seq)
                ORDER BY o.xid, o.seq LIMIT 10000
            )
            SELECT count(*) AS rows, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS age
            FROM rest
            """)
        guard let row else { return (0, 0) }
        return (try row["rows"], try row["age"])
    }

    /// Keeps the house: partitions ahead, old days dropped, what is out of its retention deleted in slices.
    static func keepHouse(_ database: Database) async throws {
        _ = try await database.query("SELECT outbox_ahead()")
        _ = try await database.query("SELECT outbox_drop(interval '72 hours')")
        _ = try await database.execute(
            """
            DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE at < now() - interval '7 days' LIMIT 50000)
            """)
        _ = try await database.execute(
            """
            DELETE FROM idempotency_keys WHERE (scope, key) IN (
                SELECT scope, key FROM idempotency_keys WHERE at < now() - interval '24 hours' LIMIT 50000)
            """)
        _ = try await database.execute(
            """
            DELETE FROM outbox_rest o WHERE created_at < now() - interval '72 hours'
                AND (o.xid, o.seq) <= (SELECT xid, seq FROM relay)
            """)
    }
}
