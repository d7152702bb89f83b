import Glibc
import Postgres
import Runtime
import Shared

/// A database of its own for a test: made on the server of `TEST_DATABASE_URL`, migrated, dropped afterwards.
public enum TestDatabase {
    public struct NotConfigured: Error, CustomStringConvertible {
        public let description =
            "TEST_DATABASE_URL is not set: run the tests with `make test`, which starts a PostgreSQL"
    }

    /// Tests run all at once; their databases do not, or the server runs out of connections.
    private static let turnstile = Turnstile(max: 8)
    /// A test that makes a database inside another one's body has its turn already.
    @TaskLocal private static var hasTurn = false

    /// Makes a database, applies the migrations, runs the body on an event loop and drops the database.
    ///
    /// - Parameters:
    ///   - folders: paths of migration folders, or names of programs (`telephony` is `Services/telephony/migrations`).
    ///   - extra: migrations of a module, such as Messaging's; applied first.
    public static func fresh<Value: Sendable>(
        migrations folders: [String] = [], extra: [Migration] = [], poolMax: Int = 4,
        waitDeadline: Duration = .seconds(30), _ body: @escaping @Sendable (Database) async throws -> Value
    ) async throws -> Value {
        try await freshURL(migrations: folders, extra: extra) { url in
            let database = Database(url: url, poolMax: poolMax, waitDeadline: waitDeadline, application: "tests")
            do {
                let value = try await body(database)
                await database.close()
                return value
            } catch {
                await database.close()
                throw error
            }
        }
    }

    /// The same for tests that open it themselves: the body gets the new database's URL.
    public static func freshURL<Value: Sendable>(
        migrations folders: [String] = [], extra: [Migration] = [],
        _ body: @escaping @Sendable (String) async throws -> Value
    ) async throws -> Value {
        let server = try serverURL()
        return try await onLoop {
            try await inTurn { try await made(on: server, folders, extra, body) }
        }
    }

    private static func inTurn<Value>(_ body: () async throws -> Value) async throws -> Value {
        if hasTurn { return try await body() }
        await turnstile.enter()
        defer { turnstile.leave() }
        return try await $hasTurn.withValue(true) { try await body() }
    }

    private static func made<Value: Sendable>(
        on server: String, _ folders: [String], _ extra: [Migration],
        _ body: @escaping @Sendable (String) async throws -> Value
    ) async throws -> Value {
        let admin = Database(url: server, poolMax: 1, waitDeadline: .seconds(60), application: "tests")
        let name = "test_\(ID<Kind.Job>().text.filter { $0 != "-" })"
        let url = replacingName(in: server, with: name)
        try await admin.execute("CREATE DATABASE \(quoting: name)")
        let result: Result<Value, any Error>
        do {
            try await migrate(url, folders, extra)
            result = .success(try await body(url))
        } catch {
            result = .failure(error)
        }
        // In a task of its own: the database is dropped even when the test was cancelled.
        await EventLoop.required().spawn("drop test database") {
            _ = try? await admin.execute("DROP DATABASE \(quoting: name) WITH (FORCE)")
            await admin.close()
        }.value
        return try result.get()
    }

    /// The server's URL, for tests that look at it from outside the database under test.
    public static func serverURL() throws -> String {
        guard let text = getenv("TEST_DATABASE_URL") else { throw NotConfigured() }
        return String(cString: text)
    }

    /// Its port, for tests that put something in between.
    public static func serverPort() throws -> Int {
        let (_, port, _) = parts(of: try serverURL())
        return Int(port) ?? 5432
    }

    /// The same database over another port of this machine.
    public static func replacingPort(in url: String, with port: Int) -> String {
        let (before, _, after) = parts(of: url)
        return "\(before):\(port)\(after)"
    }

    private static func migrate(_ url: String, _ folders: [String], _ extra: [Migration]) async throws {
        guard !folders.isEmpty || !extra.isEmpty else { return }
        let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(60), application: "tests")
        var migrations = extra
        for folder in folders {
            let path = folder.contains("/") ? folder : Migrations.directory(of: folder)
            guard let path else { throw NeverHappened(description: "there is no folder Services/\(folder)/migrations") }
            migrations += try Migrations.read(path)
        }
        do {
            try await Migrations.run(database: database, directory: nil, extra: migrations)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }

    private static func replacingName(in url: String, with name: String) -> String {
        let (before, port, after) = parts(of: url)
        let options = after.firstIndex(of: "?").map { after[$0...] } ?? ""
        return "\(before)\(port.isEmpty ? "" : ":\(port)")/\(name)\(options)"
    }

    /// `postgresql://user:password@host`, the port, and `/name?options`.
    private static func parts(of url: String) -> (before: Substring, port: Substring, after: Substring) {
        // "postgresql:" and an empty piece come before the authority, which ends at the third slash.
        let slashes = url.indices.filter { url[$0] == "/" }
        let end = slashes.count > 2 ? slashes[2] : url.firstIndex(of: "?") ?? url.endIndex
        let host = url[..<end].lastIndex(of: "@").map(url.index(after:)) ?? slashes.dropFirst().first ?? url.startIndex
        guard let colon = url[host..<end].lastIndex(of: ":") else { return (url[..<end], "", url[end...]) }
        return (url[..<colon], url[url.index(after: colon)..<end], url[end...])
    }
}
