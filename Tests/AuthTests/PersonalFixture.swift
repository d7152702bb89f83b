import Access
import HTTP
import Messaging
import Passwords
import Pictures
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Auth

/// Auth's real router on a fresh database, with what people do with their own accounts.
struct PersonalRig: Sendable {
    let client: TestClient
    let personal: Personal
    var database: Database { personal.database }

    static let password = "correct horse battery"

    static func with(
        policy change: @escaping @Sendable (inout Personal.Policy) -> Void = { _ in },
        _ body: @escaping @Sendable (PersonalRig) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh(migrations: ["auth"], extra: MessagingSchema.migrations) { database in
            let accounts = Accounts(
                database: database,
                passwords: try .ofTest(),
                keys: SigningKeys(database: database, secret: String(repeating: "k", count: 32)),
                settings: .init(issuer: "https://test", audience: "switchboard"))
            try await accounts.keys.refresh()
            var policy = Personal.Policy()
            change(&policy)
            let personal = Personal(
                accounts: accounts,
                pictures: Pictures(pool: Blocking(threads: 2, queueMax: 16), program: authProgram), policy: policy,
                log: Log(program: "auth", least: .error))
            let router = Router(
                Routes.list(accounts) + personal.routes, program: "auth",
                authenticate: { request in
                    guard let token = request.bearerToken else { throw Problem.unauthorized() }
                    let keys = try KeySet(jwks: accounts.keys.published)
                    do {
                        return try keys.verify(token, now: .now(), issuer: "https://test", audience: "switchboard")
                            .principal
                    } catch { throw Problem.unauthorized() }
                }, log: Log(program: "auth", least: .error))
            try await body(PersonalRig(client: TestClient(router), personal: personal))
        }
    }

    struct Person: Sendable {
        let id: UserID
        let workspace: WorkspaceID
        let client: TestClient
        let email: String
    }

    func register(_ name: String) async throws -> Person {
        let email = "\(name)@example.com"
        let answer = await client.post(
            "/api/auth/register/",
            json: [
                "email": .string(email), "password": .string(Self.password), "first_name": .string(name),
                "last_name": "Uncommon", "phone": "+14155550199",
            ] as JSON)
        return try await person(answer, email)
    }

    func person(_ answer: ClientResponse, _ email: String) async throws -> Person {
        let json = try answer.json()
        let id = try #require(json["user"]?["id"]?.string.flatMap { UserID($0) })
        let token = try #require(json["access"]?.string)
        let row = try await database.queryOne("SELECT workspace_id FROM memberships WHERE user_id = \(id)")
        return Person(
            id: id, workspace: try #require(try row?.decode("workspace_id", as: WorkspaceID.self)),
            client: client.with(token: token), email: email)
    }

    func logIn(_ email: String, cancels: Bool? = nil) async -> ClientResponse {
        var body: JSONObject = ["email": .string(email), "password": .string(Self.password)]
        if let cancels { body["cancel_deletion"] = .bool(cancels) }
        return await client.post("/api/auth/login/", json: .object(body))
    }

    func join(_ user: UserID, _ workspace: WorkspaceID, as role: WorkspaceRole) async throws {
        _ = try await database.execute(
            """
            INSERT INTO memberships (workspace_id, user_id, role) VALUES (\(workspace), \(user), \(role.rawValue))
            """)
    }
}
