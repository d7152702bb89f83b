import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct AgentRoutesTests {
    @Test func `document 001's own example makes an agent`() async throws {
        try await Rig.with { rig async throws in
            let body: JSON = [
                "workspace": .string(rig.ann.workspace.text), "greeting": "Hello! How can I help you today?",
                "voice": "en-US-Wavenet-D", "language": "en-US", "retry_interval": 30,
                "workdays": ["monday", "tuesday", "wednesday", "thursday", "friday"], "call_from": "09:00:00",
                "call_to": "17:00:00", "character": "Friendly and professional customer service agent",
            ]
            let made = await rig.ann.client.post("/api/agents/agents/", json: body)
            #expect(made.status == 201)
            let agent = try made.json()
            for (name, value) in body.object?.pairs ?? [] { #expect(agent[name] == value, "\(name)") }
            #expect(agent["personality_type"] == "professional")
            #expect(agent["status"] == "training")
            #expect(agent["training_level"] == 50, "greeting, voice, character and hours: four of eight")
            let id = try #require(agent["id"]?.string)
            #expect(try await rig.ann.client.get("/api/agents/agents/\(id)/").json() == agent)
            #expect(await rig.ann.client.get("/api/agents/agents/\(id)").status == 200, "without the slash too")
        }
    }

    @Test func `PATCH changes what it names, PUT resets what it leaves out`() async throws {
        try await Rig.with { rig async throws in
            let id = try await rig.agent([
                "voice": "v", "call_from": "09:00", "call_to": "17:00", "timezone": "Europe/Berlin",
            ]).text
            let path = "/api/agents/agents/\(id)/"
            let patched = try await rig.ann.client.patch(
                path, json: ["name": "Ada", "call_from": .null, "status": "paused"]
            ).json()
            #expect(patched["name"] == "Ada")
            #expect(patched["call_from"] == .null)
            #expect(patched["call_to"] == "17:00:00")
            #expect(patched["voice"] == "v")
            #expect(patched["status"] == "paused")
            #expect(await rig.ann.client.put(path, json: ["name": "Ada"]).status == 400, "greeting is required")
            let put = try await rig.ann.client.put(path, json: ["greeting": "Hi"]).json()
            #expect(put["voice"] == "")
            #expect(put["timezone"] == .null)
            #expect(put["status"] == "training")
            #expect(await rig.ann.client.delete(path).status == 204)
            #expect(await rig.ann.client.get(path).status == 404)
        }
    }

    private static let badFields: [(String, JSON)] = [
        ("greeting", [:]), ("call_from", ["greeting": "x", "call_from": "25:00"]),
        ("workdays", ["greeting": "x", "workdays": ["funday"]]),
        ("retry_interval", ["greeting": "x", "retry_interval": -1]),
        ("personality_type", ["greeting": "x", "personality_type": "grumpy"]),
        ("timezone", ["greeting": "x", "timezone": "Mars/Olympus"]), ("status", ["greeting": "x", "status": "gone"]),
    ]

    @Test(arguments: badFields)
    func `a bad field is named`(field: String, body: JSON) async throws {
        try await Rig.with { rig async throws in
            let answer = await rig.ann.client.post("/api/agents/agents/", json: body)
            #expect(answer.status == 400)
            #expect(try answer.json()["errors"]?[field] != nil, "\(answer.text)")
        }
    }

    @Test func `agents are listed as classic lists are`() async throws {
        try await Rig.with { rig async throws in
            for name in ["Ada", "Bea", "Cid"] {
                _ = try await rig.agent(["name": .string(name), "voice": .string("v\(name)")])
            }
            func names(_ query: String) async throws -> [String] {
                try await rig.ann.client.get("/api/agents/agents/?\(query)").json()["results"]?.array?
                    .compactMap { $0["name"]?.string } ?? []
            }
            #expect(try await names("ordering=name") == ["Ada", "Bea", "Cid"])
            #expect(try await names("ordering=-name") == ["Cid", "Bea", "Ada"])
            #expect(try await names("search=bea") == ["Bea"])
            #expect(try await names("voice=vCid") == ["Cid"])
            #expect(try await names("status=paused") == [])
            #expect(try await names("nonsense=1").count == 3, "unknown parameters are ignored in the classic family")
            let page = try await rig.ann.client.get("/api/agents/agents/?page_size=2&ordering=name").json()
            #expect(page["count"] == 3)
            #expect(page["next"]?.string?.contains("page=2") == true)
            #expect(page["previous"] == .null)
            #expect(await rig.ann.client.get("/api/agents/agents/?ordering=shoe_size").status == 400)
        }
    }

    @Test func `phone numbers are assigned and taken away`() async throws {
        try await Rig.with { rig async throws in
            let agent = try await rig.agent().text
            let (one, two) = (
                try await rig.line("+14155550121", agent: nil).text, try await rig.line("+14155550122", agent: nil).text
            )
            let ids: JSON = ["phone_number_ids": [.string(one), .string(two)]]
            #expect(
                await rig.ann.client.post("/api/agents/agents/\(agent)/assign_phone_numbers/", json: ids).status == 200)
            #expect(try await rig.ann.client.get("/api/agents/agents/\(agent)/phone_numbers/").json()["count"] == 2)
            let config = try await rig.ann.client.get("/api/agents/agents/\(agent)/config/").json()
            #expect(config["phone_numbers"]?.array?.count == 2)
            #expect(config["greeting"] == "Hello, this is Ada.")
            let removed = await rig.ann.client.post(
                "/api/agents/agents/\(agent)/remove_phone_numbers/", json: ["phone_number_ids": [.string(one)]])
            #expect(removed.status == 200)
            #expect(try await rig.ann.client.get("/api/agents/phone-numbers/\(one)/").json()["agent"] == .null)
            #expect(try await rig.ann.client.get("/api/agents/phone-numbers/?is_assigned=true").json()["count"] == 1)
            #expect(
                await rig.ann.client.post("/api/agents/agents/\(agent)/assign_phone_numbers/", json: [:]).status == 400)
        }
    }

    @Test func `a number is in one place only`() async throws {
        try await Rig.with { rig async throws in
            _ = try await rig.line("+14155550121", agent: nil)
            let again = await rig.bob.client.post(
                "/api/agents/phone-numbers/", json: ["phone_number": "+1 415 555 0121"])
            #expect(again.status == 400)
            #expect(try again.json()["errors"]?["phone_number"] != nil)
            let other = try await rig.line("+14155550122", agent: nil).text
            #expect(
                await rig.ann.client.patch(
                    "/api/agents/phone-numbers/\(other)/", json: ["phone_number": "+14155550121"]
                ).status == 400)
            #expect(
                await rig.ann.client.patch("/api/agents/phone-numbers/\(other)/", json: ["label": "Sales"]).status
                    == 200)
            #expect(try await rig.ann.client.get("/api/agents/phone-numbers/?search=sales").json()["count"] == 1)
            #expect(await rig.ann.client.delete("/api/agents/phone-numbers/\(other)/").status == 204)
        }
    }

    @Test func `of many agents made at once only as many as the plan allows are made`() async throws {
        try await Rig.with(policy: { $0.agentsFree = 2 }) { rig async throws in
            let answers = await withTaskGroup(of: ClientResponse.self) { group in
                for _ in 0..<8 {
                    group.addTask { await rig.ann.client.post("/api/agents/agents/", json: ["greeting": "x"]) }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count { $0.status == 201 } == 2)
            let refused = answers.filter { $0.status != 201 }
            #expect(refused.allSatisfy { $0.status == 402 && $0.code == "PAYMENT_REQUIRED" })
            let words = try #require(refused.first?.text)
            #expect(words.contains("/api/subscriptions/plans/"), "it says what to do next")
            #expect(try await rig.ann.client.get("/api/agents/agents/").json()["count"] == 2)
            _ = try await rig.agent(of: rig.bob)
        }
    }

    @Test func `the plan's limit is the one billing told last, and a deleted agent makes room`() async throws {
        try await Rig.with(policy: { $0.agentsFree = 1 }) { rig async throws in
            let subscription = SubscriptionID()
            func told(_ limit: Int64?, version: Int64, cancelled: Bool = false) async throws {
                let snapshot = SubscriptionSnapshot(
                    id: subscription, workspaceID: rig.ann.workspace, userID: UserID(),
                    plan: .init(id: PlanID(), slug: "plan", name: "Plan"), status: "active",
                    limits: .init(agentLimit: limit), periodStart: .now(), periodEnd: .now(), version: version)
                try await rig.database.transaction { (tx: borrowing Transaction) in
                    try await rig.telephony.onSubscription(cancelled ? .cancelled(snapshot) : .changed(snapshot), tx)
                }
            }
            func make() async -> Int {
                await rig.ann.client.post("/api/agents/agents/", json: ["greeting": "x"]).status
            }
            let first = try await rig.agent()
            #expect(await make() == 402, "everyone starts on the free plan")
            try await told(2, version: 2)
            #expect(await make() == 201)
            #expect(await make() == 402)
            try await told(9, version: 1)
            #expect(await make() == 402, "an older word changes nothing")
            #expect(await rig.ann.client.delete("/api/agents/agents/\(first.text)/").status == 204)
            #expect(await make() == 201)
            try await told(nil, version: 3)
            #expect(await make() == 201, "null is any number")
            try await told(nil, version: 4, cancelled: true)
            #expect(await make() == 402, "what is there stays, but nothing is added")
            // Billing's own announcement is late by nature and decides nothing.
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onUsage(
                    .limitReached(workspaceID: rig.bob.workspace, limit: .agents, value: 0, max: 0), tx)
            }
            _ = try await rig.agent(of: rig.bob)
        }
    }

    @Test func `what happens to an AI agent is told with its version`() async throws {
        try await Rig.with { rig async throws in
            let id = try await rig.agent(["name": "Ada"]).text
            #expect(await rig.ann.client.patch("/api/agents/agents/\(id)/", json: ["name": "Eva"]).status == 200)
            #expect(await rig.ann.client.delete("/api/agents/agents/\(id)/").status == 204)
            #expect(await rig.ann.client.delete("/api/agents/agents/\(id)/").status == 404)
            let events = try await rig.events().filter { $0.type.hasPrefix("telephony.ai_agent.") }
            #expect(
                events.map(\.type) == [
                    "telephony.ai_agent.changed.v1", "telephony.ai_agent.changed.v1", "telephony.ai_agent.removed.v1",
                ])
            #expect(events.map { $0.json["version"]?.int } == [1, 2, 3])
            #expect(events.map { $0.json["name"]?.string } == ["Ada", "Eva", nil])
            #expect(events.allSatisfy { $0.json["id"]?.string == id })
        }
    }
}

