import Postgres
import Shared

/// The SQL of publishing and of keeping the outbox.
enum RelayStore {
    struct Row: Sendable {
        let seq: Int64
        let id: EventID
        let topic: String
        let key: String
        let type: String
        let payload: String?
        let trace: String?
        let createdAt: Instant
    }

    struct State: Sendable {
        var published: Int64
        var highest: Int64
        /// By "topic/partition".
        var offsets: [String: Int64]
        var restate: Bool
        var rows: [Row]
    }

    /// Has the next statement wait until no other replica relays; the lock goes with the transaction, and so with its
    /// connection. It travels with that statement, which looks at the data when it has the lock and not before.
    static func lock(_ tx: borrowing Transaction) {
        tx.enqueue("SELECT pg_advisory_xact_lock(hashtextextended('outbox relay', 0))")
    }

    /// The same, and the transaction's commit does not wait for the disk. Only for moving the cursor: a server that dies
    /// forgets the last fraction of a second of it, and those events go out again (docs/decisions/0013).
    static func lockLightly(_ tx: borrowing Transaction) {
        tx.enqueue(
            """
            SELECT pg_advisory_xact_lock(hashtextextended('outbox relay', 0)),
                set_config('synchronous_commit', 'off', true)
            """)
    }

    /// Where publishing stands, and the next rows; after `lock`.
    static func state(limit: Int, _ tx: borrowing Transaction) async throws -> State {
        let rows = try await tx.query(next(limit: limit))
        guard let first = rows.first else { throw NoRelayState() }
        var state = State(
            published: try first["published"], highest: try first["highest"], offsets: try offsets(first),
            restate: try first["restate"], rows: [])
        guard try first.decode("seq", as: Int64?.self) != nil else { return state }
        state.rows = try rows.map { row in
            Row(
                seq: try row["seq"], id: try row["id"], topic: try row["topic"], key: try row["key"],
                type: try row["type"], payload: try row["payload"], trace: try row["trace"],
                createdAt: try row["created_at"])
        }
        return state
    }

    /// The planner is told that there is one row of state: without that it expects hundreds of batches, and a server that
    /// compiles what looks expensive would compile this for longer than it takes.
    static func next(limit: Int) -> Query {
        """
        SELECT r.published, r.highest, r.restate,
            CASE WHEN o.place IS NULL OR o.place = 1 THEN r.offsets END AS offsets,
            o.seq, o.id, o.topic, o.key, o.type, o.payload, o.trace, o.created_at
        FROM (SELECT * FROM outbox_relay LIMIT 1) r LEFT JOIN LATERAL (
            SELECT row_number() OVER (ORDER BY seq) AS place, seq, id, topic, key, type, payload, trace, created_at
            FROM outbox WHERE seq > r.published ORDER BY seq LIMIT \(limit)
        ) o ON true
        ORDER BY o.seq
        """
    }

    /// The last offset known of each "topic/partition", as it is now.
    static func offsets(_ database: Database) async throws -> [String: Int64] {
        guard let row = try await database.queryOne("SELECT offsets FROM outbox_relay") else { throw NoRelayState() }
        return try offsets(row)
    }

    private static func offsets(_ row: Postgres.Row) throws -> [String: Int64] {
        let json: JSON? = try row["offsets"]
        var offsets: [String: Int64] = [:]
        for (place, offset) in json?.object?.pairs ?? [] { offsets[place] = offset.int.map { Int64($0) } }
        return offsets
    }

    /// The one row was deleted by hand: without it nobody knows what is published.
    struct NoRelayState: Error, CustomStringConvertible {
        let description = "outbox_relay has no row"
    }

    /// Moves the cursor and the offsets in one small update.
    static func move(to seq: Int64, offsets: [String: Int64], _ tx: borrowing Transaction) {
        let offsets = JSON.object(JSONObject(offsets.map { ($0.key, .int($0.value)) }))
        tx.enqueue(
            """
            UPDATE outbox_relay
            SET published = \(seq), highest = greatest(highest, \(seq)), offsets = offsets || \(offsets)
            """)
    }

