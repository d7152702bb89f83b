import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@Suite struct DatabaseTests {
    @Test func `many tasks share few connections, and each gets its own answer or error`() async throws {
        try await TestDatabase.fresh(poolMax: 2) { database async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        if number % 10 == 3 {
                            do {
                                _ = try await database.query("SELECT \(number) / 0")
                                Issue.record("dividing by zero worked")
                            } catch let error as PostgresError {
                                #expect(error.sqlState == "22012")
                            }
                        } else {
                            let row = try await database.queryOne("SELECT \(number) AS n")
                            #expect(try row?["n"] == number)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await connections(of: database) <= 2)
        }
    }

    @Test func `a pipeline is one implicit transaction`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await database.execute("CREATE TABLE items (id int PRIMARY KEY)")
            let answers = try await database.pipeline([
                "INSERT INTO items VALUES (1)", "INSERT INTO items VALUES (2)", "SELECT count(*) AS n FROM items",
            ])
            #expect(answers.map(\.affected) == [1, 1, 1])
            #expect(try answers[2][0]["n"] == 2)
            await #expect(throws: PostgresError.self) {
                try await database.pipeline(["INSERT INTO items VALUES (3)", "INSERT INTO items VALUES (1)"])
            }
            #expect(try await database.queryOne("SELECT count(*) AS n FROM items")?["n"] == 2)
            #expect(try await database.pipeline([]).isEmpty)
        }
    }

    @Test func `an error carries what a handler decides by`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await database.execute(
                "CREATE TABLE users (email text CONSTRAINT users_email_key UNIQUE CHECK (email <> ''))")
            try await database.execute("INSERT INTO users VALUES ('a@b.c')")
            let query: Query = "INSERT INTO users VALUES ('a@b.c')"
            let error = try await #require(throws: PostgresError.self) {
                try await database.execute(query.named("users.insert"))
            }
            #expect(error.isUniqueViolation("users_email_key") && error.isUniqueViolation())
            #expect(!error.isUniqueViolation("other") && !error.isCheckViolation())
            #expect(error.table == "users" && error.label == "users.insert")
            #expect(!error.description.contains("a@b.c"), "values stay out of logs")
        }
    }

    @Test func `a statement whose table changed is prepared again`() async throws {
        try await TestDatabase.fresh(poolMax: 1) { database async throws in
            try await database.execute("CREATE TABLE items (id int)")
            try await database.execute("INSERT INTO items VALUES (1)")
            func columns() async throws -> [String] {
                try await database.queryOne("SELECT * FROM items WHERE id = \(1 as Int32)")?.columnNames ?? []
            }
            #expect(try await columns() == ["id"])
            try await database.execute("ALTER TABLE items ADD COLUMN name text")
            #expect(try await columns() == ["id", "name"])
            try await database.execute("ALTER TABLE items ALTER COLUMN name TYPE int USING 1")
            let inside = try await database.transaction { (transaction: borrowing Transaction) async throws in
                try await transaction.queryOne("SELECT * FROM items WHERE id = \(1 as Int32)")?.columnNames
            }
            #expect(inside == ["id", "name"])
        }
    }

    @Test func `statements that vanished from the server are prepared again`() async throws {
        try await TestDatabase.fresh(poolMax: 1) { database async throws in
            for _ in 0..<2 {
                #expect(try await database.queryOne("SELECT \(7) AS n")?["n"] == 7)
                try await database.execute("DEALLOCATE ALL")
            }
            try await database.execute("CREATE TABLE items (id bigint)")
            for _ in 0..<2 {
                try await database.execute("INSERT INTO items VALUES (\(1))")
                try await database.execute("DEALLOCATE ALL")
            }
            #expect(try await database.queryOne("SELECT count(*) AS n FROM items")?["n"] == 2)
        }
    }

    @Test func `prepared statements do not pile up on the server`() async throws {
        try await TestDatabase.fresh(poolMax: 1) { database async throws in
            for number in 0..<400 {
                let row = try await database.queryOne("SELECT \(number) AS \(quoting: "n\(number)")")
                #expect(try row?[0] == number)
            }
            #expect(try await database.queryOne("SELECT 1 AS \(quoting: "n1")")?["n1"] == 1)
            let count: Int = try #require(try await database.queryOne("SELECT count(*) FROM pg_prepared_statements"))[0]
            // The query that counts is one, and what it pushed out goes after it.
            #expect(count > 200 && count <= 257)
        }
    }

    @Test func `who waits too long for a connection is told so`() async throws {
        try await TestDatabase.fresh(poolMax: 1, waitDeadline: .seconds(1)) { database async throws in
            try await database.transaction { (transaction: borrowing Transaction) async throws in
                try await transaction.execute("SELECT 1")
                let error = try await #require(throws: PoolTimeout.self) { try await database.query("SELECT 2") }
                #expect(error.cause == .waited(.seconds(1), lastFailure: nil))
                await #expect(throws: PoolTimeout.self) {
                    try await database.transaction { (_: borrowing Transaction) in }
                }
            }
            #expect(try await database.queryOne("SELECT 3 AS n")?["n"] == 3)
        }
    }

    @Test func `no more tasks wait than the queue takes`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitersMax: 3, waitDeadline: .seconds(20))
            let refused = try await database.transaction { (transaction: borrowing Transaction) async throws in
                try await transaction.execute("SELECT 1")
                return await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<10 {
                        group.addTask {
                            do {
                                _ = try await database.query("SELECT 2")
                                return false
                            } catch let error as PoolTimeout {
                                return error.cause == .queueFull(3)
                            } catch {
                                return false
                            }
                        }
                    }
                    var refused = 0
                    while refused < 7, await group.next() == true { refused += 1 }
                    group.cancelAll()
                    return refused
                }
            }
            #expect(refused == 7)
            await database.close()
        }
    }

    @Test func `a wrong name or password fails at once, a server that is not there at the deadline`() async throws {
        let server = try TestDatabase.serverURL()
        try await onLoop {
            let base = server.prefix(
                server.lastIndex(of: "/").map { server.distance(from: server.startIndex, to: $0) } ?? 0)
            let missing = Database(url: "\(base)/no_such_database_here", waitDeadline: .seconds(30))
            await #expect(throws: ConnectionRefused.self) { try await missing.ping() }
            await missing.close()
            let unusable = Database(url: "nonsense://")
            await #expect(throws: ConnectionRefused.self) { try await unusable.ping() }
            await unusable.close()
            let absent = Database(url: "postgresql://u@127.0.0.1:1/x", waitDeadline: .milliseconds(300))
            let error = try await #require(throws: PoolTimeout.self) { try await absent.ping() }
            #expect(error.description.contains("refused"))
            await absent.close()
        }
    }

    @Test func `a host name is looked up without blocking the loop`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let named = url.split(separator: "127.0.0.1", omittingEmptySubsequences: false).joined(
                separator: "localhost")
            let database = Database(url: named, waitDeadline: .seconds(30))
            try await database.ping()
            await database.close()
        }
    }

    @Test func `a closing database refuses newcomers and lets what is under way come to its end`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
            let lock = try await HeldLock(url)
            async let slow = database.queryOne("SELECT pg_advisory_xact_lock(7), 5 AS n")
            try await eventually { try await connectionsFromOutside(url, running: "pg_advisory_xact_lock") == 1 }
            // Runs at once up to its first wait.
            let closing = EventLoop.required().spawn { await database.close() }
            await #expect(throws: DatabaseClosed.self) { try await database.query("SELECT 1") }
            await lock.release()
            await closing.value
            #expect(try await slow?["n"] == 5)
            await database.close()
        }
    }

    @Test func `closing does not wait for ever`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
            let lock = try await HeldLock(url)
            async let slow = database.queryOne("SELECT pg_advisory_xact_lock(7)")
            try await eventually { try await connectionsFromOutside(url, running: "pg_advisory_xact_lock") == 1 }
            await database.close(within: .milliseconds(50))
            do {
                _ = try await slow
                Issue.record("an answer came although the lock is held")
            } catch {
                #expect(error is ConnectionLost || error is DatabaseClosed)
            }
            await lock.release()
        }
    }

    @Test func `the server ends a statement that takes too long`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, waitDeadline: .seconds(30), statementTimeout: .milliseconds(100))
            let error = try await #require(throws: PostgresError.self) {
                try await database.query("SELECT pg_sleep(30)")
            }
            #expect(error.isCanceled)
            #expect(try await database.queryOne("SELECT 1 AS n")?["n"] == 1)
            await database.close()
        }
    }

    @Test func `every loop has connections of its own`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
            try await testLoops.onEach { _ in
                for number in 0..<50 {
                    let row = try await database.queryOne("SELECT \(number) AS n")
                    #expect(try row?["n"] == number)
                }
            }
            #expect(try await connections(of: database) == testLoops.loops.count)
            await database.close()
        }
    }
}

