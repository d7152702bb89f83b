import Messaging
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@Suite struct ErasureTests {
    private func withThings(_ body: @escaping @Sendable (Database) async throws -> Void) async throws {
        let table = try #require(
            Migration(
                "things/0001-things.sql", sql: "CREATE TABLE things (id bigint PRIMARY KEY, workspace_id uuid NOT NULL)"
            ))
        try await TestDatabase.fresh(extra: MessagingSchema.migrations + [table], body)
    }

    private static func steps(batch: Int) -> [ErasureStep] {
        [
            .workspace("things") { workspace, tx in
                try await tx.execute(
                    """
                    DELETE FROM things WHERE id IN (
                        SELECT id FROM things WHERE workspace_id = \(workspace) LIMIT \(batch))
                    """)
            }
        ]
    }

    private static func fill(_ workspace: WorkspaceID, from first: Int, _ count: Int, _ database: Database) async throws
    {
        _ = try await database.execute(
            """
            INSERT INTO things SELECT n, \(workspace) FROM generate_series(\(first)::bigint, \(first + count - 1)::bigint) n
            """)
    }

    @Test func `everything goes in batches, others keep theirs, and one report says how much`() async throws {
        try await withThings { database in
            let (mine, other) = (WorkspaceID(), WorkspaceID())
            try await Self.fill(mine, from: 1, 25, database)
            try await Self.fill(other, from: 100, 7, database)
            try await Leftovers.erase(.workspace(mine), steps: Self.steps(batch: 10), program: "tests", database)
            let left = try await database.query("SELECT DISTINCT workspace_id FROM things").map {
                try $0.decode("workspace_id", as: WorkspaceID.self)
            }
            #expect(left == [other])
            let reports = try await Self.reports(database)
            #expect(reports.count == 1)
            #expect(reports.first?.subject == .workspace(mine))
            #expect(reports.first?.counts["things"] == 25)
        }
    }

    private static func reports(_ database: Database) async throws -> [ErasureReport] {
        try await database.query(
            "SELECT type, payload FROM outbox WHERE topic = 'auth.erasures' ORDER BY seq"
        ).map { row in
            let event = try ErasureEvent(type: row["type"], json: JSON.parse(row.decode("payload", as: String.self)))
            switch event {
            case .reported(let report): return report
            }
        }
    }

    @Test func `a replica that dies half way is taken over, and nothing is counted twice`() async throws {
        try await withThings { database in
            let mine = WorkspaceID()
            try await Self.fill(mine, from: 1, 30, database)
            struct Died: Error {}
            let batches = Guarded(0)
            let dying: [ErasureStep] = [
                .workspace("things") { workspace, tx in
                    let place = batches.withLock { count in
                        defer { count += 1 }
                        return count
                    }
                    if place == 2 { throw Died() }
                    return try await tx.execute(
                        """
                        DELETE FROM things WHERE id IN (
                            SELECT id FROM things WHERE workspace_id = \(workspace) LIMIT 10)
                        """)
                }
            ]
            let erasing = Erasing(
                program: "tests", database: database, steps: dying, log: Log(program: "tests", least: .error))
            try await database.transaction { (tx: borrowing Transaction) in try await tx.erase(.workspace(mine)) }
            _ = try await erasing.runOne()
            let left = try await database.queryOne("SELECT count(*) AS n FROM things")
            #expect(try left?.decode("n", as: Int.self) == 10)
            try await Leftovers.erase(.workspace(mine), steps: Self.steps(batch: 10), program: "tests", database)
            let reports = try await Self.reports(database)
            #expect(reports.last?.counts["things"] == 30)
        }
    }

    @Test func `who is asked again reports again`() async throws {
        try await withThings { database in
            let mine = WorkspaceID()
            for _ in 0..<2 {
                try await Leftovers.erase(.workspace(mine), steps: Self.steps(batch: 10), program: "tests", database)
            }
            try await eventually("a second report") {
                try await Leftovers.publishAll(database)
                let erasing = Erasing(
                    program: "tests", database: database, steps: Self.steps(batch: 10),
                    log: Log(program: "tests", least: .error))
                _ = try await erasing.runOne()
                return try await Self.reports(database).count == 2
            }
        }
    }

    @Test func `events that speak of it go once they are published, those that say it is gone stay`() async throws {
        try await withThings { database in
            let (mine, other) = (WorkspaceID(), WorkspaceID())
            try await database.transaction { (tx: borrowing Transaction) in
                tx.publish(WorkspaceEvent.created(WorkspaceSnapshot(id: mine, name: "Mine", ownerID: UserID())))
                tx.publish(WorkspaceEvent.created(WorkspaceSnapshot(id: other, name: "Other", ownerID: UserID())))
                tx.publish(WorkspaceEvent.deleted(id: mine))
            }
            let erasing = Erasing(
                program: "tests", database: database, steps: [], log: Log(program: "tests", least: .error))
            try await database.transaction { (tx: borrowing Transaction) in try await tx.erase(.workspace(mine)) }
            _ = try await erasing.runOne()
            // Nothing is published yet: it waits.
            #expect(try await Leftovers.tables(holding: "Mine", database).values.reduce(0, +) == 1)
            #expect(try await Self.reports(database).isEmpty)
            try await Leftovers.erase(.workspace(mine), steps: [], program: "tests", database)
            #expect(try await Leftovers.tables(holding: "Mine", database).isEmpty)
            #expect(try await Leftovers.tables(holding: "Other", database).values.reduce(0, +) == 1)
            let types = try await database.query("SELECT type FROM outbox WHERE key = \(mine.text) ORDER BY seq").map {
                try $0.decode("type", as: String.self)
            }
            #expect(types == ["auth.workspace.deleted.v1", "auth.erasure.reported.v1"])
        }
    }

    @Test func `an order to a call, which names just the call, goes with its workspace`() async throws {
        try await withThings { database in
            let (mine, call, other) = (WorkspaceID(), CallID(), CallID())
            let ref = CallRef(callID: call, workspaceID: mine, direction: .inbound)
            let note = NoteSnapshot(id: 1, callID: call, note: "x", authorID: UserID(), createdAt: .now())
            try await database.transaction { (tx: borrowing Transaction) in
                tx.publish(CommandEvent(callID: call, action: .say, message: "Dear Zanzibar"))
                tx.publish(CommandEvent(callID: other, action: .say, message: "Dear others"))
                tx.publish(CallEvent.noteAdded(ref, note))
            }
            try await Leftovers.erase(.workspace(mine), steps: [], program: "tests", database)
            #expect(try await Leftovers.tables(holding: call.text, database).isEmpty)
            #expect(try await Leftovers.tables(holding: "others", database).count == 1)
        }
    }

    @Test func `kept answers and dead letters that speak of it go`() async throws {
        try await withThings { database in
            let mine = UserID()
            _ = try await database.execute(
                """
                INSERT INTO idempotency_keys (scope, key, fingerprint, status, body)
                VALUES (\(mine.text + " POST /x"), 'one', '\\x00', 201, \(Array("{}".utf8))),
                    ('someone POST /y', 'two', '\\x00', 201, \(Array("{\"id\":\"\(mine.text)\"}".utf8))),
                    ('someone POST /z', 'three', '\\x00', 201, \(Array("{}".utf8)))
                """)
            _ = try await database.execute(
                """
                INSERT INTO dead_letters (event, consumer, topic, partition, record_offset, key, type, source, time,
                    payload, error, attempts)
                VALUES (gen_random_uuid(), 'tests', 'x', 0, 0, 'k', 'x.created.v1', 's', now(),
                    \(Array("{\"user_id\":\"\(mine.text)\"}".utf8)), 'e', 5)
                """)
            try await Leftovers.erase(.user(mine), steps: [], program: "tests", database)
            #expect(
                try await Leftovers.tables(holding: mine.text, except: ["erasures", "outbox"], database)
                    .filter { !$0.key.hasPrefix("outbox") }.isEmpty)
            let kept = try await database.query("SELECT key FROM idempotency_keys")
            #expect(kept.count == 1)
        }
    }

    /// The race that matters: an event is being handled while its workspace is deleted.
    @Test func `who has asked and written is waited for; who asks later is told`() async throws {
        try await withThings { database in
            let mine = WorkspaceID()
            let hasBegun = Guarded(false)
            let late = EventLoop.required().spawn("late event") {
                try? await database.transaction { (tx: borrowing Transaction) in
                    guard try await !tx.isErased(.workspace(mine)) else { return }
                    hasBegun.withLock { $0 = true }
                    // Long enough that the deletion below has to wait for this.
                    _ = try await tx.query("SELECT pg_sleep(0.3)")
                    _ = try await tx.execute("INSERT INTO things VALUES (1, \(mine))")
                }
            }
            try await eventually("the late event has asked") { hasBegun.withLock { $0 } }
            try await Leftovers.erase(.workspace(mine), steps: Self.steps(batch: 10), program: "tests", database)
            await late.value
            let left = try await database.queryOne("SELECT count(*) AS n FROM things")
            #expect(try left?.decode("n", as: Int.self) == 0)
            let told = try await database.transaction { (tx: borrowing Transaction) in
                try await tx.isErased(.workspace(mine))
            }
            #expect(told)
        }
    }
}
