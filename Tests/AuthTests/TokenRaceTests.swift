import HTTP
import Messaging
import Passwords
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

/// Tokens that are made while what they say is being changed: none outlives the change, and none made after it is refused.
@Suite struct TokenRaceTests {
    private static func claims(_ answer: ClientResponse, _ office: Office) throws -> Claims {
        try #require(answer.status == 200, "\(answer.text)")
        let token = try #require(try answer.json()["access"]?.string)
        let keys = try KeySet(jwks: office.accounts.keys.published)
        return try keys.verify(token, now: .now(), issuer: "https://test", audience: "switchboard")
    }

    private static func revokedAt(_ user: UserID, _ office: Office) async throws -> Instant {
        let row = try await office.database.queryOne("SELECT at FROM revocations WHERE id = \(user) AND kind = 'user'")
        return try #require(try row?.decode("at", as: Instant.self))
    }

    /// Returns when another connection waits for a lock; false after twenty seconds, which a busy machine may need to send
    /// a request.
    private static func waitForSomebodyWaiting(_ tx: borrowing Transaction) async throws -> Bool {
        for _ in 0..<1_000 {
            // Or the transaction would see for ever what it saw first.
            _ = try await tx.query("SELECT pg_stat_clear_snapshot()::text AS cleared")
            let row = try await tx.queryOne(
                """
                SELECT pg_sleep(0.02)::text AS slept, (SELECT count(*)::int FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock') AS n
                """)
            if try row?.decode("n", as: Int.self) ?? 0 > 0 { return true }
        }
        return false
    }

