import Shared
import Testing

@testable import Postgres

@Suite struct StatementCacheTests {
    private func key(_ text: String) -> StatementCache.Key { StatementCache.Key(Query(text: text)) }

    @Test func `a statement is prepared once and found again`() {
        var cache = StatementCache(capacity: 2)
        #expect(cache.find(key("a")) == nil)
        #expect(cache.add(key("a")) == ("s1", nil))
        #expect(cache.find(key("a")) == "s1")
    }

    @Test func `a full cache drops what was not used for longest`() {
        var cache = StatementCache(capacity: 2)
        _ = cache.add(key("a"))
        _ = cache.add(key("b"))
        _ = cache.find(key("a"))
        #expect(cache.add(key("c")) == ("s3", "s2"))
        #expect(cache.find(key("b")) == nil)
        #expect(cache.find(key("a")) == "s1")
        #expect(cache.count == 2)
    }

    @Test func `the same text with other parameter types is another statement`() {
        func query<Value: PostgresValue>(_ value: Value) -> Query { "SELECT \(value)" }
        #expect(StatementCache.Key(query(1)) == StatementCache.Key(query(2)))
        #expect(StatementCache.Key(query(1)) != StatementCache.Key(query("2")))
    }

    @Test func `a forgotten statement gets a new name`() {
        var cache = StatementCache(capacity: 2)
        _ = cache.add(key("a"))
        #expect(cache.forget(key("a")) == "s1")
        #expect(cache.find(key("a")) == nil)
        #expect(cache.add(key("a")).name == "s2")
    }
}

@Suite struct FifoTests {
    @Test func `elements come out in the order they went in, however the two are mixed`() {
        var queue = Fifo<Int>()
        var next = 0
        var expected = 0
        for round in 0..<200 {
            for _ in 0..<(round % 7) {
                queue.append(next)
                next += 1
            }
            for _ in 0..<(round % 5) where !queue.isEmpty {
                #expect(queue.first == expected)
                #expect(queue.removeFirst() == expected)
                expected += 1
            }
            #expect(queue.count == next - expected)
        }
        while let element = queue.removeFirst() {
            #expect(element == expected)
            expected += 1
        }
        #expect(expected == next && queue.first == nil)
    }
}

@Suite struct ConnectionSettingsTests {
    private func settings(_ url: String) -> ConnectionSettings {
        ConnectionSettings(url: url, application: "billing", statementTimeout: .seconds(3))
    }

    @Test func `the URL's own options are kept and come last`() {
        let settings = settings(
            "postgresql://u:p%40ss@db.example:5433/calls?options=-c%20work_mem%3D8MB&keepalives_idle=7")
        #expect(settings.value("host") == "db.example")
        #expect(settings.value("port") == "5433")
        #expect(settings.value("password") == "p@ss")
        #expect(settings.value("application_name") == "billing")
        #expect(settings.value("keepalives_idle") == "7")
        #expect(settings.value("options")?.hasPrefix("-c statement_timeout=3000 ") == true)
        #expect(settings.value("options")?.hasSuffix(" -c work_mem=8MB") == true)
    }

    @Test func `an unusable URL is a problem that does not quote the password`() {
        let settings = settings("mysql://root:secret@host/db with spaces")
        #expect(settings.problem != nil)
        #expect(settings.problem?.contains("secret") == false)
    }

    @Test(arguments: [
        ("postgresql://db.example/x", "db.example" as String?), ("postgresql://127.0.0.1/x", nil),
        ("postgresql://[::1]/x", nil), ("postgresql:///x?host=/run/postgresql", nil),
        ("postgresql://a,b/x", nil), ("postgresql://db/x?hostaddr=10.0.0.1", nil),
    ])
    func `only a single host name is looked up`(url: String, host: String?) {
        #expect(settings(url).hostToLookUp == host)
    }

    @Test func `looked-up addresses are tried in order under the same name`() {
        let pinned = settings("postgresql://db.example/x").pinned(to: ["::1", "127.0.0.1"])
        #expect(pinned.value("host") == "db.example,db.example")
        #expect(pinned.value("hostaddr") == "::1,127.0.0.1")
        #expect(pinned.hostToLookUp == nil)
    }

    @Test func `localhost has an address`() {
        #expect(!ConnectionSettings.lookUp("localhost").isEmpty)
        #expect(ConnectionSettings.lookUp("no.such.host.invalid").isEmpty)
    }
}

@Suite struct MigrationPlanTests {
    private func migration(_ name: String, _ sql: String = "SELECT 1") throws -> Migration {
        try #require(Migration(name, sql: sql))
    }

    @Test(arguments: ["1.sql", "a-1.sql", "0001_x.sql", "0001-x.txt", "messaging/x.sql", ""])
    func `a name without number is no migration`(name: String) {
        #expect(Migration(name, sql: "") == nil)
    }

    @Test func `files are applied by number, sets in the order given`() throws {
        let plan = try MigrationPlan(
            ["messaging/0002-b.sql", "0010-z.sql", "messaging/0001-a.sql", "0009-y.sql"].map { try migration($0) })
        #expect(
            plan.migrations.map(\.name) == ["messaging/0001-a.sql", "messaging/0002-b.sql", "0009-y.sql", "0010-z.sql"])
        var applied: [String: String] = [:]
        var order: [String] = []
        while let next = try plan.next(applied: applied) {
            applied[next.name] = next.checksum
            order.append(next.name)
        }
        #expect(order == plan.migrations.map(\.name))
    }

    @Test func `two files with one number are refused by name`() throws {
        let pair = [try migration("0001-a.sql"), try migration("0001-b.sql")]
        #expect(throws: MigrationRefused.sameNumber("0001-a.sql", "0001-b.sql")) { try MigrationPlan(pair) }
        _ = try MigrationPlan([try migration("0001-a.sql"), try migration("x/0001-b.sql")])
    }

    @Test func `a changed file is refused by name even when others wait`() throws {
        let plan = try MigrationPlan([try migration("0001-a.sql", "CREATE TABLE a ()"), try migration("0002-b.sql")])
        #expect(throws: MigrationRefused.changed("0001-a.sql")) { try plan.next(applied: ["0001-a.sql": "other"]) }
    }

    @Test func `a file added below an applied one is refused by name`() throws {
        let second = try migration("0002-b.sql")
        let plan = try MigrationPlan([try migration("0001-a.sql"), second])
        #expect(throws: MigrationRefused.late("0001-a.sql", after: "0002-b.sql")) {
            try plan.next(applied: [second.name: second.checksum])
        }
    }

    @Test func `an applied migration that this program does not know is left alone`() throws {
        let first = try migration("0001-a.sql")
        let plan = try MigrationPlan([first])
        #expect(try plan.next(applied: [first.name: first.checksum, "0002-newer.sql": "x"]) == nil)
    }
}
