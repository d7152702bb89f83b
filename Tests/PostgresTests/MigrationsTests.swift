import Glibc
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@Suite struct MigrationsTests {
    private static func migration(_ name: String, _ sql: String) throws -> Migration {
        try #require(Migration(name, sql: sql))
    }

    private static func set() throws -> [Migration] {
        [
            try migration(
                "0001-items.sql",
                """
                -- Several statements; a string with ';' in it, and a function body.
                CREATE TABLE items (id int PRIMARY KEY, note text DEFAULT 'a;b');
                CREATE FUNCTION double(n int) RETURNS int LANGUAGE sql AS $$ SELECT n * 2; $$;
                INSERT INTO items VALUES (double(21));
                """),
            try migration("0002-more.sql", "ALTER TABLE items ADD COLUMN more text; INSERT INTO items VALUES (1);"),
        ]
    }

    @Test func `migrations are applied once, in order, and a second run does nothing`() async throws {
        try await TestDatabase.fresh { database async throws in
            let set = try Self.set()
            #expect(try await Migrations.run(database: database, directory: nil, extra: set) == set.map(\.name))
            #expect(try await Migrations.run(database: database, directory: nil, extra: set) == [])
            let ids = try await database.query("SELECT id FROM items ORDER BY id").map { try $0[0] as Int }
            #expect(ids == [1, 42])
        }
    }

    @Test func `two programs that migrate at the same time apply everything once`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let set = try Self.set()
            let applied = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
                        let names = try await Migrations.run(database: database, directory: nil, extra: set)
                        await database.close()
                        return names
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.sorted() == set.map(\.name))
        }
    }

    @Test func `an applied file that was changed is refused by name, and nothing else is applied`() async throws {
        try await TestDatabase.fresh { database async throws in
            var set = try Self.set()
            try await Migrations.run(database: database, directory: nil, extra: [set[0]])
            set[0] = try Self.migration("0001-items.sql", set[0].sql + " ")
            let changed = set
            await #expect(throws: MigrationRefused.changed("0001-items.sql")) {
                try await Migrations.run(database: database, directory: nil, extra: changed)
            }
            #expect(try await database.queryOne("SELECT count(*) FROM schema_migrations")?[0] == 1)
        }
    }

    @Test func `a migration that fails leaves no trace and can be mended`() async throws {
        try await TestDatabase.fresh { database async throws in
            let broken = try Self.migration(
                "0001-a.sql", "CREATE TABLE a (); CREATE TABLE b (); SELECT 1/0; CREATE TABLE c ();")
            let error = try await #require(throws: PostgresError.self) {
                try await Migrations.run(database: database, directory: nil, extra: [broken])
            }
            #expect(error.sqlState == "22012")
            let exists: Bool = try #require(try await database.queryOne("SELECT to_regclass('a') IS NOT NULL"))[0]
            #expect(!exists)
            let mended = try Self.migration("0001-a.sql", "CREATE TABLE a ()")
            #expect(try await Migrations.run(database: database, directory: nil, extra: [mended]) == ["0001-a.sql"])
        }
    }

    @Test func `a folder's files are read, others left alone, and misnamed ones refused`() async throws {
        let folder = "/tmp/switchboard-test-\(CallID().text)"
        #expect(mkdir(folder, 0o700) == 0)
        func write(_ name: String, _ text: String) throws {
            let file = try #require(fopen("\(folder)/\(name)", "w"))
            fputs(text, file)
            fclose(file)
        }
        defer {
            for name in ["0001-a.sql", "README.md", "oops.sql"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        try write("0001-a.sql", "CREATE TABLE ä (name text DEFAULT 'ü');")
        try write("README.md", "not SQL")
        try await TestDatabase.fresh { database async throws in
            let applied = try await Migrations.run(database: database, directory: folder)
            #expect(applied == ["0001-a.sql"])
        }
        #expect(try Migrations.read(folder).map(\.sql) == ["CREATE TABLE ä (name text DEFAULT 'ü');"])
        try write("oops.sql", "")
        #expect(throws: MigrationRefused.misnamed("oops.sql")) { try Migrations.read(folder) }
        #expect(throws: MigrationRefused.unreadable("\(folder)/none")) { try Migrations.read("\(folder)/none") }
    }

    @Test func `the configured folder wins over the one found by walking up`() {
        #expect(Migrations.directory(of: "telephony", configured: "/somewhere") == "/somewhere")
        #expect(Migrations.directory(of: "no-such-program") == nil)
    }
}