@Suite struct HumanAgentRoutesTests {
    @Test func `a human agent is made, changed, sent away and deleted`() async throws {
        try await Rig.with { rig async throws in
            let made = await rig.ann.client.post(
                "/api/v1/agents",
                json: [
                    "name": "Hugo", "email": "Hugo@Example.com", "phone_number": "+1 415 555 0177",
                    "skills": ["billing"],
                ])
            #expect(made.status == 201)
            let agent = try made.json()["agent"]
            #expect(agent?["phone_number"] == "+14155550177")
            #expect(agent?["is_available"] == true)
            #expect(agent?["total_calls_handled"] == 0)
            let id = try #require(agent?["id"]?.string)
            #expect(
                await rig.ann.client.post("/api/v1/agents", json: ["name": "Other", "email": "hugo@example.com"]).status
                    == 400)
            #expect(
                await rig.bob.client.post("/api/v1/agents", json: ["name": "Other", "email": "hugo@example.com"]).status
                    == 201)
            let away = try await rig.ann.client.patch(
                "/api/v1/agents/\(id)/availability", json: ["is_available": false]
            ).json()
            #expect(away["agent"]?["is_available"] == false)
            #expect(try await rig.ann.client.get("/api/v1/agents?is_available=true").json()["agents"] == [])
            #expect(try await rig.ann.client.get("/api/v1/agents?is_active=true").json()["agents"]?.array?.count == 1)
            #expect(await rig.ann.client.get("/api/v1/agents?page=1").status == 400, "document 003 has no pages here")
            let put = try await rig.ann.client.put(
                "/api/v1/agents/\(id)", json: ["name": "Hugh", "email": "hugh@example.com"]
            ).json()
            #expect(put["agent"]?["name"] == "Hugh")
            #expect(put["agent"]?["skills"] == [])
            #expect(await rig.ann.client.delete("/api/v1/agents/\(id)").status == 200)
            #expect(await rig.ann.client.get("/api/v1/agents/\(id)").status == 404)
            let types = try await rig.events().map(\.type).filter { $0.contains("telephony.agent") }
            #expect(types.last == "telephony.agent.removed.v1")
        }
    }

    @Test func `a member taken in as agent gets a row, or the one a manager made`() async throws {
        try await Rig.with { rig async throws in
            let made = try await rig.human("Hugo")
            func join(_ user: UserID, _ email: String, _ role: WorkspaceRole) async throws {
                let member = MemberSnapshot(
                    workspaceID: rig.ann.workspace, userID: user, role: role, email: email, name: "N")
                try await rig.database.transaction { (tx: borrowing Transaction) in
                    try await rig.telephony.onWorkspace(.memberAdded(member), tx)
                }
            }
            let (hugo, ida) = (UserID(), UserID())
            try await join(hugo, "HUGO@example.com", .agent)
            try await join(ida, "ida@example.com", .agent)
            try await join(ida, "ida@example.com", .agent)
            try await join(UserID(), "boss@example.com", .manager)
            #expect(try await HumanAgentStore.id(of: hugo, in: rig.ann.workspace, in: rig.database) == made)
            #expect(try await rig.ann.client.get("/api/v1/agents").json()["agents"]?.array?.count == 2)
            #expect(
                try await rig.ann.client.get("/api/v1/agents?is_available=true").json()["agents"]?.array?.count == 1)
        }
    }
}
