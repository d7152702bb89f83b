import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Knowledge

@Suite struct ConfigTests {
    static let path = "/api/v1/config/business"

    @Test func `a configuration is created with defaults, replaced, listed and deleted`() async throws {
        try await Fixture.run { it in
            let created = await it.client.post(
                Self.path,
                json: [
                    "name": "Support", "type": "support",
                    "config_data": ["ai": ["temperature": 1, "seed": 7], "x": 1],
                ])
            #expect(created.status == 201)
            let config = try #require(try created.json()["config"])
            let id = try #require(config["id"]?.string)
            let data = try #require(config["config_data"])
            #expect(data["ai"]?["temperature"]?.double == 1)
            // What is not known is left out.
            #expect(data["ai"]?["seed"] == nil && data["x"] == nil)
            #expect(data["voice"]?["language"] == "en-US")
            #expect(data["knowledge_base"]?["retrieval_top_k"] == 4)
            #expect(data["quality_assurance"]?["min_score_threshold"]?.double == 0.6)
            #expect(data["escalation"]?["triggers"] == [])
            #expect(config["is_active"] == true)

            let off = await it.client.put("\(Self.path)/\(id)", json: ["name": "S", "type": "t", "is_active": false])
            #expect(off.status == 200)
            let kept = await it.client.put("\(Self.path)/\(id)", json: ["name": "S2", "type": "t"])
            #expect(try kept.json()["config"]?["is_active"] == false)
            #expect(try await it.client.get("\(Self.path)?is_active=true").json()["configs"] == [])
            #expect(try await it.client.get("\(Self.path)?is_active=false").json()["configs"]?.array?.count == 1)
            #expect(try await it.client.get("\(Self.path)/\(id)").json()["config"]?["name"] == "S2")

            let versions = try await it.database.query(
                "SELECT version, name FROM business_config_versions ORDER BY version")
            #expect(try versions.map { try $0.decode("name", as: String.self) } == ["Support", "S", "S2"])
            #expect(await it.client.delete("\(Self.path)/\(id)").status == 200)
            #expect(await it.client.get("\(Self.path)/\(id)").code == "CONFIG_NOT_FOUND")
            let changed = "knowledge.config.changed.v1 \(id)"
            #expect(try await it.published() == [changed, changed, changed, "knowledge.config.removed.v1 \(id)"])
        }
    }

    @Test func `a configuration with entries is in use`() async throws {
        try await Fixture.run { it in
            let id = try await it.addConfig("Shop")
            let entry = try await it.add("Hours", "Nine to five.", business: id)
            let refused = await it.client.delete("\(Self.path)/\(id)")
            #expect(refused.status == 400)
            #expect(refused.code == "IN_USE")
            #expect(refused.text.contains("Config in use: 1 knowledge entries."))
            _ = await it.client.delete("/api/v1/knowledge/\(entry)")
            #expect(await it.client.delete("\(Self.path)/\(id)").status == 200)
        }
    }

    @Test func `a configuration that calls run on is in use`() async throws {
        let users = ConfigUsers { _, _ in ConfigUsers.Count(aiAgents: 1, phoneNumbers: 2, liveCalls: 3) }
        try await Fixture.run(users: users) { it in
            let id = try await it.addConfig("Shop")
            let refused = await it.client.delete("\(Self.path)/\(id)")
            #expect(refused.status == 400 && refused.code == "IN_USE")
            #expect(try refused.json()["error"]?["details"] == ["ai_agents": 1, "phone_numbers": 2, "live_calls": 3])
            #expect(await it.client.get("\(Self.path)/\(id)").status == 200)
        }
    }

    @Test func `while nobody can tell whether calls run on it, it stays`() async throws {
        let users = ConfigUsers.remote(["http://127.0.0.1:1"], client: Client())
        try await Fixture.run(users: users) { it in
            let id = try await it.addConfig("Shop")
            #expect(await it.client.delete("\(Self.path)/\(id)").status == 503)
            #expect(await it.client.get("\(Self.path)/\(id)").status == 200)
        }
    }

