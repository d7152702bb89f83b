import Messaging
import Postgres
import Runtime
import Shared

/// What is still somewhere in a database although it should be gone.
public enum Leftovers {
    /// The tables that hold `text` in any column, as text, JSON or bytes, with the number of their rows that do. Those that
    /// have to remember ids, so that nothing comes back, are named in `except`.
    public static func tables(
        holding text: String, except: Set<String> = ["erasures"], _ database: Database
    ) async throws -> [String: Int] {
        let names = try await database.query(
            """
            SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1
            """
        ).map { try $0.decode("name", as: String.self) }
        let hex = Digest.hex(Array(text.utf8))
        var found: [String: Int] = [:]
        for name in names where !except.contains(name) {
            let row = try await database.queryOne(
                """
                SELECT count(*) AS n FROM \(quoting: name) AS one
                WHERE strpos(lower(one::text), lower(\(text))) > 0 OR strpos(one::text, \(hex)) > 0
                """)
            let count: Int = try row.map { try $0["n"] } ?? 0
            if count > 0 { found[name] = count }
        }
        return found
    }

    /// Works until the erasure is done, as if the broker took every event at once.
    public static func erase(
        _ subject: ErasureSubject, steps: [ErasureStep], program: String, _ database: Database,
        meanwhile: () async throws -> Void = {}
    ) async throws {
        let erasing = Erasing(
            program: program, database: database, steps: steps, log: Log(program: program, least: .error))
        try await database.transaction { (tx: borrowing Transaction) in try await tx.erase(subject) }
        try await eventually("the erasure of \(subject) is done") {
            try await meanwhile()
            try await publishAll(database)
            _ = try await erasing.runOne()
            return try await database.queryOne(
                """
                SELECT 1 AS done FROM erasures
                WHERE kind = \(subject.kind) AND id = \(subject.id)::uuid AND done_at IS NOT NULL
                """) != nil
        }
    }

    /// As the relay does when the broker has taken everything.
    public static func publishAll(_ database: Database) async throws {
        _ = try await database.execute(
            "UPDATE outbox_relay SET published = greatest(published, (SELECT coalesce(max(seq), 0) FROM outbox))")
    }
}
