import Glibc
import Runtime
import Shared

/// Brings a database's schema up to date: numbered SQL files, each in a transaction of its own, one program at a time,
/// with the checksum of what was applied kept in `schema_migrations`.
public enum Migrations {
    /// Applies what is missing: first `extra`, then the files of the directory. Safe to call from several programs at
    /// once and on a database that is up to date. Returns the names of what it applied.
    ///
    /// Throws `MigrationRefused` naming the file, or `PostgresError` from the file's SQL, which then left no trace.
    @discardableResult
    public static func run(
        database: Database, directory: String?, extra: [Migration] = [], log: Log = Log(program: "migrations")
    ) async throws -> [String] {
        let plan = try MigrationPlan(extra + (try directory.map(read) ?? []))
        var names: [String] = []
        while true {
            let began = ContinuousClock.now
            guard let name = try await applyNext(of: plan, database) else { break }
            log.info(
                "migration.applied", ("name", .string(name)),
                ("seconds", .double((ContinuousClock.now - began) / .seconds(1))))
            names.append(name)
        }
        log.info(
            "migrations.done", ("applied", .int(Int64(names.count))), ("known", .int(Int64(plan.migrations.count))))
        return names
    }

    /// The migrations of a folder. Files that are no `.sql` are not looked at.
    public static func read(_ directory: String) throws(MigrationRefused) -> [Migration] {
        guard let folder = opendir(directory) else { throw .unreadable(directory) }
        defer { closedir(folder) }
        var migrations: [Migration] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasSuffix(".sql"), !name.hasPrefix(".") else { continue }
            guard let text = text(ofFile: "\(directory)/\(name)") else { throw .unreadable("\(directory)/\(name)") }
            guard let migration = Migration(name, sql: text) else { throw .misnamed(name) }
            migrations.append(migration)
        }
        return migrations
    }

    /// The folder with a program's migrations: the configured one (`MIGRATIONS_DIR`), or `Services/<program>/migrations`
    /// in the first folder above the executable or the working directory that has it.
    public static func directory(of program: String, configured: String? = nil) -> String? {
        if let configured, !configured.isEmpty { return configured }
        return [executable, workingDirectory].lazy.compactMap { $0 }
            .compactMap { above($0, "Services/\(program)/migrations") }.first
    }

    // MARK: Inside

    /// Any number that no other advisory lock of the database uses.
    private static let lock: Int64 = 0x5357_4D49_4752

    private static func applyNext(of plan: MigrationPlan, _ database: Database) async throws -> String? {
        try await database.transaction { (transaction: borrowing Transaction) in
            // Waiting for another program and building an index both take as long as they take.
            try await transaction.execute("SET LOCAL statement_timeout = 0")
            try await transaction.execute("SELECT pg_advisory_xact_lock(\(lock))")
            try await transaction.execute(
                """
                CREATE TABLE IF NOT EXISTS schema_migrations (
                    name text PRIMARY KEY,
                    checksum text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT now()
                )
                """)
            var applied: [String: String] = [:]
            for row in try await transaction.query("SELECT name, checksum FROM schema_migrations") {
                applied[try row["name"]] = try row["checksum"] as String
            }
            guard let migration = try plan.next(applied: applied) else { return nil }
            try await transaction.state.script(migration.sql)
            transaction.enqueue(
                """
                INSERT INTO schema_migrations (name, checksum) VALUES (\(migration.name), \(migration.checksum))
                """)
            return migration.name
        }
    }

    private static var executable: String? {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static var workingDirectory: String? {
        guard let path = getcwd(nil, 0) else { return nil }
        defer { free(path) }
        return String(cString: path) + "/."
    }

    private static func above(_ path: String, _ folder: String) -> String? {
        var place = path[...]
        while let slash = place.lastIndex(of: "/") {
            place = place[..<slash]
            let candidate = "\(place)/\(folder)"
            if access(candidate, R_OK | X_OK) == 0 { return candidate }
        }
        return nil
    }

    private static func text(ofFile path: String) -> String? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return ferror(file) == 0 ? String(validating: bytes, as: UTF8.self) : nil
    }
}