    @Test func `versions are listed and one is restored`() async throws {
        try await Fixture.run { it in
            let id = try await it.addConfig("First")
            let second: JSON = [
                "name": "Second", "type": "t", "config_data": ["ai": ["temperature": 1.5]], "is_active": false,
            ]
            _ = await it.client.put("\(Self.path)/\(id)", json: second, token: "max")
            let listed = try await it.client.get("\(Self.path)/\(id)/versions?limit=1").json()
            #expect(listed["versions"]?.array?.map { $0["name"] } == ["Second"])
            #expect(listed["versions"]?[0]?["version"] == 2 && listed["pagination"]?["total"] == 2)
            #expect(listed["versions"]?[0]?["changed_by"]?.string?.isEmpty == false)
            let cursor = try #require(listed["pagination"]?["next_cursor"]?.string)
            let rest = try await it.client.get("\(Self.path)/\(id)/versions?limit=1&cursor=\(cursor)").json()
            #expect(rest["versions"]?.array?.map { $0["name"] } == ["First"])
            #expect(rest["versions"]?[0]?["changed_by"] != listed["versions"]?[0]?["changed_by"])

            let restored = await it.client.post("\(Self.path)/\(id)/versions/1/restore")
            #expect(restored.status == 200)
            let config = try restored.json()["config"]
            #expect(config?["name"] == "First" && config?["is_active"] == true)
            #expect(config?["config_data"]?["ai"]?["temperature"]?.double == 0.3)
            let all = try await it.client.get("\(Self.path)/\(id)/versions").json()["versions"]?.array ?? []
            #expect(all.map { $0["version"]?.int } == [3, 2, 1])
            #expect(try await it.published().count == 3)

            #expect(await it.client.post("\(Self.path)/\(id)/versions/9/restore").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.post("\(Self.path)/\(id)/versions/x/restore").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.post("\(Self.path)/\(id)/versions/1/restore", token: "vera").code == "FORBIDDEN")
            #expect(
                await it.client.post("\(Self.path)/\(id)/versions/1/restore", token: "otto").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.get("\(Self.path)/\(id)/versions", token: "otto").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.get("\(Self.path)/\(id)/versions", token: "vera").status == 200)
        }
    }

    @Test func `another workspace's configuration does not exist`() async throws {
        try await Fixture.run { it in
            let id = try await it.addConfig("Ours")
            let body: JSON = ["name": "a", "type": "b"]
            #expect(try await it.client.get(Self.path, token: "otto").json()["configs"] == [])
            #expect(await it.client.get("\(Self.path)/\(id)", token: "otto").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.put("\(Self.path)/\(id)", json: body, token: "otto").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.delete("\(Self.path)/\(id)", token: "otto").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.get("\(Self.path)/7", token: "otto").code == "CONFIG_NOT_FOUND")
            #expect(await it.client.put("\(Self.path)/\(id)", json: body, token: "vera").code == "FORBIDDEN")
            #expect(await it.client.post(Self.path, json: body, token: "vera").code == "FORBIDDEN")
            #expect(await it.client.delete("\(Self.path)/\(id)", token: "vera").code == "FORBIDDEN")
            #expect(await it.client.post(Self.path, json: body, token: "nobody").code == "FORBIDDEN")
        }
    }

    @Test func `a lost topic is stated again`() async throws {
        try await Fixture.run { it in
            let ids = [try await it.addConfig("A"), try await it.addConfig("B")]
            _ = try await it.database.execute("DELETE FROM outbox")
            try await it.database.transaction { (tx: borrowing Transaction) in try await ConfigStore.restate(tx) }
            #expect(try await it.published() == ids.map { "knowledge.config.changed.v1 \($0)" })
        }
    }

    @Test func `a deleted workspace leaves nothing behind`() async throws {
        try await Fixture.run { it in
            let config = try await it.addConfig("A")
            let entry = try await it.add("Hours", "Nine to five.", business: config)
            _ = try await it.database.execute("DELETE FROM outbox")
            let workspace = it.workspace
            try await it.database.transaction { (tx: borrowing Transaction) in
                try await onWorkspace(.deleted(id: workspace), tx)
            }
            try await Leftovers.erase(
                .workspace(workspace), steps: ErasureStore.steps, program: "knowledge", it.database)
            let published = try await it.published()
            #expect(published.contains("knowledge.entry.removed.v1 \(entry)"))
            #expect(published.contains("knowledge.config.removed.v1 \(config)"))
            let left = try await it.database.queryOne(
                """
                SELECT (SELECT count(*) FROM passages) + (SELECT count(*) FROM word_counts)
                    + (SELECT count(*) FROM business_config_versions) AS n
                """)
            #expect(try left?.decode("n", as: Int.self) == 0)
        }
    }
}

