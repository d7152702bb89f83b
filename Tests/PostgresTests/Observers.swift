import Postgres
import Runtime
import TestSupport

/// Connections to the database, seen through itself.
func connections(of database: Database) async throws -> Int {
    try await database.queryOne("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")?[0] ?? 0
}

/// Connections to the database of a URL that run a statement with this text, asked on a connection of its own.
func connectionsFromOutside(_ url: String, running text: String) async throws -> Int {
    let name = databaseName(url)
    return try await withOutsider { outsider in
        try await outsider.queryOne(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = \(name) AND state = 'active' AND position(\(text) IN query) > 0
            """)?[0] ?? 0
    }
}

func databaseName(_ url: String) -> String {
    String(url[(url.lastIndex(of: "/").map(url.index(after:)) ?? url.startIndex)...])
}

func withOutsider<Value>(_ body: (Database) async throws -> Value) async throws -> Value {
    let outsider = Database(
        url: try TestDatabase.serverURL(), poolMax: 1, waitDeadline: .seconds(30), application: "outsider")
    do {
        let value = try await body(outsider)
        await outsider.close()
        return value
    } catch {
        await outsider.close()
        throw error
    }
}

/// A lock that statements of a test wait for, held by a connection of its own.
struct HeldLock {
    private let holder: Database

    init(_ url: String) async throws {
        holder = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
        _ = try await holder.query("SELECT pg_advisory_lock(7)")
    }

    /// A session's locks go with it.
    func release() async { await holder.close() }
}
