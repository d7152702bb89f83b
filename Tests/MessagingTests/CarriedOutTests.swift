import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Messaging

/// A program that dies between a handler's commit and the keeping of its answer.
@Suite(.timeLimit(.minutes(2))) struct CarriedOutTests {
    private struct Died: Error {}

    /// The real guard, which loses every answer.
    private static func dying(_ database: Database) -> IdempotencyGuard {
        let real = IdempotencyGuard.postgres(database)
        return IdempotencyGuard(
            begin: real.begin, carryOut: real.carryOut, finish: { _, _ in throw Died() }, abandon: real.abandon)
    }

    private static func client(
        _ fixture: Fixture, _ idempotency: IdempotencyGuard? = nil,
        _ work: @escaping @Sendable (Database) async throws -> Void
    ) -> TestClient {
        let database = fixture.database
        let routes = [
            Route.get("/api/v1/things", "Things", access: .everyone) { _ in .empty(200) },
            Route.get("/api/v1/things/{thing}", "One", access: .everyone) { _ in .empty(200) },
            Route.post("/api/v1/things/make", "Make", access: .everyone, idempotent: true) { _ in
                try await work(database)
                return .empty(201)
            },
        ]
        return TestClient(
            Router(
                routes, program: "tests", idempotency: idempotency ?? dying(database),
                log: Log(program: "tests") { _ in }))
    }

    private static func send(_ client: TestClient) async -> ClientResponse {
        await client.post("/api/v1/things/make", json: [:], headers: ["Idempotency-Key": "k"])
    }

    /// The time after which nobody keeps the answer any more.
    private static func later(_ fixture: Fixture) async throws {
        try await fixture.database.execute(
            """
            UPDATE idempotency_keys SET at = at - interval '2 minutes',
                carried_out_at = carried_out_at - interval '2 minutes'
            """)
    }

    @Test func `what was committed is not done again, and its maker is told where to look`() async throws {
        try await Fixture.run { fixture in
            let client = Self.client(fixture) { database in
                try await database.transaction { (tx: borrowing Transaction) in
                    try await Fixture.writeDown(Counted("k", 1), tx)
                }
            }
            #expect(await Self.send(client).status == 201)
            let soon = await Self.send(client)
            #expect(soon.status == 409 && soon.headers["Retry-After"] == "1", "its answer may be on its way")
            try await Self.later(fixture)
            let repeated = await Self.send(client)
            #expect(repeated.status == 409)
            #expect(repeated.headers["Retry-After"] == nil)
            let text = repeated.text
            #expect(
                text.contains("CONFLICT") && text.contains("was carried out") && text.contains("GET /api/v1/things;"),
                "\(text)")
            #expect(try await fixture.effects() == [1])
        }
    }

    @Test func `a single statement and a transaction that only publishes count too`() async throws {
        for work: @Sendable (Database) async throws -> Void in [
            { try await $0.execute("INSERT INTO effects (key, number) VALUES ('k', 1)") },
            { try await $0.transaction { (tx: borrowing Transaction) in tx.publish(Counted("k", 1)) } },
        ] {
            try await Fixture.run { fixture in
                let client = Self.client(fixture, nil, work)
                #expect(await Self.send(client).status == 201)
                try await Self.later(fixture)
                #expect(await Self.send(client).text.contains("was carried out"))
            }
        }
    }

    @Test func `what only read, or was rolled back, may be tried again`() async throws {
        try await Fixture.run { fixture in
            let reading = Self.client(fixture) { database in
                _ = try await database.transaction { (tx: borrowing Transaction) in
                    try await tx.queryOne("SELECT count(*) AS count FROM effects")
                }
                throw Died()
            }
            #expect(await Self.send(reading).status == 500)
            try await Self.later(fixture)
            let failing = Self.client(fixture) { database in
                try await database.transaction { (tx: borrowing Transaction) in
                    try await Fixture.writeDown(Counted("k", 1), tx)
                    throw Died()
                }
            }
            #expect(await Self.send(failing).status == 500)
            try await Self.later(fixture)
            let working = Self.client(fixture, .postgres(fixture.database)) { database in
                try await database.transaction { (tx: borrowing Transaction) in
                    try await Fixture.writeDown(Counted("k", 2), tx)
                }
            }
            #expect(await Self.send(working).status == 201)
            #expect(await Self.send(working).headers["Idempotency-Replayed"] == "true")
            #expect(try await fixture.effects() == [2])
        }
    }

    @Test func `a refusal after a commit does not free the key`() async throws {
        try await Fixture.run { fixture in
            let client = Self.client(fixture) { database in
                try await database.execute("INSERT INTO effects (key, number) VALUES ('k', 1)")
                throw Problem.conflict("Too late.")
            }
            #expect(await Self.send(client).status == 409)
            try await Self.later(fixture)
            #expect(await Self.send(client).text.contains("was carried out"))
            #expect(try await fixture.effects() == [1])
        }
    }

    @Test func `another database's commits carry nothing`() async throws {
        try await Fixture.run { fixture in
            let url = fixture.url
            let client = Self.client(fixture) { _ in
                let other = Database(url: url, poolMax: 1, application: "tests")
                try await other.execute("INSERT INTO effects (key, number) VALUES ('k', 1)")
                await other.close()
                throw Died()
            }
            #expect(await Self.send(client).status == 500)
            let row = try await fixture.database.queryOne("SELECT carried_out_at IS NULL AS free FROM idempotency_keys")
            #expect(try row?.decode("free", as: Bool.self) == true)
        }
    }
}
