import Access
import HTTP
import Messaging
import Passwords
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct AccountTests {
    /// Auth's real router on a fresh database. Revocations are the tests' own: no broker is needed to see them written.
    private func withAuth(_ body: @escaping @Sendable (TestClient, Accounts) async throws -> Void) async throws {
        try await TestDatabase.fresh(migrations: ["auth"], extra: MessagingSchema.migrations) { database in
            let accounts = Accounts(
                database: database,
                passwords: try .ofTest(),
                keys: SigningKeys(database: database, secret: String(repeating: "k", count: 32)),
                settings: .init(issuer: "https://test", audience: "switchboard"))
            try await accounts.keys.refresh()
            let router = Router(
                Routes.list(accounts), program: "auth",
                authenticate: { request in
                    guard let token = request.bearerToken else { throw Problem.unauthorized() }
                    let keys = try KeySet(jwks: accounts.keys.published)
                    do {
                        return try keys.verify(token, now: .now(), issuer: "https://test", audience: "switchboard")
                            .principal
                    } catch { throw Problem.unauthorized() }
                }, log: Log(program: "auth", least: .error))
            try await body(TestClient(router), accounts)
        }
    }

    private static func person(_ email: String = "ann@example.com") -> JSON {
        ["email": .string(email), "password": "correct horse battery", "first_name": "Ann", "last_name": "Lee"]
    }

    @Test func `who registers has tokens, a workspace of their own and a name`() async throws {
        try await withAuth { client, accounts in
            let answer = await client.post("/api/auth/register/", json: Self.person())
            #expect(answer.status == 201)
            let json = try answer.json()
            #expect(json["user"]?["full_name"] == "Ann Lee")
            #expect(json["token_type"] == "Bearer" && json["expires_in"] == 900)
            let me = await client.get("/api/users/users/me/", token: json["access"]?.string)
            let json1 = try me.json()
            #expect(json1["email"] == "ann@example.com")
            let events = try await accounts.database.query("SELECT type FROM outbox ORDER BY seq").map {
                try $0.decode("type", as: String.self)
            }
            #expect(events == ["auth.user.created.v1", "auth.workspace.created.v1", "auth.workspace.member_added.v1"])
        }
    }

    @Test(arguments: [
        ("email", "nonsense"), ("email", ""), ("password", "short"), ("password", "aaaaaaaaaa"),
        ("password", "password123"),
        ("password", "ann@example.com"), ("username", "a b"), ("phone", "12"), ("role", "king"),
    ])
    func `a bad field is refused by its name and nothing is written`(_ field: String, _ value: String) async throws {
        try await withAuth { client, accounts in
            guard var person = Self.person().object else { return }
            person[field] = .string(value)
            let answer = await client.post("/api/auth/register/", json: JSON.object(person))
            #expect(answer.status == 400)
            let json2 = try answer.json()
            #expect(json2["errors"]?[field]?.array?.isEmpty == false)
            let count = try await accounts.database.queryOne("SELECT count(*) AS n FROM users")
            #expect(try count?.decode("n", as: Int64.self) == 0)
        }
    }

    @Test func `nobody registers as an admin and no address twice`() async throws {
        try await withAuth { client, _ in
            guard var person = Self.person().object else { return }
            person["role"] = "admin"
            let status1 = await client.post("/api/auth/register/", json: JSON.object(person)).status
            #expect(status1 == 403)
            let status2 = await client.post("/api/auth/register/", json: Self.person()).status
            #expect(status2 == 201)
            let again = await client.post("/api/auth/register/", json: Self.person("ANN@example.com"))
            #expect(again.status == 400)
            let json3 = try again.json()
            #expect(json3["errors"]?["email"] != nil)
        }
    }

    @Test func `a wrong password and an unknown person are answered alike`() async throws {
        try await withAuth { client, _ in
            _ = await client.post("/api/auth/register/", json: Self.person())
            let wrong = await client.post(
                "/api/auth/login/", json: ["email": "ann@example.com", "password": "not it at all"] as JSON)
            let unknown = await client.post(
                "/api/auth/login/", json: ["email": "bob@example.com", "password": "not it at all"] as JSON)
            #expect(wrong.status == 401 && unknown.status == 401)
            #expect(wrong.body == unknown.body)
            let right = await client.post(
                "/api/auth/login/", json: ["email": "Ann@Example.com", "password": "correct horse battery"] as JSON)
            #expect(right.status == 200)
        }
    }

    @Test func `the last log-in is noted, but not twice within a minute`() async throws {
        try await withAuth { client, accounts in
            _ = await client.post("/api/auth/register/", json: Self.person())
            func lastAfterLogIn(_ secondsAgo: Int) async throws -> Instant {
                let database = accounts.database
                let before = try await database.queryOne(
                    """
                    UPDATE users SET last_login = last_login - make_interval(secs => \(Double(secondsAgo)))
                    RETURNING last_login
                    """)
                let answer = await client.post(
                    "/api/auth/login/", json: ["email": "ann@example.com", "password": "correct horse battery"] as JSON)
                #expect(answer.status == 200)
                let after = try await database.queryOne("SELECT last_login FROM users")
                let (old, new): (Instant?, Instant) = (try before?["last_login"], try #require(after)["last_login"])
                #expect((old == new) == (secondsAgo < 60))
                return new
            }
            let first = try await lastAfterLogIn(0)
            #expect(Instant.now() - first < .seconds(60), "registering is the first")
            _ = try await lastAfterLogIn(10)
            let later = try await lastAfterLogIn(90)
            #expect(Instant.now() - later < .seconds(60))
        }
    }

    @Test func `a refresh token works once and its second use ends the session`() async throws {
        try await withAuth { client, accounts in
            let first = try await client.post("/api/auth/register/", json: Self.person()).json()
            let second = await client.post("/api/auth/refresh/", json: ["refresh": first["refresh"] ?? .null] as JSON)
            #expect(second.status == 200)
            let reuse = await client.post("/api/auth/refresh/", json: ["refresh": first["refresh"] ?? .null] as JSON)
            #expect(reuse.status == 401)
            let afterwards = await client.post(
                "/api/auth/refresh/", json: ["refresh": try second.json()["refresh"] ?? .null] as JSON)
            #expect(afterwards.status == 401)
            let told = try await accounts.database.queryOne(
                "SELECT count(*) AS n FROM outbox WHERE topic = 'auth.revocations'")
            #expect(try told?.decode("n", as: Int64.self) == 1)
        }
    }

    @Test func `logging out ends the session and revokes its access tokens`() async throws {
        try await withAuth { client, accounts in
            let tokens = try await client.post("/api/auth/register/", json: Self.person()).json()
            let status3 = await client.post("/api/auth/logout/", json: [:] as JSON, token: tokens["access"]?.string)
                .status
            #expect(status3 == 204)
            let status4 = await client.post("/api/auth/refresh/", json: ["refresh": tokens["refresh"] ?? .null] as JSON)
                .status
            #expect(status4 == 401)
            let rows = try await accounts.database.query("SELECT kind FROM revocations")
            #expect(rows.count == 1)
        }
    }

    @Test func `the first admin comes from the command and is one only once`() async throws {
        try await withAuth { client, accounts in
            let email = try #require(EmailAddress("root@example.com"))
            let isNew = try await accounts.createSuperuser(email, password: "a very long password")
            #expect(isNew)
            let found2 = try await accounts.createSuperuser(email, password: "another long password")
            #expect(found2 == false)
            let answer = await client.post(
                "/api/auth/login/", json: ["email": "root@example.com", "password": "another long password"] as JSON)
            let json4 = try answer.json()
            #expect(json4["user"]?["role"] == "admin")
            await #expect(throws: Problem.self) { try await accounts.createSuperuser(email, password: "short") }
        }
    }

    @Test func `keys rotate and nobody is logged out`() async throws {
        try await TestDatabase.fresh(migrations: ["auth"], extra: MessagingSchema.migrations) { database in
            let secret = String(repeating: "k", count: 32)
            let (one, two) = (
                SigningKeys(database: database, secret: secret), SigningKeys(database: database, secret: secret)
            )
            let start = Instant.now()
            try await one.refresh(now: start)
            func token(at now: Instant) async throws -> String {
                try await one.sign(
                    Claims(
                        subject: UserID(), role: .user, issuer: "i", audience: "a", issuedAt: now,
                        expires: now + .seconds(900)), now: now)
            }
            func kid(_ token: String) throws -> String? {
                let head = try #require(Digest.decodeBase64URL(token.prefix { $0 != "." }))
                return try JSON.parse(head)["kid"]?.string
            }
            let old = try await token(at: start)
            // The month is over; another replica notices first.
            let due = start + SigningKeys.signsFor + .seconds(1)
            let last = try await token(at: due)
            try await two.refresh(now: due)
            _ = try await database.execute(
                "UPDATE signing_keys SET created_at = \(due) WHERE created_at = (SELECT max(created_at) FROM signing_keys)"
            )
            try await one.refresh(now: due)
            #expect(one.published["keys"]?.array?.count == 2)
            // Published, but not used yet: a verifier with the set of before knows every token.
            let early = try await token(at: due + .seconds(30))
            #expect(try kid(early) == (try kid(old)))
            let late = try await token(at: due + SigningKeys.publishedFirst + .seconds(1))
            #expect(try kid(late) != (try kid(old)))
            let set = try KeySet(jwks: one.published)
            for each in [last, early, late] {
                _ = try set.verify(each, now: due + .seconds(61), issuer: "i", audience: "a")
            }
            // A day later the old one is gone, and so is every token it signed.
            // (The first look removes it, the next one sees that.)
            for _ in 0..<2 { try await one.refresh(now: due + SigningKeys.signsFor - .seconds(60)) }
            #expect(try KeySet(jwks: one.published).kids == [try kid(late)])
        }
    }

    @Test func `keys are sealed, published before they sign and the same on every replica`() async throws {
        try await TestDatabase.fresh(migrations: ["auth"], extra: MessagingSchema.migrations) { database in
            let secret = String(repeating: "k", count: 32)
            let (one, two) = (
                SigningKeys(database: database, secret: secret), SigningKeys(database: database, secret: secret)
            )
            try await one.refresh()
            try await two.refresh()
            #expect(one.published == two.published)
            try await one.refresh(now: .now() + .seconds(31 * 86_400))
            #expect(one.published["keys"]?.array?.count == 2)
            let stranger = SigningKeys(database: database, secret: String(repeating: "x", count: 32))
            await #expect(throws: SigningKeys.Sealed.self) { try await stranger.refresh() }
            let stored = try await database.queryOne("SELECT sealed FROM signing_keys LIMIT 1")
            let bytes = try #require(try stored?.decode("sealed", as: [UInt8].self))
            #expect(!String(decoding: bytes, as: UTF8.self).contains("PRIVATE KEY"))
        }
    }
}
