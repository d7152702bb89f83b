import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct ProfileTests {
    private static let path = "/api/dashboard/user/profile/"

    @Test func `a profile has the names of documents 002 and 004`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let json = try await ann.client.get(Self.path).json()
            for name in [
                "id", "email", "full_name", "user_name", "phone", "avatar", "is_verified", "date_joined",
                "account_status",
            ] {
                #expect(json.object?.contains(name) == true, "\(name) is missing")
            }
            #expect(json["full_name"] == "ann Uncommon" && json["account_status"] == "active")
        }
    }

    @Test func `a change touches what it names and tells the other programs`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let answer = await ann.client.patch(
                Self.path,
                json: [
                    "first_name": "Anna", "is_verified": true, "id": "x", "role": "admin",
                    "account_status": "suspended",
                ] as JSON)
            #expect(answer.status == 200)
            let json = try answer.json()
            #expect(json["first_name"] == "Anna" && json["last_name"] == "Uncommon" && json["phone"] == "+14155550199")
            #expect(json["is_verified"] == false && json["role"] == "user" && json["account_status"] == "active")
            let cleared = try await ann.client.patch(Self.path, json: ["phone": .null] as JSON).json()
            #expect(cleared["phone"] == .null && cleared["first_name"] == "Anna")
            let told = try await rig.database.query("SELECT payload FROM outbox WHERE type = 'auth.user.updated.v1'")
            #expect(told.count == 2)
        }
    }

    @Test func `another address has to be verified again, the same in other letters has not`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            _ = try await rig.database.execute("UPDATE users SET is_verified = true WHERE id = \(ann.id)")
            let same = try await ann.client.patch(Self.path, json: ["email": "Ann@Example.com"] as JSON).json()
            #expect(same["is_verified"] == true)
            let other = try await ann.client.patch(Self.path, json: ["email": "anna@example.com"] as JSON).json()
            #expect(other["is_verified"] == false && other["email"] == "anna@example.com")
            let login = await rig.logIn("anna@example.com")
            #expect(login.status == 200)
        }
    }

    @Test(arguments: [
        ("email", "bob@example.com"), ("email", "nonsense"), ("user_name", "a b"), ("phone", "12"),
        ("user_name", "bobby"),
    ])
    func `a bad or taken value is refused by its name and changes nothing`(_ field: String, _ value: String)
        async throws
    {
        try await PersonalRig.with { rig in
            let (ann, bob) = (try await rig.register("ann"), try await rig.register("bob"))
            _ = await bob.client.patch(Self.path, json: ["user_name": "bobby"] as JSON)
            let before = try await ann.client.get(Self.path).json()
            let answer = await ann.client.patch(Self.path, json: [field: .string(value), "first_name": "X"] as JSON)
            #expect(answer.status == 400)
            #expect(try answer.json()["errors"]?[field] != nil)
            #expect(try await ann.client.get(Self.path).json() == before)
        }
    }

    @Test func `a whole profile needs address and name and empties the rest`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let missing = await ann.client.put(Self.path, json: ["first_name": "A"] as JSON)
            #expect(missing.status == 400)
            let whole = try await ann.client.put(
                Self.path, json: ["email": "ann@example.com", "user_name": "ann", "full_name": "Ann van Dam"] as JSON
            ).json()
            #expect(whole["first_name"] == "Ann" && whole["last_name"] == "van Dam" && whole["phone"] == .null)
        }
    }
}
