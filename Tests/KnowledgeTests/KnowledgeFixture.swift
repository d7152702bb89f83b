import Documents
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
        embedder: Embedder? = nil, parser: Parser = .here, users: ConfigUsers = .none,
        policy: Knowledge.Policy = Knowledge.Policy(), _ body: @escaping @Sendable (Fixture) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh(migrations: ["knowledge"], extra: MessagingSchema.migrations) { database in
            let (workspace, other) = (WorkspaceID(), WorkspaceID())
            let people: [String: Principal] = [
                "ann": person([workspace: .owner]), "max": person([workspace: .manager]),
                "vera": person([workspace: .viewer]), "otto": person([other: .owner]), "admin": person([:], .admin),
                "nobody": person([:]),
            ]
            let log = Log(program: "knowledge", least: .error)
            let knowledge = Knowledge(
                database: database, embedder: embedder, parser: parser, users: users, policy: policy, log: log)
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

    func upload(
        _ file: [UInt8], _ name: String, fields: [(String, String)] = [], token: String = "ann"
    ) async -> ClientResponse {
        var body: [UInt8] = []
        for (name, value) in fields {
            body += Array("--b\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n".utf8)
        }
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\(name)\"\r\n\r\n"
        body += Array(head.utf8) + file + Array("\r\n--b--\r\n".utf8)
        var headers = Headers()
        headers.set("Content-Type", "multipart/form-data; boundary=b")
        return await client.send(.post, "/api/v1/knowledge/upload", headers: headers, body: body, token: token)
    }

    /// How many rows these tables have together.
    func rows(_ tables: Query) async throws -> Int {
        try await database.queryOne("SELECT \(fragment: tables) AS n")?.decode("n", as: Int.self) ?? -1
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

extension Parser {
    /// In this very process.
    static let here = Parser { file, name, pages in
        var limits = DocumentLimits()
        if let pages { limits.pagesRead = pages }
        return try Documents.parse(file, name: name, limits: limits)
    }
}

extension ClientResponse {
    var code: String? { (try? json())?["error"]?["code"]?.string }
}
