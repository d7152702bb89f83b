import HTTP
import Messaging
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Knowledge

/// The program's real router over a database of its own, and the people who ask.
struct Fixture: Sendable {
    let database: Database
    let knowledge: Knowledge
    let client: TestClient
    /// Where ann is owner, max manager and vera viewer.
    let workspace: WorkspaceID
    /// Where otto is owner.
    let other: WorkspaceID

    static func run(
        embedder: Embedder = .builtIn, _ body: @escaping @Sendable (Fixture) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh(migrations: ["knowledge"], extra: MessagingSchema.migrations) { database in
            let (workspace, other) = (WorkspaceID(), WorkspaceID())
            let people: [String: Principal] = [
                "ann": person([workspace: .owner]), "max": person([workspace: .manager]),
                "vera": person([workspace: .viewer]), "otto": person([other: .owner]), "admin": person([:], .admin),
                "nobody": person([:]),
            ]
            let log = Log(program: "knowledge", least: .error)
            let knowledge = Knowledge(database: database, embedder: embedder, log: log)
            let router = Router(
                knowledge.routes, program: "knowledge",
                authenticate: { request in
                    guard let person = request.bearerToken.flatMap({ people[$0] }) else { throw Problem.unauthorized() }
                    return person
                }, idempotency: .postgres(database), log: log, parts: { [] })
            try await body(
                Fixture(
                    database: database, knowledge: knowledge, client: TestClient(router, token: "ann"),
                    workspace: workspace, other: other))
        }
    }

    private static func person(_ workspaces: [WorkspaceID: WorkspaceRole], _ role: Role = .user) -> Principal {
        Principal(user: UserID(), role: role, workspaces: workspaces, expires: .now() + .seconds(900))
    }

    /// Adds an entry and returns its id.
    @discardableResult
    func add(_ title: String, _ content: String, business: String? = nil, token: String = "ann") async throws -> Int64 {
        var body: JSONObject = ["title": .string(title), "content": .string(content)]
        body["business_id"] = business.map { .string($0) }
        let response = await client.post("/api/v1/knowledge", json: .object(body), token: token)
        #expect(response.status == 201, "\(response.text)")
        return try #require(try response.json()["entry"]?["id"]?.int64)
    }

    /// Creates a configuration and returns its id.
    func addConfig(_ name: String, token: String = "ann") async throws -> String {
        let response = await client.post(
            "/api/v1/config/business", json: ["name": .string(name), "type": "support"], token: token)
        #expect(response.status == 201, "\(response.text)")
        return try #require(try response.json()["config"]?["id"]?.string)
    }

    /// Types and keys of what was published, in order.
    func published() async throws -> [String] {
        try await database.query("SELECT type, key FROM outbox ORDER BY id").map { row in
            let (type, key): (String, String) = (try row["type"], try row["key"])
            return "\(type) \(key)"
        }
    }
}

extension ClientResponse {
    var code: String? { (try? json())?["error"]?["code"]?.string }
}
