import Access
import HTTP
import Kafka
import Messaging
import Passwords
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Auth

/// Auth's real router on a fresh database, its tokens checked as every program checks them, and its mails opened.
struct SignInRig: Sendable {
    let client: TestClient
    let accounts: Accounts
    var database: Database { accounts.database }

    static let password = "correct horse battery"
    static let sender = MailMessage.Sender("Switchboard <no-reply@switchboard.example>")

    static func run(
        _ change: @escaping @Sendable (inout Accounts.Settings) -> Void = { _ in },
        throttle: Throttle = .stopped(), _ body: @escaping @Sendable (SignInRig) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh(migrations: ["auth"], extra: MessagingSchema.migrations) { database in
            var settings = Accounts.Settings(issuer: "https://test", audience: "switchboard")
            change(&settings)
            let accounts = Accounts(
                database: database,
                passwords: try .ofTest(),
                keys: SigningKeys(database: database, secret: String(repeating: "k", count: 32)), settings: settings,
                throttle: throttle)
            try await accounts.keys.refresh()
            let tokens = TokenVerifier.fixed(
                try KeySet(jwks: accounts.keys.published), issuer: "https://test", audience: "switchboard",
                kafka: KafkaSettings(brokers: "127.0.0.1:1", profile: .local, clientID: "test"),
                log: Log(program: "auth", least: .error))
            let router = Router(
                Routes.list(accounts), program: "auth", authenticate: { try await tokens.authenticate($0) },
                log: Log(program: "auth", least: .error))
            try await body(SignInRig(client: TestClient(router), accounts: accounts))
        }
    }

    // MARK: Asking

    func post(_ path: String, _ json: JSON = [:], token: String? = nil, from address: String? = nil) async
        -> ClientResponse
    {
        var headers = Headers()
        if let address { headers.set("X-Forwarded-For", address) }
        return await client.post(path, json: json, headers: headers, token: token)
    }

    func register(_ email: String = "ann@example.com") async throws -> Tokens {
        let answer = await post("/api/auth/register/", ["email": .string(email), "password": .string(Self.password)])
        return try Tokens(answer, 201)
    }

    func logIn(
        _ email: String = "ann@example.com", _ password: String = SignInRig.password, otp: String? = nil,
        recovery: String? = nil, from address: String? = nil
    ) async -> ClientResponse {
        var body: JSONObject = ["email": .string(email), "password": .string(password)]
        if let otp { body["otp"] = .string(otp) }
        if let recovery { body["recovery_code"] = .string(recovery) }
        return await post("/api/auth/login/", .object(body), from: address)
    }

    // MARK: Looking

    func mails() async throws -> [MailMessage] { try await accounts.waitingMails() }

    /// What stands behind `#token=` in the newest mail with that subject.
    func linkToken(_ subject: String) async throws -> String {
        let mail = try #require(try await mails().last { $0.subject == subject })
        let line = try #require(mail.text.split(separator: "\n").first { $0.contains("#token=") })
        return String(try #require(line.split(separator: "=").last))
    }

    func count(_ query: Query) async throws -> Int {
        try await database.queryOne(query)?.decode(0, as: Int.self) ?? -1
    }
}

extension Accounts {
    /// The mails that wait, oldest first, but for those to nobody.
    func waitingMails() async throws -> [MailMessage] {
        let rows = try await database.query(
            "SELECT id, sealed, attempts, created_at FROM mails WHERE user_id IS NOT NULL ORDER BY created_at, id")
        return try rows.compactMap { row in
            let due = MailStore.Due(
                id: try row["id"], sealed: try row["sealed"], attempts: try row["attempts"],
                createdAt: try row["created_at"])
            return SignInRig.sender.flatMap { open(due, from: $0) }
        }
    }
}

struct Tokens {
    let access: String
    let refresh: String
    let user: JSON

    init(_ answer: ClientResponse, _ status: Int = 200) throws {
        #expect(answer.status == status, "\(answer.text)")
        let json = try answer.json()
        access = try #require(json["access"]?.string)
        refresh = try #require(json["refresh"]?.string)
        user = try #require(json["user"])
    }
}

extension ClientResponse {
    var code: String? { try? json()["code"]?.string }
    func complains(of field: String) -> Bool {
        (try? json()["errors"]?[field]?.array?.isEmpty == false) ?? false
    }
}
