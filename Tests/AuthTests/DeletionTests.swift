import HTTP
import Messaging
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct DeletionTests {
    private static let path = "/api/dashboard/user/delete-account/"
    private static let really: JSON = ["password": .string(PersonalRig.password), "confirm": true]

    @Test func `only the right password and a confirmation delete an account`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let wrong = await ann.client.delete(
                Self.path, json: ["password": "not it at all", "confirm": true] as JSON)
            #expect(wrong.status == 400)
            #expect(try wrong.json()["errors"]?["password"] != nil)
            let unsure = await ann.client.delete(
                Self.path, json: ["password": .string(PersonalRig.password), "confirm": false] as JSON)
            #expect(try unsure.json()["errors"]?["confirm"] != nil)
            #expect(await rig.logIn(ann.email).status == 200)
        }
    }

    @Test func `sessions end at once, and until the day one can come back`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let answer = await ann.client.delete(Self.path, json: Self.really)
            #expect(answer.status == 202)
            let day = try #require(try answer.json()["deletes_at"]?.string)
            let sessions = try await rig.database.query("SELECT 1 AS open FROM sessions WHERE ended_at IS NULL")
            #expect(sessions.isEmpty)
            let kinds = try await rig.database.query(
                "SELECT payload::jsonb ->> 'kind' AS kind FROM outbox WHERE topic = 'auth.revocations' ORDER BY 1"
            ).map { try $0.decode("kind", as: String.self) }
            #expect(kinds == ["session", "user"])
            let refused = await rig.logIn(ann.email)
            #expect(refused.status == 403)
            let words = try refused.json()
            #expect(words["details"]?["deletes_at"]?.string == day)
            #expect(words["detail"]?.string?.contains("cancel_deletion") == true)
            let back = await rig.logIn(ann.email, cancels: true)
            #expect(back.status == 200)
            let left = try await rig.database.query("SELECT user_id FROM deletions")
            #expect(left.isEmpty)
            #expect(try await rig.personal.deleteOneDue() == false)
            let trail = try await rig.database.query("SELECT action, actor_id FROM audit ORDER BY at, id")
            #expect(
                try trail.map { try $0.decode("action", as: String.self) } == [
                    "users.deletion_planned", "users.deletion_cancelled",
                ])
            #expect(try trail.allSatisfy { try $0.decode("actor_id", as: UserID?.self) == ann.id })
        }
    }

    @Test func `a stranger with a wrong password does not hear that an account goes`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            _ = await ann.client.delete(Self.path, json: Self.really)
            let wrong = await rig.client.post(
                "/api/auth/login/", json: ["email": .string(ann.email), "password": "wrong one"] as JSON)
            #expect(wrong.status == 401)
        }
    }

    @Test func `whoever owns a workspace with others in it gives it away first`() async throws {
        try await PersonalRig.with { rig in
            let (ann, bob) = (try await rig.register("ann"), try await rig.register("bob"))
            try await rig.join(bob.id, ann.workspace, as: .agent)
            let answer = await ann.client.delete(Self.path, json: Self.really)
            #expect(answer.status == 409)
            #expect(try answer.json()["details"]?["workspaces"]?[0]?["id"]?.string == ann.workspace.text)
            // Bob is only a guest there.
            #expect(await bob.client.delete(Self.path, json: Self.really).status == 202)
        }
    }

    @Test func `the last admin stays`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            _ = try await rig.database.execute("UPDATE users SET role = 'admin' WHERE id = \(ann.id)")
            #expect(await ann.client.delete(Self.path, json: Self.really).status == 409)
        }
    }

    @Test func `after its day an account leaves nothing here but ids, and everybody is told`() async throws {
        try await PersonalRig.with(policy: { $0.grace = .zero }) { rig in
            let (ann, bob) = (try await rig.register("ann"), try await rig.register("bob"))
            try await rig.join(ann.id, bob.workspace, as: .agent)
            _ = await ann.client.patch(
                "/api/dashboard/user/settings/", json: ["account": ["language": "de"]] as JSON)
            _ = await ann.client.get("/api/dashboard/user/export-data/")
            _ = await ann.client.delete(Self.path, json: Self.really)
            #expect(try await rig.personal.deleteOneDue())
            #expect(try await rig.personal.deleteOneDue() == false)
            let told = try await rig.database.query(
                "SELECT type, key FROM outbox WHERE type LIKE '%deleted%' ORDER BY seq"
            ).map { try $0.decode("key", as: String.self) }
            #expect(told == [ann.workspace.text, ann.id.text])
            // Auth hears its own events too.
            for subject in [ErasureSubject.user(ann.id), .workspace(ann.workspace)] {
                try await Leftovers.erase(subject, steps: [], program: "auth", rig.database)
            }
            // The trail keeps what was done, by whom as a number only.
            let known: Set = ["audit", "erasures", "erasure_requests", "revocations"]
            for needle in [ann.email, "ann Uncommon", "+14155550199", "ann's workspace"] {
                let left = try await Leftovers.tables(holding: needle, except: [], rig.database)
                #expect(needle == "+14155550199" || left.isEmpty, "\(needle) is still in \(left)")
            }
            for id in [ann.id.text, ann.workspace.text] {
                let left = try await Leftovers.tables(holding: id, except: known, rig.database).filter {
                    !$0.key.hasPrefix("outbox_")
                }
                #expect(left.isEmpty, "\(id) is still in \(left)")
            }
            let events = try await rig.database.query(
                "SELECT DISTINCT type FROM outbox WHERE strpos(payload, \(ann.id.text)) > 0 ORDER BY 1"
            ).map { try $0.decode("type", as: String.self) }
            #expect(
                events == ["auth.erasure.reported.v1", "auth.revocation.recorded.v1", "auth.user.deleted.v1"])
            #expect(await rig.logIn(ann.email).status == 401)
            #expect(await rig.logIn(bob.email).status == 200)
        }
    }

    /// Whatever tables others add: none may keep a person or a workspace from going.
    @Test func `everything that refers to people or workspaces goes with them`() async throws {
        try await PersonalRig.with { rig in
            let stuck = try await rig.database.query(
                """
                SELECT conrelid::regclass::text AS name FROM pg_constraint
                WHERE contype = 'f' AND confrelid IN ('users'::regclass, 'workspaces'::regclass)
                    AND confdeltype NOT IN ('c', 'n')
                """
            ).map { try $0.decode("name", as: String.self) }
            #expect(stuck.isEmpty)
        }
    }

    @Test func `somebody who came in meanwhile postpones it`() async throws {
        try await PersonalRig.with(policy: { $0.grace = .zero }) { rig in
            let (ann, bob) = (try await rig.register("ann"), try await rig.register("bob"))
            _ = await ann.client.delete(Self.path, json: Self.really)
            try await rig.join(bob.id, ann.workspace, as: .agent)
            #expect(try await rig.personal.deleteOneDue())
            #expect(try await rig.personal.deleteOneDue() == false)
            #expect(await rig.logIn(ann.email, cancels: true).status == 200)
        }
    }

    @Test func `an admin deletes at once, nobody else may`() async throws {
        try await PersonalRig.with { rig in
            let (ann, bob) = (try await rig.register("ann"), try await rig.register("bob"))
            #expect(await ann.client.delete("/api/users/users/\(bob.id.text)/").status == 403)
            let email = try #require(EmailAddress("root@example.com"))
            _ = try await rig.personal.accounts.createSuperuser(email, password: PersonalRig.password)
            let admin = try await rig.person(await rig.logIn("root@example.com"), "root@example.com")
            #expect(await admin.client.delete("/api/users/users/\(bob.id.text)/").status == 202)
            #expect(await admin.client.delete("/api/users/users/\(bob.id.text)/").status == 404)
            #expect(await rig.logIn(bob.email).status == 401)
            let book = try await admin.client.get("/api/users/erasures/?id=\(bob.id.text)").json()
            #expect(book["count"] == 1 && book["results"]?[0]?["state"] == "running")
            #expect(await ann.client.get("/api/users/erasures/").status == 403)
        }
    }

    @Test func `an erasure is finished when every program has reported, and who has not is asked again`() async throws {
        try await PersonalRig.with(policy: { $0.askAgain = .zero }) { rig in
            let user = UserID()
            try await rig.database.transaction { (tx: borrowing Transaction) in ErasureBook.open(.user(user), tx) }
            func report(_ program: String) async throws {
                try await rig.database.transaction { (tx: borrowing Transaction) in
                    try await ErasureBookStore.report(
                        ErasureReport(subject: .user(user), program: program, counts: ["rows": 1], at: .now()),
                        of: ErasureBook.programs, tx)
                }
            }
            for program in ErasureBook.programs.dropLast() { try await report(program) }
            try await rig.personal.askAgain()
            let one = try await ErasureBookStore.page(isFinished: false, id: user, size: 5, offset: 0, rig.database)
            #expect(one.requests.first?.asks == 2)
            let asked = try await rig.database.query("SELECT 1 AS x FROM outbox WHERE type = 'auth.user.deleted.v1'")
            #expect(asked.count == 1)
            try await report(ErasureBook.programs.last ?? "")
            let two = try await ErasureBookStore.page(isFinished: true, id: user, size: 5, offset: 0, rig.database)
            #expect(two.count == 1)
            try await rig.personal.askAgain()
            let still = try await rig.database.query("SELECT 1 AS x FROM outbox WHERE type = 'auth.user.deleted.v1'")
            #expect(still.count == 1)
        }
    }

    @Test func `revocations nobody needs any more leave the compacted topic`() async throws {
        try await PersonalRig.with { rig in
            let (old, fresh) = (SessionID(), SessionID())
            _ = try await rig.database.execute(
                """
                INSERT INTO revocations (kind, id, at, until) VALUES
                    ('session', \(old), now() - interval '1 hour', now() - interval '30 minutes'),
                    ('session', \(fresh), now(), now() + interval '15 minutes')
                """)
            try await rig.personal.keepHouse()
            let told = try await rig.database.query("SELECT key, payload FROM outbox").map {
                (try $0.decode("key", as: String.self), try $0.decode("payload", as: String?.self))
            }
            #expect(told.count == 1 && told.first?.0 == "session:\(old.text)" && told.first?.1 == nil)
        }
    }
}