    @Test func `a refresh waits for a change of role under way and says what is true then`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let (changing, changes) = AsyncStream.makeStream(of: Void.self)
            async let changed: Bool = office.database.transaction { (tx: borrowing Transaction) in
                guard var account = try await UserStore.lock(ann.id, tx) else { return false }
                account.role = .agent
                try await UserStore.save(&account, tx)
                try await office.accounts.cutOff([ann.id], tx)
                changes.yield()
                return try await Self.waitForSomebodyWaiting(tx)
            }
            for await _ in changing { break }
            let answer = await office.anyone.post("/api/auth/refresh/", json: ["refresh": .string(ann.refresh)])
            let waited = try await changed
            #expect(waited, "the refresh did not wait")
            let claims = try Self.claims(answer, office)
            #expect(claims.role == .agent)
            let at = try await Self.revokedAt(ann.id, office)
            #expect(claims.issuedAt > at, "it would be refused at once")
        }
    }

    @Test func `a change of role waits for a refresh under way and refuses what it gives`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let (refreshing, refreshes) = AsyncStream.makeStream(of: Void.self)
            async let issued: (at: Instant, waited: Bool) = office.database.transaction { (tx: borrowing Transaction) in
                let used = try await SessionStore.use(
                    Digest.sha256(Array(ann.refresh.utf8)), successor: Digest.sha256("next"), waited: .zero, tx)
                guard case .fresh(_, let account) = used, account.role == .user else { throw Problem(.internalError) }
                let held = try await AccountStore.held(account, tx)
                refreshes.yield()
                return (held.memberships.readAt, try await Self.waitForSomebodyWaiting(tx))
            }
            for await _ in refreshing { break }
            let changed = await admin.client.patch("/api/users/users/\(ann.id.text)/", json: ["role": "agent"])
            #expect(changed.status == 200)
            let (at, waited) = try await issued
            #expect(waited, "the change did not wait")
            let until = try await Self.revokedAt(ann.id, office)
            #expect(at <= until)
        }
    }

    @Test func `whatever is asked for while roles and places change, no token says what is over`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let path = "/api/users/users/\(ann.id.text)/"
            let place = "/api/workspaces/workspaces/\(bob.workspace.text)/"
            let made = await ann.client.post("/api/auth/api-keys/", json: ["name": "k", "scopes": ["*"]])
            let key: JSON = ["key": try #require(try made.json()["key"])]
            _ = await admin.client.post("\(place)add_users/", json: ["user_ids": [.string(ann.id.text)]])
            var refresh: [String] = []
            for _ in 0..<4 { refresh.append(try await office.logIn("ann@example.com").refresh) }
            for round in 0..<25 {
                let (role, member): (Role, WorkspaceRole) =
                    round.isMultiple(of: 2) ? (.agent, .manager) : (.user, .viewer)
                let sent = refresh
                let answers = try await withThrowingTaskGroup(of: (Int, ClientResponse).self) { group in
                    group.addTask {
                        (-1, await admin.client.patch(path, json: ["role": .string(role.rawValue)]))
                    }
                    group.addTask {
                        (
                            -1,
                            await admin.client.patch(
                                "\(place)users/\(ann.id.text)/", json: ["role": .string(member.rawValue)])
                        )
                    }
                    for (number, token) in sent.enumerated() {
                        group.addTask {
                            (number, await office.anyone.post("/api/auth/refresh/", json: ["refresh": .string(token)]))
                        }
                    }
                    group.addTask { (8, await office.anyone.post("/internal/auth/exchange", json: key)) }
                    group.addTask {
                        (9, await office.anyone.post("/api/auth/login/", json: Office.credentials("ann@example.com")))
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let at = try await Self.revokedAt(ann.id, office)
                for (number, answer) in answers {
                    #expect(answer.status == 200, "\(number): \(answer.text)")
                    guard number >= 0 else { continue }
                    let claims = try Self.claims(answer, office)
                    if claims.role != role || claims.workspaces[bob.workspace] != member {
                        #expect(
                            claims.issuedAt <= at, "round \(round), \(number): it still counts and says \(claims.role)")
                    }
                    if number < 4 { refresh[number] = try #require(try answer.json()["refresh"]?.string) }
                }
            }
        }
    }

    @Test func `a log-in that was checked before the password changed, or the account was closed, opens nothing`()
        async throws
    {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let known = try #require(try await AccountStore.credentials(of: ann.id, office.database))
            func hold() async throws {
                _ = try await office.database.transaction { try await office.accounts.hold(known, $0) }
            }
            try await hold()
            _ = try await office.database.execute("UPDATE users SET status = 'suspended' WHERE id = \(ann.id)")
            await #expect(throws: Problem.self) { try await hold() }
            let hash = try await office.accounts.passwords.hash("another long phrase")
            _ = try await office.database.execute(
                "UPDATE users SET status = 'active', password_hash = \(hash.text) WHERE id = \(ann.id)")
            await #expect(throws: Problem.self) { try await hold() }
        }
    }

    /// All of it is beside the person's row, which the log-in waits for.
    @Test(arguments: ["deletion", "block", "role"])
    func `a log-in that waits for a change sees what was changed`(_ what: String) async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let known = try #require(try await AccountStore.credentials(of: ann.id, office.database))
            let (changing, changes) = AsyncStream.makeStream(of: Void.self)
            async let changed: Bool = office.database.transaction { (tx: borrowing Transaction) in
                _ = try await UserStore.lock(ann.id, tx)
                switch what {
                case "deletion": try await DeletionStore.plan(ann.id, at: .now() + .seconds(3600), tx)
                case "block":
                    tx.enqueue(
                        """
                        INSERT INTO blacklist (id, kind, value) VALUES (\(BlacklistID()), 'email', '*@example.com')
                        """)
                default: tx.enqueue("UPDATE memberships SET role = 'viewer' WHERE user_id = \(ann.id)")
                }
                changes.yield()
                return try await Self.waitForSomebodyWaiting(tx)
            }
            for await _ in changing { break }
            var held: AccountStore.Held?
            var refusal: Problem?
            do {
                held = try await office.database.transaction { try await office.accounts.hold(known, $0) }
            } catch let problem as Problem { refusal = problem }
            let waited = try await changed
            #expect(waited, "the log-in did not wait")
            switch what {
            case "deletion": #expect(refusal?.details?["deletes_at"] != nil)
            case "block": #expect(refusal?.code == .accountBlocked)
            default: #expect(held?.memberships.roles == [ann.workspace: .viewer])
            }
        }
    }

    @Test func `who is made an admin at the machine is one from the next log-in on`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let email = try #require(EmailAddress("ann@example.com"))
            _ = try await office.accounts.createSuperuser(email, password: "another long phrase")
            #expect(try await office.revoked().contains("user:\(ann.id.text)"))
            let refreshed = await office.anyone.post("/api/auth/refresh/", json: ["refresh": .string(ann.refresh)])
            #expect(refreshed.status == 401, "whoever was in before is no admin by that")
        }
    }
}
