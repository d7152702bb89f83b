import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@Suite struct TransactionTests {
    private struct Regret: Error {}

    private static func withItems<Value: Sendable>(
        poolMax: Int = 4, _ body: @escaping @Sendable (Database) async throws -> Value
    ) async throws -> Value {
        try await TestDatabase.fresh(poolMax: poolMax) { database async throws in
            try await database.execute("CREATE TABLE items (id int PRIMARY KEY, value int NOT NULL DEFAULT 0)")
            return try await body(database)
        }
    }

    @Test func `what a transaction did is visible to others only after its commit`() async throws {
        try await Self.withItems { database async throws in
            let value = try await database.transaction { (transaction: borrowing Transaction) async throws in
                #expect(try await transaction.execute("INSERT INTO items VALUES (1)") == 1)
                #expect(try await transaction.queryOne("SELECT count(*) AS n FROM items")?["n"] == 1)
                #expect(try await count(database) == 0)
                return "done"
            }
            #expect(value == "done")
            #expect(try await count(database) == 1)
        }
    }

    @Test func `an error thrown by the body rolls everything back`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            let called = Tally()
            await #expect(throws: Regret.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    try await transaction.execute("INSERT INTO items VALUES (1)")
                    transaction.enqueue("INSERT INTO items VALUES (2)")
                    transaction.onCommit { called.add() }
                    throw Regret()
                }
            }
            #expect(try await count(database) == 0)
            #expect(called.count == 0)
        }
    }

    @Test func `a failed statement fails the transaction even when the body swallows its error`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            let error = try await #require(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    try await transaction.execute("INSERT INTO items VALUES (1)")
                    _ = try? await transaction.execute("INSERT INTO items VALUES (1)")
                    _ = try? await transaction.execute("INSERT INTO items VALUES (2)")
                }
            }
            #expect(error.isUniqueViolation("items_pkey"))
            #expect(try await count(database) == 0)
        }
    }

    @Test func `a rollback asked for in SQL is not taken for a commit`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            let called = Tally()
            await #expect(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    try await transaction.execute("INSERT INTO items VALUES (1)")
                    try await transaction.execute("ROLLBACK")
                    transaction.onCommit { called.add() }
                }
            }
            #expect(called.count == 0)
            #expect(try await count(database) == 0)
        }
    }

    @Test func `enqueued statements happen in the order of the program, before what follows them`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            let calls = Guarded<[Int]>([])
            try await database.transaction { (transaction: borrowing Transaction) async throws in
                transaction.enqueue("INSERT INTO items VALUES (2, 20)")
                transaction.enqueue("UPDATE items SET value = value + 1")
                transaction.onCommit { calls.withLock { $0.append(1) } }
                transaction.onCommit { calls.withLock { $0.append(2) } }
                try await transaction.execute("INSERT INTO items VALUES (1, 10)")
                #expect(try await transaction.queryOne("SELECT count(*) AS n FROM items")?["n"] == 2)
                transaction.enqueue("UPDATE items SET value = value * 2")
                #expect(calls.withLock { $0 } == [])
            }
            let values = try await database.query("SELECT value FROM items ORDER BY id").map { try $0[0] as Int }
            #expect(values == [20, 42])
            #expect(calls.withLock { $0 } == [1, 2])
        }
    }

    @Test func `a pipeline answers each of its statements, after what was enqueued`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            try await database.transaction { (transaction: borrowing Transaction) async throws in
                transaction.enqueue("INSERT INTO items VALUES (1, 10)")
                let answers = try await transaction.pipeline([
                    "SELECT value FROM items", "UPDATE items SET value = 11", "SELECT value FROM items",
                ])
                try #require(answers.count == 3)
                #expect(try answers[0].map { try $0[0] as Int } == [10])
                #expect(answers[1].affected == 1)
                #expect(try answers[2].map { try $0[0] as Int } == [11])
                #expect(try await transaction.pipeline([]).isEmpty)
            }
            let error = try await #require(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    _ = try await transaction.pipeline([
                        "UPDATE items SET value = 12", "INSERT INTO items VALUES (1)", "SELECT 1",
                    ])
                }
            }
            #expect(error.isUniqueViolation("items_pkey"))
            #expect(try await database.queryOne("SELECT value FROM items")?["value"] == 11)
        }
    }

    @Test func `an enqueued statement that fails fails the statement it travels with`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            let reached = Tally()
            let error = try await #require(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    transaction.enqueue("INSERT INTO items VALUES (1), (1)")
                    _ = try await transaction.query("SELECT 1")
                    reached.add()
                }
            }
            #expect(error.isUniqueViolation() && reached.count == 0)
            #expect(try await count(database) == 0)
        }
    }

    @Test func `enqueued statements alone are a transaction too`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            try await database.transaction { (transaction: borrowing Transaction) async throws in
                transaction.enqueue("INSERT INTO items VALUES (1)")
                transaction.enqueue("INSERT INTO items VALUES (2)")
            }
            #expect(try await count(database) == 2)
            await #expect(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    transaction.enqueue("INSERT INTO items VALUES (3)")
                    transaction.enqueue("INSERT INTO items VALUES (1)")
                }
            }
            #expect(try await count(database) == 2)
            try await database.transaction { (_: borrowing Transaction) in }
        }
    }

    @Test func `an enqueued statement that fails surfaces at commit and rolls everything back`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            let query: Query = "INSERT INTO items VALUES (1)"
            let error = try await #require(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    try await transaction.execute("INSERT INTO items VALUES (1)")
                    transaction.enqueue(query.named("items.second"))
                    transaction.enqueue("INSERT INTO items VALUES (5)")
                }
            }
            #expect(error.isUniqueViolation() && error.label == "items.second")
            #expect(try await count(database) == 0)
            #expect(try await database.queryOne("SELECT 1 AS n")?["n"] == 1)
        }
    }

    @Test func `a constraint checked at commit surfaces there`() async throws {
        try await Self.withItems(poolMax: 1) { database async throws in
            try await database.execute(
                "CREATE TABLE parts (item int REFERENCES items DEFERRABLE INITIALLY DEFERRED)")
            let error = try await #require(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    try await transaction.execute("INSERT INTO parts VALUES (99)")
                }
            }
            #expect(error.isForeignKeyViolation())
            #expect(try await database.queryOne("SELECT count(*) AS n FROM parts")?["n"] == 0)
        }
    }

    @Test func `serialization failures are run again until both happened`() async throws {
        try await Self.withItems { database async throws in
            try await database.execute("INSERT INTO items VALUES (1, 0)")
            let runs = Tally()
            let reads = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        try await database.transaction(isolation: .serializable) {
                            (transaction: borrowing Transaction) async throws in
                            runs.add()
                            let value: Int = try await transaction.queryOne("SELECT value FROM items")?[0] ?? -1
                            reads.add()
                            // Both have read before either writes.
                            try await eventually { reads.count >= 2 }
                            try await transaction.execute("UPDATE items SET value = \(value + 1)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.queryOne("SELECT value FROM items")?[0] == 2)
            #expect(runs.count >= 3)
        }
    }

    @Test func `a transaction that fails to serialize every time gives up after three runs`() async throws {
        try await Self.withItems { database async throws in
            let runs = Tally()
            let error = try await #require(throws: PostgresError.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    runs.add()
                    try await transaction.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")
                }
            }
            #expect(error.isSerializationFailure)
            #expect(runs.count == 3)
        }
    }

    @Test func `of two transactions in a deadlock both come through`() async throws {
        try await Self.withItems { database async throws in
            try await database.execute("INSERT INTO items VALUES (1, 0), (2, 0)")
            let locked = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (first, second) in [(1, 2), (2, 1)] {
                    group.addTask {
                        try await database.transaction { (transaction: borrowing Transaction) async throws in
                            try await transaction.execute("UPDATE items SET value = value + 1 WHERE id = \(first)")
                            locked.add()
                            try await eventually { locked.count >= 2 }
                            try await transaction.execute("UPDATE items SET value = value + 1 WHERE id = \(second)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            let values = try await database.query("SELECT value FROM items").map { try $0[0] as Int }
            #expect(values == [2, 2])
            #expect(locked.count >= 3)
        }
    }

    @Test func `more transactions than connections all get their turn`() async throws {
        try await Self.withItems(poolMax: 2) { database async throws in
            try await database.execute("INSERT INTO items VALUES (1, 0)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<60 {
                    group.addTask {
                        try await database.transaction { (transaction: borrowing Transaction) async throws in
                            try await transaction.execute("UPDATE items SET value = value + 1 WHERE id = 1")
                        }
                        _ = try await database.query("SELECT value FROM items")
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.queryOne("SELECT value FROM items")?[0] == 60)
        }
    }

    @Test func `a value that cannot be sent fails the transaction`() async throws {
        try await Self.withItems { database async throws in
            await #expect(throws: UnsendableValue.self) {
                try await database.transaction { (transaction: borrowing Transaction) async throws in
                    try await transaction.execute("INSERT INTO items VALUES (1)")
                    transaction.enqueue("SELECT \("\0")")
                }
            }
            #expect(try await count(database) == 0)
        }
    }
}

private func count(_ database: Database) async throws -> Int {
    try await database.queryOne("SELECT count(*) FROM items")?[0] ?? -1
}
