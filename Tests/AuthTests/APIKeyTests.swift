import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct APIKeyTests {
    private static func make(
        _ rig: SignInRig, _ token: String, _ scopes: JSON = ["read"], expires: Instant? = nil
    ) async throws -> (id: String, key: String) {
        var body: JSONObject = ["name": "Nightly report", "scopes": scopes]
        if let expires { body["expires_at"] = .string(expires.iso) }
        let made = await rig.post("/api/auth/api-keys/", .object(body), token: token)
        #expect(made.status == 201, "\(made.text)")
        let json = try made.json()
        return (try #require(json["id"]?.string), try #require(json["key"]?.string))
    }

    @Test func `a key is shown once, kept as a hash, and revoked`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            let (id, key) = try await Self.make(rig, tokens.access)
            #expect(key.hasPrefix("sk_") && key.utf8.count == 35)
            let listed = await rig.client.get("/api/auth/api-keys/", token: tokens.access)
            #expect(!listed.text.contains(key))
            let shown = try #require(try listed.json()["results"]?[0])
            #expect(shown["prefix"] == .string(String(key.prefix(9))) && shown["scopes"] == ["read"])
            #expect(shown["last_used_at"] == .null)
            let kept = "SELECT count(*)::int FROM api_keys WHERE digest = \(Digest.sha256(key))" as Query
            #expect(try await rig.count(kept) == 1)
            let exchanged = await rig.post("/internal/auth/exchange", ["key": .string(key)])
            #expect(exchanged.status == 200)
            let one = await rig.client.get("/api/auth/api-keys/\(id)/", token: tokens.access)
            #expect(try one.json()["last_used_at"] != .null)
            #expect(await rig.client.delete("/api/auth/api-keys/\(id)/", token: tokens.access).status == 204)
            #expect(await rig.client.delete("/api/auth/api-keys/\(id)/", token: tokens.access).status == 404)
            #expect(await rig.post("/internal/auth/exchange", ["key": .string(key)]).status == 401)
            #expect(try await rig.count("SELECT count(*)::int FROM revocations WHERE kind = 'key'") == 1)
            #expect(try await rig.count("SELECT count(*)::int FROM outbox WHERE topic = 'auth.revocations'") == 1)
        }
    }

    @Test(
        arguments: [
            (["scopes": ["read"]], "name"), (["name": "x"], "scopes"), (["name": "x", "scopes": []], "scopes"),
            (["name": "x", "scopes": ["everything"]], "scopes"), (["name": "x", "scopes": ["calls:delete"]], "scopes"),
            (["name": "x", "scopes": ["calls:read", ":read"]], "scopes"),
            (["name": "x", "scopes": ["*"], "expires_at": "2020-01-01T00:00:00Z"], "expires_at"),
        ] as [(JSON, String)])
    func `a bad field is named`(_ body: JSON, _ field: String) async throws {
        try await SignInRig.run { rig in
            let answer = await rig.post("/api/auth/api-keys/", body, token: try await rig.register().access)
            #expect(answer.complains(of: field), "\(answer.text)")
        }
    }

    @Test func `the token made of a key says whose it is and what it may do`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            let soon = Instant.now() + .seconds(60)
            let (id, key) = try await Self.make(rig, tokens.access, ["users:read"], expires: soon)
            let exchanged = await rig.post("/internal/auth/exchange", ["key": .string(key)])
            let token = try #require(try exchanged.json()["access"]?.string)
            let claims = try KeySet(jwks: rig.accounts.keys.published)
                .verify(token, issuer: "https://test", audience: "switchboard")
            #expect(claims.apiKey?.text == id && claims.session == nil && claims.scopes == ["users:read"])
            // It never outlives the key.
            #expect(claims.expires <= soon)
            #expect(await rig.client.get("/api/users/users/me/", token: token).status == 200)
            #expect(await rig.client.get("/api/auth/sessions/", token: token).status == 403)
        }
    }

    @Test func `whatever its scopes, a key changes nothing about how one logs in`() async throws {
        try await SignInRig.run { rig in
            let (_, key) = try await Self.make(rig, try await rig.register().access, ["*"])
            let exchanged = await rig.post("/internal/auth/exchange", ["key": .string(key)])
            let token = try #require(try exchanged.json()["access"]?.string)
            let password = JSON.string(SignInRig.password)
            let answers = [
                await rig.post("/api/auth/api-keys/", ["name": "x", "scopes": ["*"]], token: token),
                await rig.client.get("/api/auth/api-keys/", token: token),
                await rig.client.get("/api/auth/sessions/", token: token),
                await rig.client.delete("/api/auth/sessions/", token: token),
                await rig.post("/api/auth/totp/", ["password": password], token: token),
                await rig.post("/api/auth/logout/", ["everywhere": true], token: token),
                await rig.post(
                    "/api/dashboard/user/change-password/",
                    ["current_password": password, "new_password": "another long phrase"], token: token),
            ]
            #expect(answers.map(\.status) == Array(repeating: 403, count: answers.count))
        }
    }

    @Test func `a key that has expired or whose person is suspended opens nothing`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            let (_, old) = try await Self.make(rig, tokens.access)
            _ = try await rig.database.execute("UPDATE api_keys SET expires_at = now() - interval '1 second'")
            let (_, new) = try await Self.make(rig, tokens.access)
            #expect(await rig.post("/internal/auth/exchange", ["key": .string(old)]).status == 401)
            #expect(await rig.post("/internal/auth/exchange", ["key": .string(new)]).status == 200)
            _ = try await rig.database.execute("UPDATE users SET status = 'suspended'")
            #expect(await rig.post("/internal/auth/exchange", ["key": .string(new)]).status == 403)
        }
    }

    @Test func `there are fifty at most, also when made at once`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<60 {
                    group.addTask {
                        await rig.post("/api/auth/api-keys/", ["name": "x", "scopes": ["*"]], token: tokens.access)
                            .status
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [201: 50, 409: 10])
        }
    }

    @Test func `user and password are exchanged for a token of a session that can be seen and ended`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            func exchange(_ password: String) async -> ClientResponse {
                await rig.post(
                    "/internal/auth/exchange",
                    [
                        "user": "ann@example.com", "password": .string(password), "address": "203.0.113.9",
                        "user_agent": "curl/8",
                    ])
            }
            #expect(await exchange("not it").status == 401)
            let first = await exchange(SignInRig.password)
            #expect(first.status == 200)
            _ = await exchange(SignInRig.password)
            let listed = try await rig.client.get("/api/auth/sessions/", token: tokens.access).json()["results"]?.array
            let basic = try #require(listed?.filter { $0["kind"] == "basic" })
            #expect(basic.count == 1 && basic[0]["address"] == "203.0.113.9")
            let token = try #require(try first.json()["access"]?.string)
            let claims = try KeySet(jwks: rig.accounts.keys.published)
                .verify(token, issuer: "https://test", audience: "switchboard")
            #expect(claims.session?.text == basic[0]["id"]?.string)
            // A changed password ends it.
            _ = await rig.post(
                "/api/dashboard/user/change-password/",
                ["current_password": .string(SignInRig.password), "new_password": "another long phrase"],
                token: tokens.access)
            #expect(
                try await rig.count("SELECT count(*)::int FROM sessions WHERE kind = 'basic' AND ended_at IS NULL") == 0
            )
        }
    }

    @Test func `a proxy's request never reaches the exchange`() async throws {
        try await SignInRig.run { rig in
            #expect(await rig.post("/internal/auth/exchange", ["key": "sk_x"], from: "203.0.113.9").status == 404)
        }
    }
}
