import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct SettingsTests {
    private static let path = "/api/dashboard/user/settings/"

    private static func kept(_ rig: PersonalRig) async throws -> JSON? {
        try await rig.database.queryOne("SELECT changes FROM user_settings").map { try $0["changes"] }
    }

    @Test func `everybody begins with the defaults`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let json = try await ann.client.get(Self.path).json()
            #expect(json.object?.names == ["account", "notifications", "privacy", "calls", "dashboard"])
            #expect(json["account"]?["timezone"] == "UTC")
            #expect(json["notifications"]?["events"]?["call_escalated"]?["email"] == true)
            #expect(try await Self.kept(rig) == nil)
        }
    }

    @Test(arguments: ["PUT", "PATCH"])
    func `a change reaches as deep as it goes, the rest stays, and only differences are kept`(_ method: String)
        async throws
    {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            func change(_ json: JSON) async -> ClientResponse {
                method == "PUT"
                    ? await ann.client.put(Self.path, json: json) : await ann.client.patch(Self.path, json: json)
            }
            _ = await change(["account": ["timezone": "Europe/Zurich", "time_format": "24h"]])
            let answer = try await change([
                "calls": ["hours": ["days": ["monday"]]], "dashboard": ["widgets": ["billing": ["visible": false]]],
            ]).json()
            #expect(answer["account"]?["timezone"] == "Europe/Zurich")
            #expect(answer["calls"]?["hours"]?["from"] == "08:00")
            #expect(answer["dashboard"]?["widgets"]?["billing"]?["order"] == 5)
            #expect(
                try await Self.kept(rig) == [
                    "account": ["timezone": "Europe/Zurich"], "calls": ["hours": ["days": ["monday"]]],
                    "dashboard": ["widgets": ["billing": ["visible": false]]],
                ])
            let back = try await change(["calls": .null, "account": ["timezone": .null]]).json()
            #expect(back["calls"]?["hours"]?["days"]?.array?.count == 5 && back["account"]?["timezone"] == "UTC")
            #expect(try await Self.kept(rig) == ["dashboard": ["widgets": ["billing": ["visible": false]]]])
        }
    }

    @Test(
        arguments: [
            (["account": ["nonsense": 1]], "account.nonsense"), (["is_admin": true], "is_admin"),
            (["account": ["timezone": "Europe/Nowhere"]], "account.timezone"),
            (["account": ["language": "english please"]], "account.language"),
            (["account": ["date_format": "D"]], "account.date_format"), (["account": "x"], "account"),
            (["notifications": ["quiet_hours": ["from": "25:00"]]], "notifications.quiet_hours.from"),
            (["notifications": ["events": ["security": ["email": "yes"]]]], "notifications.events.security.email"),
            (["privacy": ["share_usage_statistics": 1]], "privacy.share_usage_statistics"),
            (["calls": ["ring_seconds": 5]], "calls.ring_seconds"),
            (["calls": ["hours": ["days": ["monday", "monday"]]]], "calls.hours.days"),
            (["dashboard": ["widgets": ["billing": ["order": 0]]]], "dashboard.widgets.billing.order"),
        ] as [(JSON, String)])
    func `what is unknown or of the wrong kind is refused by its path and changes nothing`(
        _ change: JSON, _ path: String
    ) async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            _ = await ann.client.patch(Self.path, json: ["account": ["time_format": "12h"]] as JSON)
            let answer = await ann.client.patch(Self.path, json: change)
            #expect(answer.status == 400)
            #expect(try answer.json()["errors"]?[path] != nil, "\(answer.text)")
            #expect(try await Self.kept(rig) == ["account": ["time_format": "12h"]])
        }
    }

    @Test func `a change based on an old version is refused`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let first = await ann.client.get(Self.path)
            let tag = try #require(first.headers["ETag"])
            let one = await ann.client.patch(
                Self.path, json: ["account": ["language": "de"]] as JSON, headers: ["If-Match": tag])
            #expect(one.status == 200 && one.headers["ETag"] != tag)
            let two = await ann.client.patch(
                Self.path, json: ["account": ["language": "fr"]] as JSON, headers: ["If-Match": tag])
            #expect(two.status == 412)
            let unchanged = await ann.client.get(Self.path, headers: ["If-None-Match": one.headers["ETag"] ?? ""])
            #expect(unchanged.status == 304)
        }
    }

    @Test func `of many who change the same version one succeeds`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        await ann.client.patch(
                            Self.path, json: ["calls": ["ring_seconds": .int(40 + number)]] as JSON,
                            headers: ["If-Match": "\"0\""]
                        ).status
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 1, 412: 11])
        }
    }

    @Test func `what the schema does not know any more is not shown`() async throws {
        try await PersonalRig.with { rig in
            let ann = try await rig.register("ann")
            let old: JSON = ["account": ["language": 7, "gone": true], "calls": ["record": true], "old": [1]]
            _ = try await rig.database.execute(
                "INSERT INTO user_settings (user_id, version, changes) VALUES (\(ann.id), 3, \(old))")
            let json = try await ann.client.get(Self.path).json()
            #expect(json["account"]?["language"] == "en" && json["account"]?["gone"] == nil && json["old"] == nil)
            #expect(json["calls"]?["record"] == true)
        }
    }
}
