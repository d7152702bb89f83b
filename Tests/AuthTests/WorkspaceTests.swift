import HTTP
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct WorkspaceTests {
    private static let path = "/api/workspaces/workspaces/"
    private static func path(_ id: WorkspaceID, _ rest: String = "") -> String { "\(path)\(id.text)/\(rest)" }

    private static func add(
        _ office: Office, _ owner: Office.Person, _ people: [Office.Person], as role: WorkspaceRole
    ) async throws {
        let answer = await owner.client.post(
            path(owner.workspace, "add_users/"),
            json: ["user_ids": .array(people.map { .string($0.id.text) }), "role": .string(role.rawValue)])
        try #require(answer.status == 200, "\(answer.text)")
    }

    private static func results(_ answer: ClientResponse) throws -> [String] {
        try answer.json()["results"]?.array?.compactMap { $0["result"]?.string } ?? []
    }

    @Test func `whoever makes one owns it, sees it and renames it`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let made = await ann.client.post(Self.path, json: ["workspace_name": "Marketing Team"])
            #expect(made.status == 201, "\(made.text)")
            let json = try made.json()
            #expect(json["workspace_name"] == "Marketing Team" && json["name"] == "Marketing Team")
            #expect(json["role"] == "owner" && json["members_count"] == 1 && json["owner"]?.string == ann.id.text)
            let id = try #require(json["id"]?.string)
            #expect(await ann.client.get("\(Self.path)\(id)/").status == 200, "with a token of before")
            #expect(await bob.client.get("\(Self.path)\(id)/").status == 404)
            #expect(await bob.client.patch("\(Self.path)\(id)/", json: ["name": "X"]).status == 404)
            let renamed = await ann.client.patch("\(Self.path)\(id)/", json: ["name": "Sales"])
            #expect(try renamed.json()["workspace_name"] == "Sales")
            #expect(await ann.client.post(Self.path, json: ["name": ""]).errors == ["name"])
            #expect(await ann.client.put("\(Self.path)\(id)/", json: [:]).errors == ["workspace_name"])
            #expect(try await ann.client.get(Self.path + "?search=sal").ids() == [id])
            #expect(try await ann.client.get(Self.path + "?ordering=name").ids().count == 2)
            #expect(try await bob.client.get(Self.path).ids() == [bob.workspace.text])
            let types = try await office.events("auth.workspaces").suffix(3).map(\.type)
            #expect(
                types == ["auth.workspace.created.v1", "auth.workspace.member_added.v1", "auth.workspace.updated.v1"])
        }
    }

    @Test func `people are added row by row, each with an answer`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let agent = try await office.register("agent@example.com", role: .agent)
            let gone = try await office.register("gone@example.com")
            _ = try await office.database.execute("UPDATE users SET status = 'suspended' WHERE id = \(gone.id)")
            let ids: JSON = [
                .string(bob.id.text), .string(ann.id.text), "nonsense", .string(UserID().text), .string(gone.id.text),
                .string(agent.id.text), .string(bob.id.text.uppercased()),
            ]
            let answer = await ann.client.post(Self.path(ann.workspace, "add_users/"), json: ["user_ids": ids])
            #expect(answer.status == 200)
            #expect(
                try Self.results(answer) == ["added", "already_member", "not_found", "not_found", "forbidden", "added"])
            let roles = try answer.json()["results"]?.array?.map { $0["role"]?.string }
            #expect(roles == ["viewer", "owner", nil, nil, nil, "agent"])
            #expect(try await office.revoked() == ["user:\(bob.id.text)", "user:\(agent.id.text)"])
            let told = try await office.events("auth.workspaces").filter { $0.json["role"] == "agent" }
            #expect(told.map { $0.json["user_id"]?.string } == [agent.id.text])
            let list = try await bob.client.get(Self.path(ann.workspace, "users/?ordering=-email")).ids()
            #expect(list == [bob.id.text, ann.id.text, agent.id.text])
            #expect(
                try await bob.client.get(Self.path(ann.workspace, "users/?role=agent")).ids() == [agent.id.text])
            #expect(
                await bob.client.post(Self.path(ann.workspace, "add_users/"), json: ["user_ids": ids]).status == 403)
            for bad in [[:], ["user_ids": []], ["user_ids": "x"], ["user_ids": [1]]] as [JSON] {
                let refused = await ann.client.post(Self.path(ann.workspace, "add_users/"), json: bad)
                #expect(refused.errors == ["user_ids"])
            }
        }
    }

    @Test func `managers do not touch owners, and the last owner stays`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let eve = try await office.register("eve@example.com")
            try await Self.add(office, ann, [bob], as: .manager)
            try await Self.add(office, ann, [eve], as: .viewer)
            let place = ann.workspace
            func role(_ by: Office.Person, _ of: Office.Person, _ role: String) async -> Int {
                await by.client.patch(Self.path(place, "users/\(of.id.text)/"), json: ["role": .string(role)]).status
            }
            #expect(await role(bob, eve, "agent") == 200)
            #expect(await role(bob, eve, "owner") == 403)
            #expect(await role(bob, ann, "viewer") == 403)
            #expect(await role(bob, bob, "owner") == 403)
            #expect(await role(eve, bob, "viewer") == 403)
            #expect(await role(ann, ann, "viewer") == 409)
            #expect(await role(ann, ann, "king") == 400)
            let foreign = await ann.client.patch(
                Self.path(place, "users/\(UserID().text)/"), json: ["role": "agent"])
            #expect(foreign.status == 404 && foreign.code == "MEMBER_NOT_FOUND")
            let added = await bob.client.post(
                Self.path(place, "add_users/"), json: ["user_ids": [.string(UserID().text)], "role": "owner"])
            #expect(added.status == 403)
            func remove(_ by: Office.Person, _ people: [Office.Person]) async throws -> [String] {
                let answer = await by.client.post(
                    Self.path(place, "remove_users/"), json: ["user_ids": .array(people.map { .string($0.id.text) })])
                return answer.status == 200 ? try Self.results(answer) : ["\(answer.status)"]
            }
            #expect(try await remove(eve, [bob]) == ["403"])
            #expect(try await remove(bob, [ann, eve]) == ["forbidden", "removed"])
            #expect(try await remove(ann, [ann]) == ["last_owner"])
            #expect(try await remove(eve, [eve]) == ["404"])
            #expect(await role(ann, bob, "owner") == 200)
            #expect(try await remove(ann, [ann, bob]) == ["removed", "last_owner"])
            #expect(try await office.events("auth.workspaces").last?.type == "auth.workspace.member_removed.v1")
            #expect(try await office.revoked().contains("user:\(ann.id.text)"))
        }
    }

    @Test func `of two owners who leave at once one stays`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            try await Self.add(office, ann, [bob], as: .owner)
            let results = try await withThrowingTaskGroup(of: [String].self) { group in
                for person in [ann, bob] {
                    group.addTask {
                        try Self.results(
                            await person.client.post(
                                Self.path(ann.workspace, "remove_users/"),
                                json: ["user_ids": [.string(person.id.text)]]))
                    }
                }
                return try await group.reduce(into: [String]()) { $0 += $1 }
            }
            #expect(results.sorted() == ["last_owner", "removed"])
        }
    }

    @Test func `ownership is given to a member, and the giver stays as manager`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let transfer = Self.path(ann.workspace, "transfer_ownership/")
            func to(_ id: UserID, by: Office.Person) async -> ClientResponse {
                await by.client.post(transfer, json: ["user_id": .string(id.text)])
            }
            #expect(await to(bob.id, by: ann).errors == ["user_id"])
            try await Self.add(office, ann, [bob], as: .manager)
            #expect(await to(bob.id, by: bob).status == 403)
            #expect(await to(ann.id, by: ann).errors == ["user_id"])
            let done = await to(bob.id, by: ann)
            #expect(done.status == 200, "\(done.text)")
            #expect(try done.json()["owner"]?.string == bob.id.text && done.json()["role"] == "manager")
            let roles = try await bob.client.get(Self.path(ann.workspace, "users/?ordering=email")).json()["results"]
            #expect(roles?[0]?["role"] == "manager" && roles?[1]?["role"] == "owner")
            let told = try await office.events("auth.workspaces")
            #expect(
                told.last?.type == "auth.workspace.updated.v1" && told.last?.json["owner_id"]?.string == bob.id.text)
        }
    }

    @Test func `only an owner deletes, and everything of it goes`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            try await Self.add(office, ann, [bob], as: .manager)
            let entry = await bob.client.post(
                "/api/users/blacklist/",
                json: ["kind": "phone", "value": "+14155550100", "workspace": .string(ann.workspace.text)])
            #expect(entry.status == 404, "bob's token is older than his membership")
            let later = try await office.logIn(bob.email)
            let blocked = await later.client.post(
                "/api/users/blacklist/",
                json: ["kind": "phone", "value": "+14155550100", "workspace": .string(ann.workspace.text)])
            #expect(blocked.status == 201, "\(blocked.text)")
            #expect(await bob.client.delete(Self.path(ann.workspace)).status == 403)
            #expect(await ann.client.delete(Self.path(ann.workspace)).status == 204)
            #expect(await ann.client.get(Self.path(ann.workspace)).status == 404)
            let told = try await office.events("auth.workspaces").last
            #expect(told?.type == "auth.workspace.deleted.v1" && told?.json["id"]?.string == ann.workspace.text)
            #expect(try await office.events("auth.blacklist").last?.type == "auth.blacklist.lifted.v1")
            #expect(
                try await office.revoked().isSuperset(of: ["user:\(ann.id.text)", "user:\(bob.id.text)"]))
        }
    }

    // MARK: Invitations

    private static let invitations = "/api/workspaces/invitations/"

    /// The token of the newest mail to an address.
    private static func mailed(_ office: Office, _ email: String) async throws -> String {
        let mail = try #require(
            try await office.accounts.waitingMails().last {
                $0.to.text == email && $0.subject == "You are invited to a workspace"
            })
        return try #require(
            mail.text.split(separator: "\n").map(String.init).first { $0.count == 43 && !$0.contains(" ") })
    }

    @Test func `an invitation is accepted once, by whoever has the address`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let eve = try await office.register("eve@example.com")
            let made = await ann.client.post(Self.invitations, json: ["email": "Bob@example.com", "role": "agent"])
            #expect(made.status == 201, "\(made.text)")
            let token = try await Self.mailed(office, "Bob@example.com")
            #expect(!made.text.contains(token))
            let stored = try await office.database.queryOne("SELECT digest FROM invitations")
            #expect(try stored?.decode("digest", as: [UInt8].self) == Digest.sha256(token))
            let accept = Self.invitations + "accept/"
            #expect(await eve.client.post(accept, json: ["token": .string(token)]).status == 403)
            #expect(await office.anyone.post(accept, json: ["token": .string(token)]).status == 401)
            let bob = try await office.register("bob@example.com", role: .agent)
            #expect(await bob.client.post(accept, json: ["token": "x"]).status == 404)
            let joined = await bob.client.post(accept, json: ["token": .string(token)])
            #expect(joined.status == 200, "\(joined.text)")
            #expect(try joined.json()["role"] == "agent" && joined.json()["workspace"]?["members_count"] == 2)
            #expect(await bob.client.post(accept, json: ["token": .string(token)]).status == 404)
            #expect(try await bob.client.get("/api/users/users/me/").json()["is_verified"] == true)
            #expect(try await office.events("auth.workspaces").last?.json["role"] == "agent")
            #expect(try await office.revoked() == ["user:\(bob.id.text)"])
            let list = try await ann.client.get(Self.invitations + "?status=accepted").json()["results"]
            #expect(list?[0]?["accepted_by"]?.string == bob.id.text)
        }
    }

    @Test func `of many who use a token at once one joins`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            _ = await ann.client.post(Self.invitations, json: ["email": "bob@example.com"])
            let token = try await Self.mailed(office, "bob@example.com")
            let statuses = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        await bob.client.post(Self.invitations + "accept/", json: ["token": .string(token)]).status
                    }
                }
                return await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 1, 404: 7])
        }
    }

    @Test func `an invitation is sent again with another token, withdrawn, and runs out`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let made = try await ann.client.post(Self.invitations, json: ["email": "bob@example.com"]).json()
            let path = Self.invitations + (made["id"]?.string ?? "") + "/"
            let first = try await Self.mailed(office, "bob@example.com")
            #expect(await ann.client.post(path + "resend/").status == 429)
            _ = try await office.database.execute("UPDATE invitations SET sent_at = now() - interval '2 minutes'")
            #expect(await ann.client.post(path + "resend/").status == 200)
            let second = try await Self.mailed(office, "bob@example.com")
            #expect(second != first)
            func accept(_ token: String) async -> Int {
                await bob.client.post(Self.invitations + "accept/", json: ["token": .string(token)]).status
            }
            #expect(await accept(first) == 404)
            _ = try await office.database.execute("UPDATE invitations SET expires_at = now() - interval '1 second'")
            #expect(await accept(second) == 410)
            #expect(try await ann.client.get(Self.invitations + "?status=expired").ids().count == 1)
            #expect(await ann.client.post(Self.invitations, json: ["email": "bob@example.com"]).status == 201)
            #expect(await ann.client.post(Self.invitations, json: ["email": "BOB@example.com"]).errors == ["email"])
            #expect(await ann.client.delete(path).status == 409)
            let open = try await ann.client.get(Self.invitations + "?status=pending").ids()
            #expect(await bob.client.delete(Self.invitations + "\(open[0])/").status == 404)
            #expect(await ann.client.delete(Self.invitations + "\(open[0])/").status == 204)
            #expect(await accept(try await Self.mailed(office, "bob@example.com")) == 404)
        }
    }

    @Test func `who may not be invited`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            try await Self.add(office, ann, [bob], as: .manager)
            _ = await admin.client.post("/api/users/blacklist/", json: ["kind": "email", "value": "x@evil.example"])
            func invite(_ by: Office.Person, _ email: String, _ role: String, _ place: WorkspaceID) async
                -> ClientResponse
            {
                await by.client.post(
                    Self.invitations,
                    json: ["email": .string(email), "role": .string(role), "workspace": .string(place.text)])
            }
            #expect(await invite(ann, "bob@example.com", "agent", ann.workspace).errors == ["email"])
            #expect(await invite(ann, "x@evil.example", "agent", ann.workspace).status == 403)
            #expect(await invite(bob, "new@example.com", "owner", ann.workspace).status == 403)
            #expect(await invite(ann, "new@example.com", "agent", bob.workspace).status == 404)
            #expect(await invite(ann, "nobody", "king", ann.workspace).errors == ["email", "role"])
            #expect(await invite(bob, "new@example.com", "manager", ann.workspace).status == 201)
        }
    }

    @Test func `figures tell members by role and whether the asker belongs`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            try await Self.add(office, ann, [bob], as: .agent)
            _ = await ann.client.post(Self.invitations, json: ["email": "new@example.com"])
            let path = "/internal/workspaces/\(ann.workspace.text)/stats"
            let json = try await office.anyone.get("\(path)?user=\(bob.id.text)").json()
            #expect(json["members"] == ["total": 2, "owner": 1, "manager": 0, "agent": 1, "viewer": 0])
            #expect(json["pending_invitations"] == 1 && json["belongs"] == true)
            #expect(try await office.anyone.get("\(path)?user=\(UserID().text)").json()["belongs"] == false)
            #expect(await office.anyone.get("/internal/workspaces/\(WorkspaceID().text)/stats").status == 404)
        }
    }
}
