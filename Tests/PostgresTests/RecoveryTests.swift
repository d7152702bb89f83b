import Postgres
import Runtime
import Shared
import TestSupport
import Testing

/// Connections break: by an operator, by a restart, in the worst moment.
@Suite struct RecoveryTests {
    private static func withDatabase<Value: Sendable>(
        poolMax: Int = 2, _ body: @escaping @Sendable (Database) async throws -> Value
    ) async throws -> Value {
        try await TestDatabase.fresh(poolMax: poolMax) { database async throws in
            try await database.execute("CREATE TABLE items (id int PRIMARY KEY)")
            return try await body(database)
        }
    }

    /// Ends every connection to the database but the one that asks.
    private static func terminateAll(_ name: String) async throws -> Int {
        try await withOutsider { outsider in
            try await outsider.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \(name)").count
        }
    }

    @Test func `idle connections that were ended are replaced`() async throws {
        try await Self.withDatabase { database async throws in
            let name: String = try #require(try await database.queryOne("SELECT current_database()"))[0]
            for number in 0..<5 {
                #expect(try await Self.terminateAll(name) > 0)
                try await database.execute("INSERT INTO items VALUES (\(Int32(number)))")
            }
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 5)
        }
    }

    @Test func `a read that was under way is run again`() async throws {
        try await Self.withDatabase { database async throws in
            let name: String = try #require(try await database.queryOne("SELECT current_database()"))[0]
            async let answer = database.queryOne("SELECT pg_sleep(0.3), 42 AS n")
            try await terminateWhenRunning("pg_sleep", in: name)
            #expect(try await answer?["n"] == 42)
        }
    }

    @Test func `a write that was under way is not run again by itself`() async throws {
        try await Self.withDatabase { database async throws in
            let name: String = try #require(try await database.queryOne("SELECT current_database()"))[0]
            async let answer = database.execute("INSERT INTO items SELECT 1 FROM pg_sleep(30)")
            try await terminateWhenRunning("pg_sleep", in: name)
            do {
                _ = try await answer
                Issue.record("the write came through")
            } catch let error as ConnectionLost {
                #expect(error.wasSent)
            }
            #expect(try await database.queryOne("SELECT count(*) FROM items")?[0] == 0)
        }
    }

    @Test func `a transaction that lost its connection before the commit runs again`() async throws {
        try await Self.withDatabase { database async throws in
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
        try await Self.withDatabase { database async throws in
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

    @Test func `reads and transactions of many tasks come through while connections are ended again and again`() async throws {
        try await Self.withDatabase(poolMax: 3) { database async throws in
            let name: String = try #require(try await database.queryOne("SELECT current_database()"))[0]
            let isDone = Tally()
            let done = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for number in 0..<40 {
                            let id = Int32(task * 1000 + number)
                            // Whoever repeats a write makes it recognisable: here by its key.
                            try await Retry(attempts: 20)(while: { $0 is ConnectionLost || $0 is CommitOutcomeUnknown }) {
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
                        _ = try await Self.terminateAll(name)
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

private func terminateWhenRunning(_ text: String, in name: String) async throws {
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
