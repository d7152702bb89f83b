import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

/// What another e-mail address brings with it, whichever way it was changed.
@Suite struct AddressTests {
    private static let confirm = "Confirm your e-mail address"
    private static let changed = "Your account has another e-mail address"

    /// Subjects by address, of the mails since the last look.
    private static func mails(_ accounts: Accounts) async throws -> [String] {
        let mails = try await accounts.waitingMails().map { "\($0.to.text): \($0.subject)" }.sorted()
        _ = try await accounts.database.execute("DELETE FROM mails")
        return mails
    }

    private static func link(_ accounts: Accounts) async throws -> JSON {
        let mail = try #require(try await accounts.waitingMails().last { $0.subject == confirm })
        let line = try #require(mail.text.split(separator: "\n").first { $0.contains("#token=") })
        return ["token": .string(String(try #require(line.split(separator: "=").last)))]
    }

    @Test func `the new address is asked to confirm it, and the old one is told`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let accounts = rig.personal.accounts
            let old = try await Self.link(accounts)
            _ = try await Self.mails(accounts)
            let changed = await ann.client.patch(
                "/api/dashboard/user/profile/", json: ["email": "anna@example.com"] as JSON)
            #expect(changed.status == 200)
            let told = try #require(try await accounts.waitingMails().first { $0.subject == Self.changed })
            #expect(told.to.text == "ann@example.com" && !told.text.contains("anna@example.com"))
            let new = try await Self.link(accounts)
            #expect(
                try await Self.mails(accounts) == [
                    "ann@example.com: \(Self.changed)", "anna@example.com: \(Self.confirm)",
                ])
            #expect(await rig.client.post("/api/auth/verify-email/", json: old).status == 400)
            #expect(await rig.client.post("/api/auth/verify-email/", json: new).status == 200)
            let me = try await ann.client.get("/api/users/users/me/").json()
            #expect(me["is_verified"] == true && me["email"] == "anna@example.com")
        }
    }

    @Test func `so it is when staff change it, but for one they vouch for, and not for the same in other letters`()
        async throws
    {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let path = "/api/users/users/\(ann.id.text)/"
            _ = try await Self.mails(office.accounts)
            #expect(await admin.client.patch(path, json: ["email": "b@example.com"]).status == 200)
            #expect(
                try await Self.mails(office.accounts) == [
                    "ann@example.com: \(Self.changed)", "b@example.com: \(Self.confirm)",
                ])
            #expect(await admin.client.patch(path, json: ["email": "B@example.com"]).status == 200)
            #expect(try await Self.mails(office.accounts) == [])
            let vouched = await admin.client.patch(path, json: ["email": "c@example.com", "is_verified": true])
            #expect(try vouched.json()["is_verified"] == true)
            #expect(try await Self.mails(office.accounts) == ["B@example.com: \(Self.changed)"])
            #expect(await ann.client.patch("/api/users/users/me/", json: ["email": "d@example.com"]).status == 200)
            #expect(
                try await Self.mails(office.accounts) == [
                    "c@example.com: \(Self.changed)", "d@example.com: \(Self.confirm)",
                ])
        }
    }

    @Test func `nobody writes to strangers by trying addresses, and a confirmed one is told all the same`() async throws
    {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            _ = try await office.database.execute("UPDATE users SET is_verified = true WHERE id = \(ann.id)")
            // The link of the registration is the first of the five.
            for number in 1...6 {
                let answer = await ann.client.patch(
                    "/api/users/users/me/", json: ["email": .string("stranger\(number)@example.com")])
                #expect(answer.status == 200)
            }
            let mails = try await Self.mails(office.accounts)
            #expect(mails.count { $0.hasSuffix(Self.confirm) } == 5)
            #expect(mails.contains("ann@example.com: \(Self.changed)"))
            #expect(!mails.contains { $0.hasPrefix("stranger5") || $0.hasPrefix("stranger6") })
            _ = try await office.database.execute("UPDATE users SET is_verified = true WHERE id = \(ann.id)")
            _ = await ann.client.patch("/api/users/users/me/", json: ["email": "stranger7@example.com"])
            #expect(try await Self.mails(office.accounts) == ["stranger6@example.com: \(Self.changed)"])
        }
    }

    @Test func `nobody moves to a blocked address by their profile either`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            _ = try await rig.database.execute(
                """
                INSERT INTO blacklist (id, kind, value) VALUES (\(BlacklistID()), 'email', '*@blocked.example')
                """)
            let refused = await ann.client.patch(
                "/api/dashboard/user/profile/", json: ["email": "ann@blocked.example"] as JSON)
            #expect(refused.status == 403 && refused.code == "ACCOUNT_BLOCKED")
            #expect(try await ann.client.get("/api/users/users/me/").json()["email"] == "ann@example.com")
        }
    }
}
