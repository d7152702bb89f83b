import HTTP
import Messaging
import Passwords
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Auth

/// Auth's real router on a fresh database, with people in it. Revocations are looked up in the table auth writes, so what
/// a broker would tell the other programs holds here too.
struct Office: Sendable {
    let accounts: Accounts
    let database: Database
    let anyone: TestClient

    static let password = "correct horse battery"

    struct Person: Sendable {
        let id: UserID
        let email: String
        let token: String
        let refresh: String
        let client: TestClient
        /// The one they registered with.
        let workspace: WorkspaceID
    }

    static func open(_ body: @escaping @Sendable (Office) async throws -> Void) async throws {
        try await TestDatabase.fresh(migrations: ["auth"], extra: MessagingSchema.migrations) { database in
            let accounts = Accounts(
                database: database,
                passwords: try .ofTest(),
                keys: SigningKeys(database: database, secret: String(repeating: "k", count: 32)),
                settings: .init(issuer: "https://test", audience: "switchboard", publicURL: "https://test"))
            try await accounts.keys.refresh()
            let router = Router(
                Routes.list(accounts), program: "auth",
                authenticate: { request in try await principal(request, accounts) },
                idempotency: .postgres(database), log: Log(program: "auth", least: .error))
            try await body(Office(accounts: accounts, database: database, anyone: TestClient(router)))
        }
    }

    private static func principal(_ request: Request, _ accounts: Accounts) async throws -> Principal {
        guard let token = request.bearerToken else { throw Problem.unauthorized() }
        let keys = try KeySet(jwks: accounts.keys.published)
        guard
            let claims = try? keys.verify(token, now: .now(), issuer: "https://test", audience: "switchboard")
        else { throw Problem.unauthorized() }
        return claims.principal
    }

    // MARK: People

    func register(
        _ email: String, role: Role = .user, first: String = "Ann", last: String = "Lee"
    ) async throws -> Person {
        let answer = await anyone.post(
            "/api/auth/register/",
            json: [
                "email": .string(email), "password": .string(Self.password), "first_name": .string(first),
                "last_name": .string(last), "role": .string(role.rawValue),
            ])
        return try person(email, answer, 201)
    }

    func logIn(_ email: String) async throws -> Person {
        try person(email, await anyone.post("/api/auth/login/", json: Self.credentials(email)), 200)
    }

    static func credentials(_ email: String) -> JSON {
        ["email": .string(email), "password": .string(password)]
    }

    private func person(_ email: String, _ answer: ClientResponse, _ status: Int) throws -> Person {
        try #require(answer.status == status, "\(answer.text)")
        let json = try answer.json()
        let token = try #require(json["access"]?.string)
        let keys = try KeySet(jwks: accounts.keys.published)
        let claims = try keys.verify(token, now: .now(), issuer: "https://test", audience: "switchboard")
        return Person(
            id: claims.principal.user, email: email, token: token, refresh: json["refresh"]?.string ?? "",
            client: anyone.with(token: token),
            workspace: claims.principal.ownWorkspace ?? WorkspaceID(high: 0, low: 0))
    }

    func admin() async throws -> Person {
        let email = try #require(EmailAddress("root@example.com"))
        _ = try await accounts.createSuperuser(email, password: Self.password)
        return try await logIn(email.text)
    }

    /// Somebody the admin made staff.
    func staff(_ admin: Person, _ email: String = "staff@example.com") async throws -> Person {
        let person = try await register(email, first: "Stan")
        let made = await admin.client.patch("/api/users/users/\(person.id.text)/", json: ["is_staff": true])
        try #require(made.status == 200, "\(made.text)")
        return try await logIn(email)
    }

    // MARK: Looking

    func revoked() async throws -> Set<String> {
        Set(try await database.query("SELECT kind || ':' || id::text AS name FROM revocations").map { try $0["name"] })
    }

    /// Events told so far, of one topic.
    func events(_ topic: String) async throws -> [(type: String, json: JSON)] {
        try await database.query(
            """
            SELECT type, payload FROM outbox WHERE topic = \(topic) AND payload IS NOT NULL ORDER BY seq
            """
        ).map { row in
            let (type, payload): (String, String) = (try row["type"], try row["payload"])
            return (type, try JSON.parse(payload))
        }
    }

    func trail(_ admin: Person, _ query: String = "") async throws -> [JSON] {
        let answer = await admin.client.get("/api/users/audit/?\(query)")
        try #require(answer.status == 200, "\(answer.text)")
        return try answer.json()["results"]?.array ?? []
    }
}

extension ClientResponse {
    var errors: [String] { (try? json())?["errors"]?.object?.names ?? [] }
    func ids(_ name: String = "id") throws -> [String] {
        try json()["results"]?.array?.compactMap { $0[name]?.string } ?? []
    }
}
