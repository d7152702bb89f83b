import Postgres
import Shared

/// The SQL of uploaded files, which are kept in pieces until they are processed.
enum UploadStore {
    private static let chunkMax = 256 << 10

    /// A file somebody has to process.
    struct Waiting: Sendable {
        var entryID: Int64
        var name: String
        /// How often somebody began, this time included.
        var attempts: Int
    }

    static func keep(_ file: [UInt8], name: String, for entry: Int64, _ tx: borrowing Transaction) {
        tx.enqueue("INSERT INTO uploads (entry_id, file_name) VALUES (\(entry), \(name))")
        for (position, start) in stride(from: 0, to: file.count, by: chunkMax).enumerated() {
            let chunk = Array(file[start..<min(start + chunkMax, file.count)])
            tx.enqueue(
                "INSERT INTO upload_chunks (entry_id, position, bytes) VALUES (\(entry), \(position), \(chunk))")
        }
    }

    /// The oldest nobody holds; whoever gets it holds it for a while.
    static func claim(for seconds: Int, _ database: Database) async throws -> Waiting? {
        let row = try await database.queryOne(
            """
            UPDATE uploads SET held_until = now() + make_interval(secs => \(seconds)::int), attempts = attempts + 1
            WHERE entry_id = (
                SELECT entry_id FROM uploads WHERE held_until < now() ORDER BY created_at LIMIT 1
                FOR UPDATE SKIP LOCKED
            ) RETURNING entry_id, file_name, attempts
            """)
        return try row.map { row in
            Waiting(entryID: try row["entry_id"], name: try row["file_name"], attempts: try row["attempts"])
        }
    }

    static func hold(_ entry: Int64, for seconds: Int, _ database: Database) async throws {
        try await database.execute(
            "UPDATE uploads SET held_until = now() + make_interval(secs => \(seconds)::int) WHERE entry_id = \(entry)")
    }

    /// Nothing was wrong with the file: somebody may try again soon, and this time does not count.
    static func giveBack(_ entry: Int64, after seconds: Int, _ database: Database) async throws {
        try await database.execute(
            """
            UPDATE uploads SET held_until = now() + make_interval(secs => \(seconds)::int), attempts = attempts - 1
            WHERE entry_id = \(entry)
            """)
    }

    static func file(of entry: Int64, _ database: Database) async throws -> [UInt8] {
        var file: [UInt8] = []
        let rows = try await database.query(
            "SELECT bytes FROM upload_chunks WHERE entry_id = \(entry) ORDER BY position")
        for row in rows { file += try row.decode("bytes", as: [UInt8].self) }
        return file
    }

    static func remove(_ entry: Int64, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM uploads WHERE entry_id = \(entry)")
    }
}