@Suite struct ConfigDataTests {
    /// What is wrong, and the member the complaint names.
    @Test(
        arguments: [
            (["ai": ["temperature": 2.1]], "config_data.ai.temperature"),
            (["ai": ["temperature": "warm"]], "config_data.ai.temperature"),
            (["ai": ["model": 7]], "config_data.ai.model"),
            (["ai": ["system_prompt": .string(String(repeating: "a", count: 20_001))]], "config_data.ai.system_prompt"),
            (["ai": []], "config_data.ai"),
            (["voice": ["language": "english!"]], "config_data.voice.language"),
            (["voice": ["response_delay": -1]], "config_data.voice.response_delay"),
            (["knowledge_base": ["enabled": "yes"]], "config_data.knowledge_base.enabled"),
            (["knowledge_base": ["retrieval_top_k": 0]], "config_data.knowledge_base.retrieval_top_k"),
            (["knowledge_base": ["retrieval_top_k": 21]], "config_data.knowledge_base.retrieval_top_k"),
            (["knowledge_base": ["similarity_threshold": 1.5]], "config_data.knowledge_base.similarity_threshold"),
            (["quality_assurance": ["sentiment_analysis": 3]], "config_data.quality_assurance.sentiment_analysis"),
            (["quality_assurance": ["min_score_threshold": 80]], "config_data.quality_assurance.min_score_threshold"),
            (["quality_assurance": ["rules": []]], "config_data.quality_assurance.rules"),
            (
                ["quality_assurance": ["rules": ["disclosure": ["within_turns": 21]]]],
                "config_data.quality_assurance.rules.disclosure.within_turns"
            ),
            (
                ["quality_assurance": ["rules": ["recording_notice": ["severity": "grave"]]]],
                "config_data.quality_assurance.rules.recording_notice.severity"
            ),
            (
                ["quality_assurance": ["rules": ["disclosure": ["phrases": ["…"]]]]],
                "config_data.quality_assurance.rules.disclosure.phrases"
            ),
            (
                ["quality_assurance": ["rules": ["forbidden_phrases": ["no risk"]]]],
                "config_data.quality_assurance.rules.forbidden_phrases[0]"
            ),
            (
                ["quality_assurance": ["rules": ["forbidden_phrases": [["phrase": "?"]]]]],
                "config_data.quality_assurance.rules.forbidden_phrases[0].phrase"
            ),
            (
                ["quality_assurance": ["rules": ["required_phrases": [["phrase": "Bye"], ["phrase": "bye"]]]]],
                "config_data.quality_assurance.rules.required_phrases[1].phrase"
            ),
            (
                ["quality_assurance": ["rules": ["required_phrases": [["severity": "low"]]]]],
                "config_data.quality_assurance.rules.required_phrases[0].phrase"
            ),
            (["escalation": ["triggers": [[:]]]], "config_data.escalation.triggers[0].type"),
            (["escalation": ["triggers": ["angry"]]], "config_data.escalation.triggers[0]"),
            (["escalation": ["triggers": [["type": "keyword"]]]], "config_data.escalation.triggers[0].keywords"),
            (
                ["escalation": ["triggers": [["type": "full_moon"]]]], "config_data.escalation.triggers[0].type"
            ),
            (
                ["escalation": ["triggers": [["type": "low_confidence", "threshold": 2]]]],
                "config_data.escalation.triggers[0].threshold"
            ),
            (
                ["escalation": ["triggers": [["type": "sentiment", "threshold": -2]]]],
                "config_data.escalation.triggers[0].threshold"
            ),
            (["escalation": ["warm_transfer": 7]], "config_data.escalation.warm_transfer"),
            (["x": .string(String(repeating: "a", count: 65_536))], "config_data"),
            ("all", "config_data"),
        ] as [(JSON, String)])
    func `a bad member is named`(data: JSON, member: String) {
        var form = Form(["config_data": data] as JSONObject)
        _ = ConfigData.read(&form)
        #expect(form.failed.contains { $0.name == member }, "\(form.failed)")
    }

    @Test func `members that are not known are left out, also in triggers`() {
        var form = Form(
            [
                "config_data": [
                    "crm": ["id": 7], "voice": ["pitch": 3],
                    "escalation": [
                        "triggers": [
                            [
                                "type": "sentiment", "threshold": -0.5, "skill": "billing", "department": "North",
                                "moon": "full",
                            ]
                        ]
                    ],
                ]
            ] as JSONObject)
        let data = ConfigData.read(&form)
        #expect(form.failed.isEmpty)
        #expect(data["crm"] == nil && data["voice"]?["pitch"] == nil)
        #expect(
            data["escalation"]?["triggers"] == [
                ["type": "sentiment", "threshold": -0.5, "skill": "billing", "department": "North"]
            ])
    }

    @Test func `rules of quality are kept with their defaults`() {
        var form = Form(
            [
                "config_data": [
                    "quality_assurance": [
                        "rules": [
                            "disclosure": ["required": true, "phrases": ["an AI"], "mood": 7],
                            "forbidden_phrases": [["phrase": " no risk ", "severity": "low"], ["phrase": "free"]],
                        ]
                    ]
                ]
            ] as JSONObject)
        let rules = ConfigData.read(&form)["quality_assurance"]?["rules"]
        #expect(form.failed.isEmpty)
        #expect(
            rules == [
                "disclosure": ["required": true, "within_turns": 2, "phrases": ["an AI"], "severity": "high"],
                "recording_notice": ["required": false, "within_turns": 2, "phrases": [], "severity": "high"],
                "forbidden_phrases": [
                    ["phrase": "no risk", "severity": "low"], ["phrase": "free", "severity": "high"],
                ],
                "required_phrases": [],
            ])
    }
}
