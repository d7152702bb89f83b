import Postgres
import Runtime
import Shared
import TestSupport
import Testing

/// Connections break: by an operator, by a restart, in the worst moment.
@Suite struct RecoveryTests {
    private static func withDatabase<Value: Sendable>(
        poolMax: Int = 2, _ body: @escaping @Sendable (Database, _ url: String) async throws -> Value
    ) async throws -> Value {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: poolMax, waitDeadline: .seconds(30))
            let result: Result<Value, any Error>
            do {
                try await database.execute("CREATE TABLE items (id int PRIMARY KEY)")
                result = .success(try await body(database, url))
            } catch {
                result = .failure(error)
            }
            await database.close()
            return try result.get()
        }
    }

    /// A database reached over a link that the test can cut; the URL is the direct one.
    private static func withBreakableLink(
        _ body: @escaping @Sendable (Database, BreakableLink, String) async throws -> Void
    ) async throws {
        try await TestDatabase.freshURL { url async throws in
            let link = try BreakableLink(to: try TestDatabase.serverPort())
            let database = Database(
                url: TestDatabase.replacingPort(in: url, with: link.port), poolMax: 1, waitDeadline: .seconds(30))
            do {
                try await body(database, link, url)
            } catch {
                await database.close()
                link.close()
                throw error
            }
            await database.close()
            link.close()
        }
    }

    /// Ends every connection to the database but the one that asks.
    private static func terminateAll(_ url: String) async throws -> Int {
        let name = databaseName(url)
        return try await withOutsider { outsider in
            try await outsider.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \(name)")
                .count
        }
    }

    @Test func `idle connections that were ended are replaced`() async throws {
        try await Self.withDatabase { database, url async throws in
            for number in 0..<5 {
                #expect(try await Self.terminateAll(url) > 0)
                try await database.execute("INSERT INTO items VALUES (\(Int32(number)))")
            }
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 5)
        }
    }

    @Test func `a read that was under way is run again`() async throws {
        try await Self.withDatabase { database, url async throws in
            let lock = try await HeldLock(url)
            async let answer = database.queryOne("SELECT pg_advisory_xact_lock(7), 42 AS n")
            try await terminateWhenRunning("pg_advisory_xact_lock", url)
            await lock.release()
            #expect(try await answer?["n"] == 42)
        }
    }

    @Test func `a write whose connection was ended by the server before its result is run again`() async throws {
        try await Self.withDatabase { database, url async throws in
            let lock = try await HeldLock(url)
            async let answer = database.execute("INSERT INTO items SELECT 1 FROM pg_advisory_xact_lock(7)")
            try await terminateWhenRunning("pg_advisory_xact_lock", url)
            await lock.release()
            #expect(try await answer == 1)
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 1)
        }
    }

    @Test func `a write whose connection just broke is not run again, because it may have happened`() async throws {
        try await Self.withBreakableLink { database, link, url in
            try await database.execute("CREATE TABLE items (id int)")
            let lock = try await HeldLock(url)
            async let answer = database.execute("INSERT INTO items SELECT 1 FROM pg_advisory_xact_lock(7)")
            try await eventually { try await connectionsFromOutside(url, running: "INSERT INTO items") == 1 }
            link.cut()
            do {
                _ = try await answer
                Issue.record("an answer came over a cut link")
            } catch let error as ConnectionLost {
                #expect(error.mayHaveHappened)
            }
            await lock.release()
            try await eventually { try await connectionsFromOutside(url, running: "INSERT INTO items") == 0 }
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 1)
        }
    }

    @Test func `a read whose connection just broke is run again`() async throws {
        try await Self.withBreakableLink { database, link, url in
            let lock = try await HeldLock(url)
            async let answer = database.queryOne("SELECT pg_advisory_xact_lock(7), 42 AS n")
            try await eventually { try await connectionsFromOutside(url, running: "pg_advisory_xact_lock") == 1 }
            link.cut()
            await lock.release()
            #expect(try await answer?["n"] == 42)
        }
    }

    @Test func `a commit whose answer is lost is its own error, although it may have happened`() async throws {
        try await Self.withBreakableLink { database, link, url in
            try await database.execute("CREATE TABLE items (id int)")
            try await database.execute(
                """
                CREATE FUNCTION wait_for_lock() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$
                """)
            try await database.execute(
                """
                CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION wait_for_lock()
                """)
            let lock = try await HeldLock(url)
            async let work: Void = database.transaction { (transaction: borrowing Transaction) async throws in
                _ = try await transaction.execute("INSERT INTO items VALUES (1)")
            }
            try await eventually { try await connectionsFromOutside(url, running: "COMMIT") == 1 }
            link.cut()
            do {
                try await work
                Issue.record("an answer came over a cut link")
            } catch is CommitOutcomeUnknown {}
            await lock.release()
            try await eventually { try await connectionsFromOutside(url, running: "COMMIT") == 0 }
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 1)
        }
    }

    @Test func `while the server is away tasks wait, and go on when it is back`() async throws {
        try await Self.withBreakableLink { database, link, _ in
            try await database.ping()
            link.isOpen = false
            link.cut()
            let answered = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let row = try await database.queryOne("SELECT \(number) AS n")
                        #expect(try row?["n"] == number)
                        answered.add()
                    }
                }
                try await eventually { link.refused >= 2 }
                #expect(answered.count == 0)
                link.isOpen = true
                try await group.waitForAll()
            }
            #expect(answered.count == 20)
        }
    }

    @Test func `a transaction that lost its connection before the commit runs again`() async throws {
        try await Self.withDatabase { database, url async throws in
            let runs = Tally()
            try await database.transaction { (transaction: borrowing Transaction) async throws in
                let run = runs.add()
                try await transaction.execute("INSERT INTO items VALUES (\(Int32(run)))")
                if run == 1 { try await transaction.execute("SELECT pg_terminate_backend(pg_backend_pid())") }
            }
            #expect(runs.count == 2)
            let ids = try await database.query("SELECT id FROM items").map { try $0[0] as Int }
            #expect(ids == [2])
        }
    }

    @Test func `a connection lost during COMMIT is its own error and nothing runs again`() async throws {
        try await Self.withDatabase { database, url async throws in
            try await database.execute(
                """
                CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$
                """)
            try await database.execute(
                """
                CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION die()
                """)
            let runs = Tally()
            await #expect(throws: CommitOutcomeUnknown.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    runs.add()
                    try await transaction.execute("INSERT INTO items VALUES (1)")
                }
            }
            #expect(runs.count == 1)
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 0)
        }
    }

    @Test func `reads and transactions of many tasks come through while connections are ended again and again`()
        async throws
    {
        try await Self.withDatabase(poolMax: 3) { database, url async throws in
            let isDone = Tally()
            let done = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for number in 0..<40 {
                            let id = Int32(task * 1000 + number)
                            // Whoever repeats a write makes it recognisable: here by its key.
                            try await Retry(attempts: 20)(while: { $0 is ConnectionLost || $0 is CommitOutcomeUnknown })
                            {
                                try await database.transaction { (transaction: borrowing Transaction) async throws in
                                    let query: Query = "INSERT INTO items VALUES (\(id)) ON CONFLICT DO NOTHING"
                                    _ = try await transaction.execute(query)
                                }
                            }
                            try await Retry(attempts: 20)(while: { $0 is ConnectionLost }) {
                                let row = try await database.queryOne("SELECT id FROM items WHERE id = \(id)")
                                #expect(try row?[0] == id)
                            }
                        }
                        done.add()
                    }
                }
                group.addTask {
                    while isDone.count == 0 {
                        _ = try await Self.terminateAll(url)
                        try await EventLoop.sleep(for: .milliseconds(20))
                    }
                }
                try await eventually(within: .seconds(60)) { done.count == 8 }
                isDone.add()
                try await group.waitForAll()
            }
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 320)
        }
    }
}

private func terminateWhenRunning(_ text: String, _ url: String) async throws {
    let name = databaseName(url)
    try await withOutsider { outsider in
        try await eventually {
            try await outsider.query(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = \(name) AND state = 'active' AND position(\(text) IN query) > 0
                """
            ).count > 0
        }
    }
}
