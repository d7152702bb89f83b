import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

/// What happens through links in mails.
@Suite struct MailRoutesTests {
    @Test func `who registers gets a link that confirms the address, once`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            #expect(tokens.user["is_verified"] == false)
            let link = try await rig.linkToken("Confirm your e-mail address")
            let stored = try await rig.database.queryOne("SELECT sealed FROM mails")
            let sealed = try #require(try stored?.decode("sealed", as: [UInt8].self))
            #expect(!String(decoding: sealed, as: UTF8.self).contains(link))
            let body: JSON = ["token": .string(link)]
            #expect(await rig.post("/api/auth/verify-email/", body).status == 200)
            let again = await rig.post("/api/auth/verify-email/", body)
            #expect(again.status == 400 && again.complains(of: "token"))
            let me = await rig.client.get("/api/users/users/me/", token: tokens.access)
            #expect(try me.json()["is_verified"] == true)
            #expect(try await rig.count("SELECT count(*)::int FROM outbox WHERE type = 'auth.user.updated.v1'") == 1)
        }
    }

    @Test func `where addresses must be confirmed nobody is in before`() async throws {
        try await SignInRig.run({ $0.requireVerification = true }) { rig in
            let answer = await rig.post(
                "/api/auth/register/",
                ["email": "ann@example.com", "password": .string(SignInRig.password)])
            let json = try answer.json()
            #expect(answer.status == 201 && json["access"] == nil && json["user"]?["email"] == "ann@example.com")
            let early = await rig.logIn()
            #expect(early.status == 403 && early.code == "EMAIL_NOT_VERIFIED")
            // Who does not know the password is not told.
            let stranger = await rig.logIn("ann@example.com", "not the password")
            #expect(stranger.status == 401 && stranger.code == "UNAUTHORIZED")
            let link = try await rig.linkToken("Confirm your e-mail address")
            _ = await rig.post("/api/auth/verify-email/", ["token": .string(link)])
            _ = try Tokens(await rig.logIn())
        }
    }

    @Test func `another link is sent again, and both work until one is used`() async throws {
        try await SignInRig.run { rig in
            _ = try await rig.register()
            let first = try await rig.linkToken("Confirm your e-mail address")
            #expect(await rig.post("/api/auth/verify-email/resend/", ["email": "Ann@Example.com"]).status == 200)
            let second = try await rig.linkToken("Confirm your e-mail address")
            #expect(first != second)
            #expect(await rig.post("/api/auth/verify-email/", ["token": .string(first)]).status == 200)
            #expect(await rig.post("/api/auth/verify-email/", ["token": .string(second)]).status == 400)
            // Confirmed: there is nothing to send any more.
            _ = await rig.post("/api/auth/verify-email/resend/", ["email": "ann@example.com"])
            #expect(try await rig.mails().count == 2)
        }
    }

    @Test func `a reset sets the password, ends every session and is good once`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            #expect(await rig.post("/api/auth/password/reset/", ["email": "ann@example.com"]).status == 200)
            let link = try await rig.linkToken("Choose a new password")
            let weak = await rig.post(
                "/api/auth/password/reset/confirm/", ["token": .string(link), "new_password": "short"])
            #expect(weak.status == 400 && weak.complains(of: "new_password"))
            let body: JSON = ["token": .string(link), "new_password": "another long phrase"]
            #expect(await rig.post("/api/auth/password/reset/confirm/", body).status == 200)
            #expect(await rig.post("/api/auth/password/reset/confirm/", body).complains(of: "token"))
            #expect(await rig.post("/api/auth/refresh/", ["refresh": .string(tokens.refresh)]).status == 401)
            #expect(try await rig.count("SELECT count(*)::int FROM revocations WHERE kind = 'session'") == 1)
            #expect(await rig.logIn().status == 401)
            let again = try Tokens(await rig.logIn("ann@example.com", "another long phrase"))
            // Who could read the mail has the address.
            #expect(again.user["is_verified"] == true)
            #expect(try await rig.mails().last?.subject == "Your password was changed")
        }
    }

    @Test func `an unknown address is answered alike, with the same work, and nothing is sent`() async throws {
        try await SignInRig.run { rig in
            _ = try await rig.register()
            let known = await rig.post("/api/auth/password/reset/", ["email": "ann@example.com"])
            let before = try await rig.count("SELECT count(*)::int FROM mails")
            let links = try await rig.count("SELECT count(*)::int FROM links")
            let unknown = await rig.post("/api/auth/password/reset/", ["email": "bob@example.com"])
            #expect(known.status == unknown.status && known.body == unknown.body)
            #expect(try await rig.count("SELECT count(*)::int FROM mails") == before + 1)
            #expect(try await rig.count("SELECT count(*)::int FROM links") == links + 1)
            #expect(try await rig.mails().allSatisfy { $0.to.text == "ann@example.com" })
        }
    }

    @Test func `a letter box cannot be filled by a stranger`() async throws {
        try await SignInRig.run { rig in
            _ = try await rig.register()
            for _ in 0..<9 { _ = await rig.post("/api/auth/password/reset/", ["email": "ann@example.com"]) }
            #expect(try await rig.mails().count { $0.subject == "Choose a new password" } == 5)
        }
    }

    @Test func `an old link and a link of the other kind are refused`() async throws {
        try await SignInRig.run { rig in
            _ = try await rig.register()
            let verify = try await rig.linkToken("Confirm your e-mail address")
            _ = await rig.post("/api/auth/password/reset/", ["email": "ann@example.com"])
            let reset = try await rig.linkToken("Choose a new password")
            func confirm(_ token: String) async -> Int {
                await rig.post(
                    "/api/auth/password/reset/confirm/",
                    ["token": .string(token), "new_password": "another long phrase"]
                ).status
            }
            #expect(await confirm(verify) == 400)
            #expect(await rig.post("/api/auth/verify-email/", ["token": .string(reset)]).status == 400)
            _ = try await rig.database.execute("UPDATE links SET expires_at = now() - interval '1 second'")
            #expect(await confirm(reset) == 400)
            #expect(await confirm("") == 400)
        }
    }

    @Test func `the pages a link opens keep the secret out of every address that is sent`() async throws {
        try await SignInRig.run { rig in
            for path in ["/api/auth/verify-email/", "/api/auth/password/reset/confirm/"] {
                let page = await rig.client.get(path)
                #expect(page.status == 200 && page.text.contains("location.hash"))
                #expect(page.headers["Content-Security-Policy"]?.contains("default-src 'none'") == true)
                #expect(page.headers["Referrer-Policy"] == "no-referrer")
            }
        }
    }
}