    /// The broker's log is another one: publish everything there is again.
    static func beginAnew(_ tx: borrowing Transaction) {
        tx.enqueue("UPDATE outbox_relay SET published = 0, offsets = '{}', restate = true")
    }

    /// The transactions that have written to the outbox and have not ended. Their changes are visible before they give the
    /// lock up: who is not here any more has nothing left to show.
    static func writers(_ database: Database) async throws -> Set<String> {
        let rows = try await database.query(
            """
            SELECT DISTINCT virtualtransaction AS writer FROM pg_locks
            WHERE locktype = 'relation' AND relation = 'outbox'::regclass AND mode = 'RowExclusiveLock' AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """)
        return Set(try rows.map { try $0.decode("writer", as: String.self) })
    }

    /// Takes over the duty to publish the present state; false when somebody else has done it.
    static func takeRestating(_ tx: borrowing Transaction) async throws -> Bool {
        try await tx.execute("UPDATE outbox_relay SET restate = false WHERE restate") > 0
    }

    /// Has everything since then published again. Returns how many events that are at least.
    static func replay(since: Instant, _ database: Database) async throws -> Int64 {
        try await database.transaction { (tx: borrowing Transaction) in
            lock(tx)
            let row = try await tx.queryOne(
                """
                SELECT count(*) AS count, min(seq) AS first FROM outbox
                WHERE created_at >= \(since) AND seq <= (SELECT published FROM outbox_relay)
                """)
            guard let row, let first = try row.decode("first", as: Int64?.self) else { return 0 }
            try await tx.execute("UPDATE outbox_relay SET published = least(published, \(first - 1))")
            return try row["count"]
        }
    }

    /// Rows waiting (holes counted as rows), and how long the oldest has waited, in seconds.
    static func depth(_ database: Database) async throws -> (rows: Int64, age: Double) {
        let row = try await database.queryOne(
            """
            SELECT greatest(coalesce((SELECT max(seq) FROM outbox), 0) - r.published, 0) AS rows,
                coalesce(extract(epoch FROM clock_timestamp() - o.created_at), 0)::float8 AS age
            FROM outbox_relay r LEFT JOIN LATERAL (
                SELECT created_at FROM outbox WHERE seq > r.published ORDER BY seq LIMIT 1
            ) o ON true
            """)
        guard let row else { return (0, 0) }
        let age: Double = try row["age"]
        // What is behind a hole that stays is nothing: no row, no age, no depth.
        return age > 0 ? (try row["rows"], age) : (0, 0)
    }

    /// How long things are kept.
    struct Retention: Sendable {
        var outboxHours: Int64 = 72
        /// Longer than any replay can reach back.
        var inboxDays: Int64 = 7
        var deadLetterDays: Int64 = 30
    }

    /// Partitions ahead, old days dropped, and what is out of its retention deleted in slices. Each step for itself, so
    /// that one that fails leaves the others done.
    static func keepHouse(_ database: Database, _ retention: Retention = Retention()) async throws {
        _ = try await database.query("SELECT outbox_ahead(6)")
        _ = try await database.query("SELECT outbox_drop(make_interval(hours => \(retention.outboxHours)::int))")
        _ = try await database.execute(
            """
            DELETE FROM outbox_rest WHERE created_at < now() - make_interval(hours => \(retention.outboxHours)::int)
                AND seq <= (SELECT published FROM outbox_relay)
            """)
        let slice = 20_000
        while try await database.execute(
            """
            DELETE FROM inbox WHERE (event, consumer) IN (
                SELECT event, consumer FROM inbox WHERE at < now() - make_interval(days => \(retention.inboxDays)::int)
                LIMIT \(slice))
            """) == slice
        {}
        while try await database.execute(
            """
            DELETE FROM idempotency_keys WHERE (scope, key) IN (
                SELECT scope, key FROM idempotency_keys WHERE at < now() - interval '24 hours' LIMIT \(slice))
            """) == slice
        {}
        _ = try await database.execute(
            "DELETE FROM dead_letters WHERE at < now() - make_interval(days => \(retention.deadLetterDays)::int)")
    }
}
