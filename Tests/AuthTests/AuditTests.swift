import HTTP
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct AuditTests {
    @Test func `a change leaves who, what, from where, before and after`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let headers: Headers = ["X-Request-Id": "req-7", "User-Agent": "curl/8", "X-Forwarded-For": "192.0.2.7"]
            let done = await admin.client.patch(
                "/api/users/users/\(ann.id.text)/", json: ["first_name": "Anna"], headers: headers)
            #expect(done.status == 200)
            let line = try #require(try await office.trail(admin, "thing_id=\(ann.id.text)").first)
            #expect(line["action"] == "users.updated" && line["thing"] == "user")
            #expect(line["actor"]?["id"]?.string == admin.id.text && line["actor"]?["email"] == "root@example.com")
            #expect(line["actor"]?["role"] == "admin" && line["actor"]?["session_id"]?.string != nil)
            #expect(line["before"]?["first_name"] == "Ann" && line["after"]?["first_name"] == "Anna")
            #expect(line["before"]?["email"] == nil, "what did not change is left out")
            #expect(
                line["address"] == "192.0.2.7" && line["user_agent"] == "curl/8" && line["request_id"] == "req-7")
        }
    }

    @Test func `every administrative change is in it, and is found`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let (users, place) = ("/api/users/users/", "/api/workspaces/workspaces/\(ann.workspace.text)/")
            _ = await admin.client.post(users, json: ["email": "c@example.com", "password": "securepassword123"])
            _ = await admin.client.patch(
                "\(users)\(bob.id.text)/change_status/", json: ["status": "inactive", "reason": "Left."])
            _ = await admin.client.patch("\(users)\(bob.id.text)/change_status/", json: ["status": "active"])
            let entry =
                try await admin.client.post(
                    "/api/users/blacklist/", json: ["kind": "phone", "value": "+14155550100"]
                ).json()["id"]?.string ?? ""
            _ = await admin.client.patch("/api/users/blacklist/\(entry)/", json: ["reason": "Spam"])
            _ = await admin.client.delete("/api/users/blacklist/\(entry)/")
            _ = await ann.client.patch(place, json: ["name": "Sales"])
            _ = await ann.client.post("\(place)add_users/", json: ["user_ids": [.string(bob.id.text)]])
            _ = await ann.client.patch("\(place)users/\(bob.id.text)/", json: ["role": "agent"])
            _ = await ann.client.post("\(place)transfer_ownership/", json: ["user_id": .string(bob.id.text)])
            _ = await bob.client.post("\(place)remove_users/", json: ["user_ids": [.string(ann.id.text)]])
            let invitation =
                try await bob.client.post(
                    "/api/workspaces/invitations/",
                    json: ["email": "new@example.com", "workspace": .string(ann.workspace.text)]
                ).json()["id"]?.string ?? ""
            _ = await bob.client.delete("/api/workspaces/invitations/\(invitation)/")
            _ = await bob.client.delete(place)
            let actions = try await office.trail(admin, "page_size=100&ordering=created_at").compactMap {
                $0["action"]?.string
            }
            #expect(
                actions == [
                    "users.created", "users.created", "users.status_changed", "users.status_changed", "blacklist.added",
                    "blacklist.changed", "blacklist.lifted", "workspaces.updated", "workspaces.member_added",
                    "workspaces.member_changed", "workspaces.ownership_transferred", "workspaces.member_removed",
                    "workspaces.invited", "workspaces.invitation_withdrawn", "workspaces.deleted",
                ])
            for (query, count) in [
                ("actor=\(bob.id.text)", 4), ("action=blacklist.lifted", 1), ("action=blacklist", 3),
                ("thing=member", 3), ("thing_id=\(bob.id.text)", 4), ("workspace=\(ann.workspace.text)", 8),
                ("search=\(entry)", 3), ("search=bob@", 4), ("search=workspaces.inv", 2),
                ("created_at__lte=2001-01-01", 0), ("created_at__gte=2001-01-01", 15),
            ] {
                #expect(try await office.trail(admin, "page_size=100&\(query)").count == count, "\(query)")
            }
            let text = await admin.client.get("/api/users/audit/?page_size=100").text
            #expect(!text.contains("securepassword123") && !text.contains("argon2"))
        }
    }

    @Test func `it is the admins' alone, and nobody changes it`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let staff = try await office.staff(admin)
            #expect(await staff.client.get("/api/users/audit/").status == 403)
            #expect(await office.anyone.get("/api/users/audit/").status == 401)
            for statement in [
                "UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit",
            ] as [Query] {
                await #expect(throws: PostgresError.self) { _ = try await office.database.execute(statement) }
            }
        }
    }

    @Test func `a change that fails leaves nothing`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            _ = try await office.register("bob@example.com")
            let before = try await office.trail(admin).count
            let taken = await admin.client.patch(
                "/api/users/users/\(ann.id.text)/", json: ["email": "bob@example.com"])
            #expect(taken.status == 400)
            #expect(try await office.trail(admin).count == before)
        }
    }

    @Test func `who is erased is forgotten, and what was done stays`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            _ = await admin.client.patch("/api/users/users/\(ann.id.text)/", json: ["email": "anna@example.com"])
            _ = await ann.client.post("/api/workspaces/workspaces/", json: ["name": "Sales"])
            _ = try await office.database.query("SELECT audit_forget(\(ann.id), 'anna@example.com')::text AS done")
            let text = await admin.client.get("/api/users/audit/?page_size=100").text
            #expect(!text.contains("\"ann@example.com\""))
            let line = try #require(try await office.trail(admin, "thing_id=\(ann.id.text)").first)
            #expect(line["action"] == "users.updated" && line["before"] == .null && line["after"] == .null)
            let own = try #require(try await office.trail(admin, "actor=\(ann.id.text)").first)
            #expect(own["address"] == .null && own["user_agent"] == .null)
        }
    }

    @Test func `secrets are left out however deep, and so is what follows from the change`() {
        let (was, became) = Audit.changes(
            ["name": "a", "password_hash": "x", "version": 1, "same": [1], "inner": ["api_token": "t", "kept": 1]],
            ["name": "b", "password_hash": "y", "version": 2, "same": [1], "inner": ["api_token": "u", "kept": 2]])
        #expect(was == ["name": "a", "inner": ["kept": 1]])
        #expect(became == ["name": "b", "inner": ["kept": 2]])
        #expect(Audit.changes(nil, ["secret_key": "x", "name": "n"]).1 == ["name": "n"])
    }
}
