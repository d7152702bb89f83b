import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct SessionRoutesTests {
    private static func results(_ answer: ClientResponse) throws -> [JSON] {
        #expect(answer.status == 200, "\(answer.text)")
        return try answer.json()["results"]?.array ?? []
    }

    @Test func `one sees where one is logged in, and ends one or all others`() async throws {
        try await SignInRig.run { rig in
            let first = try await rig.register()
            let second = try Tokens(await rig.logIn(from: "203.0.113.9"))
            let third = try Tokens(await rig.logIn())
            let listed = try Self.results(await rig.client.get("/api/auth/sessions/", token: third.access))
            #expect(listed.count == 3)
            #expect(listed.count { $0["is_current"] == true } == 1)
            #expect(listed[0]["is_current"] == true)
            let away = try #require(listed.first { $0["address"] == "203.0.113.9" }?["id"]?.string)
            let ended = await rig.client.delete("/api/auth/sessions/\(away)/", token: third.access)
            #expect(ended.status == 204)
            let twice = await rig.client.delete("/api/auth/sessions/\(away)/", token: third.access)
            #expect(twice.status == 404 && twice.code == "SESSION_NOT_FOUND")
            #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(second.refresh)]).status == 401)
            let others = await rig.client.delete("/api/auth/sessions/", token: third.access)
            #expect(try others.json()["ended"] == 1)
            #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(first.refresh)]).status == 401)
            #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(third.refresh)]).status == 200)
            #expect(try await rig.count("SELECT count(*)::int FROM revocations") == 2)
        }
    }

    @Test func `nobody sees or ends another's`() async throws {
        try await SignInRig.run { rig in
            let ann = try await rig.register()
            let bob = try await rig.register("bob@example.com")
            let listed = try Self.results(await rig.client.get("/api/auth/sessions/", token: ann.access))
            let id = try #require(listed[0]["id"]?.string)
            for path in ["/api/auth/sessions/\(id)/", "/api/auth/sessions/nonsense/"] {
                #expect(await rig.client.delete(path, token: bob.access).status == 404)
            }
            #expect(await rig.client.delete("/api/auth/sessions/", token: bob.access).status == 200)
            #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(ann.refresh)]).status == 200)
        }
    }

    @Test func `logging out everywhere ends this session too`() async throws {
        try await SignInRig.run { rig in
            let first = try await rig.register()
            let second = try Tokens(await rig.logIn())
            let answer = await rig.post("/api/auth/logout/", ["everywhere": true], token: first.access)
            #expect(answer.status == 204)
            for tokens in [first, second] {
                #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(tokens.refresh)]).status == 401)
            }
        }
    }

    @Test func `a refresh sent twice at once gets one successor, sent again later ends the session`() async throws {
        try await SignInRig.run { rig in
            let first = try await rig.register()
            let body: JSON = ["refresh": .string(first.refresh)]
            let answers = try await withThrowingTaskGroup(of: ClientResponse.self) { group in
                for _ in 0..<24 { group.addTask { await rig.post("/api/auth/refresh/", body) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let good = answers.filter { $0.status == 200 }
            let successors = Set(try good.map { try $0.json()["refresh"]?.string })
            #expect(!good.isEmpty && successors.count == 1)
            let live = "SELECT count(*)::int FROM refresh_tokens WHERE used_at IS NULL" as Query
            #expect(try await rig.count(live) <= 1)
            #expect(await rig.post("/api/auth/refresh/", body).status == 401)
            #expect(try await rig.count(live) == 0)
            #expect(try await rig.count("SELECT count(*)::int FROM sessions WHERE ended_at IS NULL") == 0)
        }
    }

    @Test func `a twin is no twin once its successor was used`() async throws {
        try await SignInRig.run { rig in
            let first = try await rig.register()
            let second = try Tokens(await rig.post("/api/auth/refresh/", ["refresh": .string(first.refresh)]))
            _ = try Tokens(await rig.post("/api/auth/refresh/", ["refresh": .string(second.refresh)]))
            // However long the request was under way.
            let used = try await rig.database.transaction { tx in
                try await SessionStore.use(
                    Digest.sha256(Array(first.refresh.utf8)), successor: Digest.sha256(Array(second.refresh.utf8)),
                    waited: .seconds(60), tx)
            }
            guard case .reused = used else {
                Issue.record("\(used)")
                return
            }
        }
    }

    @Test func `changing the password ends the other sessions and needs the old one`() async throws {
        try await SignInRig.run { rig in
            let first = try await rig.register()
            let second = try Tokens(await rig.logIn())
            func change(_ current: String, _ new: String) async -> ClientResponse {
                await rig.post(
                    "/api/dashboard/user/change-password/",
                    ["current_password": .string(current), "new_password": .string(new)], token: second.access)
            }
            #expect(await change("not it at all", "another long phrase").complains(of: "current_password"))
            #expect(await change(SignInRig.password, "short").complains(of: "new_password"))
            #expect(await change(SignInRig.password, SignInRig.password).complains(of: "new_password"))
            #expect(await change(SignInRig.password, "ann@example.com").complains(of: "new_password"))
            #expect(await change(SignInRig.password, "another long phrase").status == 200)
            #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(first.refresh)]).status == 401)
            #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(second.refresh)]).status == 200)
            #expect(await rig.logIn().status == 401)
            #expect(await rig.logIn("ann@example.com", "another long phrase").status == 200)
            #expect(try await rig.mails().last?.subject == "Your password was changed")
        }
    }

    @Test(arguments: [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36 Edg/129.0",
            "Edge on Windows"
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl"), ("", "Unknown"),
    ])
    func `a device has a name people know`(_ userAgent: String, _ name: String) {
        #expect(Device.name(userAgent) == name)
    }
}
