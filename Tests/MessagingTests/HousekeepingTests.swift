import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Messaging

@Suite(.timeLimit(.minutes(2))) struct HousekeepingTests {
    private func partitions(_ database: Database) async throws -> [String] {
        try await database.query(
            """
            SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'outbox'::regclass ORDER BY 1
            """
        ).map { try $0["name"] }
    }

    @Test func `there is a partition for today and the days to come`() async throws {
        try await Fixture.run { fixture in
            let before = try await partitions(fixture.database)
            #expect(before.count == 8 && before.contains("outbox_rest"))
            try await RelayStore.keepHouse(fixture.database)
            #expect(try await partitions(fixture.database) == before)
            let place = try await fixture.database.queryOne("SELECT tableoid::regclass::text AS name FROM outbox")
            #expect(place == nil)
            try await fixture.publish(0..<1)
            let name = try await fixture.database.queryOne("SELECT tableoid::regclass::text AS name FROM outbox")
            #expect(try name?.decode("name", as: String.self) != "outbox_rest")
        }
    }

    @Test func `an old day goes when all of it is published, and not before`() async throws {
        try await Fixture.run { fixture in
            let database = fixture.database
            _ = try await database.query(
                "CREATE TABLE outbox_20200101 (LIKE outbox INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
            _ = try await database.query(
                """
                ALTER TABLE outbox ATTACH PARTITION outbox_20200101
                FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00')
                """)
            try await database.execute(
                """
                INSERT INTO outbox (id, topic, key, type, payload, created_at)
                VALUES (gen_random_uuid(), 'telephony.leads', 'k', 't', '{}', '2020-01-01 12:00+00')
                """)
            try await RelayStore.keepHouse(database)
            #expect(try await partitions(database).contains("outbox_20200101"))
            try await database.execute("UPDATE outbox_relay SET published = 1")
            try await RelayStore.keepHouse(database)
            #expect(try await !partitions(database).contains("outbox_20200101"))
        }
    }

    @Test func `a row whose day has no partition is kept and published like any other`() async throws {
        try await Fixture.run { fixture in
            try await fixture.database.execute(
                """
                INSERT INTO outbox (id, topic, key, type, payload, created_at)
                VALUES (gen_random_uuid(), 'telephony.leads', 'k', 'tests.counted.v1', '{"key":"k","number":5}',
                    now() + interval '40 days')
                """)
            let relay = try await fixture.relay()
            try await eventually(within: .seconds(40), "it is there") { try await fixture.log().count == 1 }
            await relay.stop()
        }
    }

    @Test func `the inbox forgets after seven days`() async throws {
        try await Fixture.run { fixture in
            try await fixture.database.execute(
                """
                INSERT INTO inbox (event, consumer, at) SELECT gen_random_uuid(), 'c', now() - make_interval(hours => n)
                FROM generate_series(160, 176) AS n
                """)
            try await RelayStore.keepHouse(fixture.database)
            let count = try await fixture.database.queryOne("SELECT count(*) AS count FROM inbox")
            #expect(try count?.decode("count", as: Int.self) == 8)
        }
    }

    @Test func `the outbox's depth and age are what waits`() async throws {
        try await Fixture.run { fixture in
            #expect(try await RelayStore.depth(fixture.database) == (0, 0))
            try await fixture.publish(0..<3)
            let depth = try await RelayStore.depth(fixture.database)
            #expect(depth.rows == 3 && depth.age > 0 && depth.age < 60)
            try await fixture.database.execute("UPDATE outbox_relay SET published = 3")
            #expect(try await RelayStore.depth(fixture.database) == (0, 0))
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct IdempotencyTests {
    private let key = IdempotencyGuard.Key(scope: "user POST /x", key: "abc", fingerprint: [1, 2])
    private let answer = IdempotencyGuard.Stored(status: 201, headers: [("Location", "/x/1")], body: [0, 1, 255])

    @Test func `the first answer is kept and given again`() async throws {
        try await Fixture.run { fixture in
            let guarded = IdempotencyGuard.postgres(fixture.database)
            #expect(try await guarded.begin(key).isProceed)
            guard case .inProgress = try await guarded.begin(key) else { return fail("not in progress") }
            try await guarded.finish(key, answer)
            guard case .replay(let stored) = try await guarded.begin(key) else { return fail("no replay") }
            #expect(stored.status == 201 && stored.body == [0, 1, 255])
            #expect(stored.headers.map(\.0) == ["Location"] && stored.headers.map(\.1) == ["/x/1"])
        }
    }

    @Test func `the same key for something else is a mismatch, another scope is another key`() async throws {
        try await Fixture.run { fixture in
            let guarded = IdempotencyGuard.postgres(fixture.database)
            #expect(try await guarded.begin(key).isProceed)
            let other = IdempotencyGuard.Key(scope: key.scope, key: key.key, fingerprint: [9])
            guard case .mismatch = try await guarded.begin(other) else { return fail("no mismatch") }
            #expect(try await guarded.begin(.init(scope: "other", key: key.key, fingerprint: [9])).isProceed)
        }
    }

    @Test func `an abandoned key is free, a finished one is not`() async throws {
        try await Fixture.run { fixture in
            let guarded = IdempotencyGuard.postgres(fixture.database)
            _ = try await guarded.begin(key)
            try await guarded.abandon(key)
            #expect(try await guarded.begin(key).isProceed)
            try await guarded.finish(key, answer)
            try await guarded.abandon(key)
            guard case .replay = try await guarded.begin(key) else { return fail("no replay") }
        }
    }

    @Test func `of many at once one proceeds`() async throws {
        try await Fixture.run { fixture in
            let guarded = IdempotencyGuard.postgres(fixture.database)
            let key = key
            let count = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 { group.addTask { try await onLoop { try await guarded.begin(key).isProceed } } }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(count == 1)
        }
    }

    @Test func `a key whose program died is free after a minute, a day later it means nothing`() async throws {
        try await Fixture.run { fixture in
            let guarded = IdempotencyGuard.postgres(fixture.database)
            _ = try await guarded.begin(key)
            try await fixture.database.execute("UPDATE idempotency_keys SET at = now() - interval '2 minutes'")
            #expect(try await guarded.begin(key).isProceed)
            try await guarded.finish(key, answer)
            try await fixture.database.execute("UPDATE idempotency_keys SET at = now() - interval '25 hours'")
            #expect(try await guarded.begin(.init(scope: key.scope, key: key.key, fingerprint: [7])).isProceed)
            guard case .inProgress = try await guarded.begin(.init(scope: key.scope, key: key.key, fingerprint: [7]))
            else {
                return fail("not in progress")
            }
        }
    }

    private func fail(_ message: Comment) { Issue.record(message) }
}

extension IdempotencyGuard.Beginning {
    fileprivate var isProceed: Bool {
        if case .proceed = self { true } else { false }
    }
}