@Suite struct CancellationTests {
    @Test func `a cancelled statement is stopped on the server and the connection is not used again`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
            let before: Int32 = try #require(try await database.queryOne("SELECT pg_backend_pid()"))[0]
            await #expect(throws: DeadlineExceeded.self) {
                try await withDeadline(.milliseconds(50)) { _ = try await database.query("SELECT pg_sleep(60)") }
            }
            try await eventually { try await connectionsFromOutside(url, running: "pg_sleep") == 0 }
            let after: Int32 = try #require(try await database.queryOne("SELECT pg_backend_pid()"))[0]
            #expect(before != after)
            await database.close()
        }
    }

    @Test func `a cancelled statement that ends soon costs nobody the connection`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
            let before: Int32 = try #require(try await database.queryOne("SELECT pg_backend_pid()"))[0]
            let lock = try await HeldLock(url)
            let cancelled = Tally()
            let task = EventLoop.required().spawn {
                do {
                    _ = try await database.query("SELECT pg_advisory_xact_lock(7)")
                } catch is CancellationError {
                    cancelled.add()
                } catch {}
            }
            try await eventually { try await connectionsFromOutside(url, running: "pg_advisory_xact_lock") == 1 }
            task.cancel()
            await task.value
            #expect(cancelled.count == 1)
            await lock.release()
            let row = try await database.queryOne("SELECT pg_backend_pid(), 7 AS n")
            #expect(try row?["n"] == 7)
            #expect(try row?[0] == before)
            await database.close()
        }
    }

    @Test func `statements of others behind a cancelled one still get their answers`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
            try await database.execute("CREATE TABLE items (id int)")
            let answered = Tally()
            let slow = EventLoop.required().spawn {
                do {
                    _ = try await database.query("SELECT pg_sleep(60)")
                } catch is CancellationError {
                    answered.add()
                } catch {}
            }
            try await eventually { try await connectionsFromOutside(url, running: "pg_sleep(60)") == 1 }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    group.addTask { try await database.execute("INSERT INTO items VALUES (\(Int32(number)))") }
                }
                slow.cancel()
                try await group.waitForAll()
            }
            await slow.value
            #expect(answered.count == 1)
            #expect(try await database.queryOne("SELECT count(*) AS n FROM items")?["n"] == 20)
            await database.close()
        }
    }

    @Test func `a cancelled transaction is rolled back and its connection discarded`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(30))
            try await database.execute("CREATE TABLE items (id int)")
            await #expect(throws: DeadlineExceeded.self) {
                try await withDeadline(.milliseconds(50)) {
                    try await database.transaction { (transaction: borrowing Transaction) async throws in
                        try await transaction.execute("INSERT INTO items VALUES (1)")
                        try await transaction.execute("SELECT pg_sleep(60)")
                    }
                }
            }
            #expect(try await database.queryOne("SELECT count(*) AS n FROM items")?["n"] == 0)
            try await eventually { try await connectionsFromOutside(url, running: "pg_sleep") == 0 }
            await database.close()
        }
    }

    @Test func `a task cancelled while it waits for a connection leaves the queue`() async throws {
        try await TestDatabase.freshURL { url async throws in
            let database = Database(url: url, poolMax: 1, waitDeadline: .seconds(60))
            try await database.transaction { (transaction: borrowing Transaction) async throws in
                try await transaction.execute("SELECT 1")
                await #expect(throws: DeadlineExceeded.self) {
                    try await withDeadline(.milliseconds(50)) { _ = try await database.query("SELECT 2") }
                }
            }
            #expect(try await database.queryOne("SELECT 3 AS n")?["n"] == 3)
            await database.close()
        }
    }
}
