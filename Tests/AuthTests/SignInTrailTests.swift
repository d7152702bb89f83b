import HTTP
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

/// What people change about how they log in stands in the audit trail.
@Suite struct SignInTrailTests {
    private static let second = "another long phrase"
    private static let third = "and a third long one"

    @Test func `every change is in it, with whence, and no secret is`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let headers: Headers = ["X-Request-Id": "req-9", "User-Agent": "curl/8", "X-Forwarded-For": "192.0.2.9"]
            var secrets = [Office.password, Self.second, Self.third]
            func ask(_ method: Method, _ path: String, _ body: JSON? = nil) async throws -> JSON {
                var sent = headers
                if body != nil { sent.set("Content-Type", "application/json") }
                let answer = await ann.client.send(method, path, headers: sent, body: body?.jsonBytes ?? [])
                #expect((200..<300).contains(answer.status), "\(path): \(answer.text)")
                return answer.body.isEmpty ? .null : try answer.json()
            }
            _ = try await ask(
                .post, "/api/dashboard/user/change-password/",
                ["current_password": .string(Office.password), "new_password": .string(Self.second)])
            let begun = try await ask(.post, "/api/auth/totp/", ["password": .string(Self.second)])
            let secret = try #require(begun["secret"]?.string)
            let plain = try #require(SecondFactorTests.decodeBase32(secret))
            let now = OneTimeCode.step(at: .now())
            func code(_ step: Int64) -> JSON { .string(OneTimeCode.code(secret: plain, step: step)) }
            let codes = try await ask(.post, "/api/auth/totp/confirm/", ["otp": code(now)])
            secrets += [secret] + (codes["recovery_codes"]?.array?.compactMap(\.string) ?? [])
            let renewed = try await ask(
                .post, "/api/auth/totp/recovery-codes/", ["password": .string(Self.second), "otp": code(now + 1)])
            let newCodes = renewed["recovery_codes"]?.array?.compactMap(\.string) ?? []
            secrets += newCodes
            let newCode = try #require(newCodes.first)
            _ = try await ask(
                .delete, "/api/auth/totp/",
                ["password": .string(Self.second), "recovery_code": .string(newCode)])
            let made = try await ask(.post, "/api/auth/api-keys/", ["name": "Nightly", "scopes": ["calls:read"]])
            secrets.append(try #require(made["key"]?.string))
            let key = try #require(made["id"]?.string)
            _ = try await ask(.delete, "/api/auth/api-keys/\(key)/")
            _ = try await ask(.patch, "/api/users/users/me/", ["username": "annie"])
            _ = try await ask(.patch, "/api/users/users/me/", ["email": "annie@example.com"])
            _ = try await ask(.delete, "/api/auth/sessions/")
            _ = try await ask(.post, "/api/auth/logout/", ["everywhere": true])
            _ = await office.anyone.post("/api/auth/password/reset/", json: ["email": "annie@example.com"])
            let mail = try #require(
                try await office.accounts.waitingMails().last { $0.subject == "Choose a new password" })
            let link = try #require(mail.text.split(separator: "\n").first { $0.contains("#token=") })
            let token = String(try #require(link.split(separator: "=").last))
            secrets.append(token)
            let reset = await office.anyone.post(
                "/api/auth/password/reset/confirm/",
                json: ["token": .string(token), "new_password": .string(Self.third)], headers: headers)
            #expect(reset.status == 200)

            let lines = try await office.trail(admin, "actor=\(ann.id.text)&page_size=100&ordering=created_at")
            #expect(
                lines.compactMap { $0["action"]?.string } == [
                    "sign_in.password_changed", "sign_in.second_factor_added", "sign_in.recovery_codes_renewed",
                    "sign_in.second_factor_removed", "sign_in.api_key_made", "sign_in.api_key_revoked", "users.updated",
                    "users.updated", "sign_in.sessions_ended", "sign_in.sessions_ended", "sign_in.password_reset",
                ])
            for line in lines {
                #expect(
                    line["address"] == "192.0.2.9" && line["request_id"] == "req-9" && line["user_agent"] == "curl/8")
            }
            #expect(lines.dropLast().allSatisfy { $0["actor"]?["session_id"]?.string != nil })
            #expect(lines.last?["actor"]?["session_id"] == .null, "whoever resets a password has no session")
            #expect(lines[4]["thing"] == "api_key" && lines[4]["after"]?["name"] == "Nightly")
            #expect(lines[6]["after"] == ["username": "annie"])
            #expect(lines[7]["before"]?["email"] == "ann@example.com")
            #expect(lines[8]["after"] == ["ended": 0, "kept_current": true])
            #expect(lines[9]["after"] == ["ended": 1, "kept_current": false])
            #expect(try await office.trail(admin, "action=sign_in").count == 9)
            #expect(try await office.trail(admin, "thing=api_key&thing_id=\(key)").count == 2)
            let text = await admin.client.get("/api/users/audit/?page_size=100").text
            for secret in secrets { #expect(!text.contains(secret)) }

            _ = try await office.database.query("SELECT audit_forget(\(ann.id), 'annie@example.com')::text AS done")
            for line in try await office.trail(admin, "actor=\(ann.id.text)&page_size=100") {
                #expect(line["before"] == .null && line["after"] == .null && line["address"] == .null)
            }
        }
    }

    @Test func `the profile's changes are in it too, but for those that log nobody in`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            _ = await ann.client.patch("/api/dashboard/user/profile/", json: ["first_name": "A"] as JSON)
            _ = await ann.client.patch("/api/dashboard/user/profile/", json: ["user_name": "annie"] as JSON)
            _ = await ann.client.patch("/api/dashboard/user/profile/", json: ["email": "a@example.com"] as JSON)
            let lines = try await rig.database.query("SELECT action, after FROM audit ORDER BY at, id")
            #expect(try lines.map { try $0.decode("action", as: String.self) } == ["users.updated", "users.updated"])
            #expect(try lines.map { try $0.decode("after", as: JSON.self) }[0] == ["username": "annie"])
        }
    }

    @Test func `what was refused leaves nothing`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            for (path, body) in [
                (
                    "/api/dashboard/user/change-password/",
                    ["current_password": "wrong one", "new_password": "long enough"]
                ),
                ("/api/auth/totp/confirm/", ["otp": "123456"]), ("/api/auth/api-keys/", ["name": "no scopes"]),
                ("/api/auth/password/reset/confirm/", ["token": "nonsense", "new_password": "long enough"]),
            ] as [(String, JSON)] {
                #expect(await ann.client.post(path, json: body).status >= 400)
            }
            #expect(await ann.client.delete("/api/auth/api-keys/\(APIKeyID().text)/").status == 404)
            #expect(try await office.trail(admin, "action=sign_in").isEmpty)
        }
    }
}
