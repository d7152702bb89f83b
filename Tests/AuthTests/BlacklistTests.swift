import HTTP
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct BlacklistTests {
    private static let path = "/api/users/blacklist/"

    private static func block(
        _ office: Office, _ person: Office.Person, _ body: JSON
    ) async throws -> JSON {
        let made = await person.client.post(path, json: body)
        try #require(made.status == 201, "\(made.text)")
        return try made.json()
    }

    @Test func `a blocked person is out until the entry is lifted`() async throws {
        try await Office.open { office in
            let staff = try await office.staff(try await office.admin())
            let ann = try await office.register("ann@example.com")
            let entry = try await Self.block(
                office, staff, ["kind": "user", "value": .string(ann.id.text), "reason": "Fraud."])
            #expect(entry["is_active"] == true && entry["workspace"] == .null)
            #expect(try await office.revoked().contains("user:\(ann.id.text)"))
            #expect(try await office.events("auth.users").last?.type == "auth.user.blacklisted.v1")
            #expect(try await office.events("auth.blacklist").last?.type == "auth.blacklist.blocked.v1")
            let login = await office.anyone.post("/api/auth/login/", json: Office.credentials(ann.email))
            #expect(login.status == 403 && login.code == "ACCOUNT_BLOCKED")
            let refresh = await office.anyone.post("/api/auth/refresh/", json: ["refresh": .string(ann.refresh)])
            #expect(refresh.status == 403 && refresh.code == "ACCOUNT_BLOCKED")
            let id = try #require(entry["id"]?.string)
            #expect(await staff.client.delete(Self.path + id + "/").status == 204)
            #expect(try await office.events("auth.blacklist").last?.json == ["id": .string(id)])
            let again = await office.anyone.post("/api/auth/refresh/", json: ["refresh": .string(ann.refresh)])
            #expect(again.status == 200, "a refused refresh does not spend the token")
            #expect(await staff.client.delete(Self.path + id + "/").status == 404)
        }
    }

    @Test func `an address and a whole domain: no log-in, no registration`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@evil.example")
            let bob = try await office.register("bob@good.example")
            _ = try await Self.block(office, admin, ["kind": "email", "value": "*@EVIL.example"])
            #expect(try await office.revoked() == ["user:\(ann.id.text)"])
            for person in [ann, bob] {
                let login = await office.anyone.post("/api/auth/login/", json: Office.credentials(person.email))
                #expect(login.status == (person.id == ann.id ? 403 : 200))
            }
            for (email, status) in [("new@evil.example", 403), ("new@good.example", 201), ("x@not-evil.example", 201)] {
                let new = await office.anyone.post("/api/auth/register/", json: Office.credentials(email))
                #expect(new.status == status, "\(email)")
            }
            _ = try await Self.block(office, admin, ["kind": "email", "value": "Bob@Good.example"])
            #expect(
                await office.anyone.post("/api/auth/login/", json: Office.credentials(bob.email)).code
                    == "ACCOUNT_BLOCKED")
            let moved = await bob.client.patch("/api/users/users/me/", json: ["email": "b@evil.example"])
            #expect(moved.status == 403)
        }
    }

    @Test func `an entry that has run out blocks nothing, and makes room`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let soon = Instant.now() + .seconds(3600)
            let body: JSON = ["kind": "email", "value": "ann@example.com", "expires_at": .string(soon.iso)]
            let entry = try await Self.block(office, admin, body)
            let twice = await admin.client.post(Self.path, json: body)
            #expect(twice.status == 400 && twice.errors == ["value"])
            _ = try await office.database.execute("UPDATE blacklist SET expires_at = now() - interval '1 second'")
            #expect(await office.anyone.post("/api/auth/login/", json: Office.credentials(ann.email)).status == 200)
            #expect(try await admin.client.get(Self.path + "?is_active=false").ids().count == 1)
            let id = try #require(entry["id"]?.string)
            let longer = await admin.client.patch(Self.path + id + "/", json: ["expires_at": .null])
            #expect(longer.status == 200, "\(longer.text)")
            #expect(await office.anyone.post("/api/auth/login/", json: Office.credentials(ann.email)).status == 403)
            #expect(try await office.revoked().contains("user:\(ann.id.text)"))
            _ = try await office.database.execute("UPDATE blacklist SET expires_at = now() - interval '1 second'")
            _ = try await Self.block(office, admin, body)
            let told = try await office.events("auth.blacklist").map(\.type)
            #expect(told.filter { $0 == "auth.blacklist.lifted.v1" }.count == 1)
        }
    }

    @Test func `a manager blocks numbers of the own workspace and nothing else`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            let own = try await Self.block(office, ann, ["kind": "range", "value": "+44 79*"])
            #expect(own["workspace"]?.string == ann.workspace.text && own["value"] == "+4479*")
            for body in [
                ["kind": "user", "value": .string(bob.id.text)], ["kind": "email", "value": "bob@example.com"],
            ] as [JSON] {
                #expect(await ann.client.post(Self.path, json: body).status == 403)
            }
            let foreign = await ann.client.post(
                Self.path, json: ["kind": "phone", "value": "+14155550100", "workspace": .string(bob.workspace.text)])
            #expect(foreign.status == 404)
            let id = try #require(own["id"]?.string)
            #expect(await bob.client.get(Self.path + id + "/").status == 404)
            #expect(await bob.client.delete(Self.path + id + "/").status == 404)
            #expect(try await bob.client.get(Self.path).ids().isEmpty)
            _ = try await Self.block(office, admin, ["kind": "phone", "value": "+14155550100"])
            #expect(try await ann.client.get(Self.path).ids() == [id])
            #expect(try await admin.client.get(Self.path).ids().count == 2)
            #expect(try await admin.client.get(Self.path + "?is_global=true").ids().count == 1)
            #expect(try await admin.client.get(Self.path + "?kind=range&search=4479&ordering=-value").ids() == [id])
        }
    }

    @Test(
        arguments: [
            ("kind", ["kind": "ghost", "value": "x"]), ("value", ["kind": "user", "value": "x"]),
            ("value", ["kind": "user", "value": "0198c5d2-7a10-7cc3-98c5-d27a10acc3f1"]),
            ("value", ["kind": "email", "value": "x"]), ("value", ["kind": "email", "value": "*@"]),
            ("value", ["kind": "email", "value": "*"]), ("value", ["kind": "phone", "value": "123"]),
            ("value", ["kind": "range", "value": "+14155550100"]), ("value", ["kind": "range", "value": "+1*"]),
            ("value", ["kind": "range", "value": "+14155550199-+14155550100"]), ("value", ["kind": "phone"]),
            ("expires_at", ["kind": "phone", "value": "+14155550100", "expires_at": "2001-01-01T00:00:00Z"]),
        ] as [(String, JSON)])
    func `a bad entry is refused by its field`(_ field: String, _ body: JSON) async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let answer = await admin.client.post(Self.path, json: body)
            #expect(answer.status == 400 && answer.errors == [field], "\(answer.text)")
        }
    }

    @Test func `nobody locks themselves out, staff no admin, and what is blocked does not change`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let staff = try await office.staff(admin)
            func refused(_ person: Office.Person, _ body: JSON) async -> Int {
                await person.client.post(Self.path, json: body).status
            }
            #expect(await refused(staff, ["kind": "user", "value": .string(admin.id.text)]) == 403)
            #expect(await refused(staff, ["kind": "user", "value": .string(staff.id.text)]) == 403)
            #expect(await refused(admin, ["kind": "email", "value": "*@example.com"]) == 403)
            let entry = try await Self.block(office, staff, ["kind": "phone", "value": "+14155550100"])
            let path = Self.path + (entry["id"]?.string ?? "") + "/"
            #expect(await staff.client.patch(path, json: ["value": "+14155550101"]).errors == ["value"])
            let put = await staff.client.put(
                path, json: ["kind": "phone", "value": "+1 415 555 0100", "reason": "Spam"])
            #expect(try put.json()["reason"] == "Spam")
            #expect(await staff.client.put(path, json: ["reason": "x"]).errors == ["kind", "value"])
        }
    }

    @Test func `a broker that came back empty hears of every entry in force`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            _ = try await Self.block(office, admin, ["kind": "phone", "value": "+14155550100"])
            _ = try await Self.block(office, admin, ["kind": "phone", "value": "+14155550101"])
            _ = try await office.database.execute(
                "UPDATE blacklist SET expires_at = now() - interval '1 second' WHERE value = '+14155550101'")
            try await office.database.transaction { (tx: borrowing Transaction) in try await BlacklistStore.restate(tx)
            }
            let told = try await office.events("auth.blacklist")
            #expect(told.count == 3 && told.last?.json["value"] == "+14155550100")
        }
    }
}
