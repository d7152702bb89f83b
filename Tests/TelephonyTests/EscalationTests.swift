import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct EscalationTests {
    @Test func `with nobody free it is a 400 and nothing is created`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            _ = try await rig.human(available: false)
            let answer = await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate")
            #expect(answer.status == 400)
            #expect(answer.code == "NO_AGENT_AVAILABLE")
            #expect(try await rig.ann.client.get("/api/v1/escalations").json()["pagination"]?["total"] == 0)
            #expect(try await rig.stored(call.id).escalationStatus == nil)
        }
    }

    @Test func `escalating reserves whoever has been idle longest and calls them`() async throws {
        try await Rig.with { rig async throws in
            let first = try await rig.human("First")
            _ = try await rig.human("Second")
            let call = try await rig.call()
            let answer = await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate", json: ["reason": "angry"])
            #expect(answer.status == 200, "\(answer.text)")
            let escalation = try answer.json()["escalation"]
            #expect(escalation?["assigned_agent_id"]?.string == first.text)
            #expect(escalation?["status"] == "pending")
            #expect(escalation?["trigger_type"] == "manual")
            #expect(try await rig.orders() == ["dial_agent pending"])
            let detail = try await rig.ann.client.get("/api/v1/calls/\(call.id.text)").json()
            #expect(detail["call"]?["assigned_agent"]?["name"] == "First")
            #expect(detail["call"]?["escalation_status"] == "pending")
            #expect(detail["agent"]?["name"] == "First")
            #expect(await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").status == 409)
            #expect(await rig.ann.client.delete("/api/v1/agents/\(first.text)").status == 400, "they are needed")
            let types = try await rig.events().map(\.type)
            #expect(types.contains("telephony.call.escalation_triggered.v1"))
            #expect(types.contains("telephony.command.issued.v1"))
        }
    }

    @Test func `twenty escalations at once never share a human`() async throws {
        try await Rig.with { rig async throws in
            for number in 0..<8 { _ = try await rig.human("Human\(number)") }
            var calls: [Call] = []
            for _ in 0..<20 { calls.append(try await rig.call()) }
            let statuses = await withTaskGroup(of: Int.self) { group in
                for call in calls {
                    group.addTask { await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").status }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 200 }.count == 8)
            #expect(statuses.filter { $0 == 400 }.count == 12)
            let rows = try await rig.database.query("SELECT count(DISTINCT assigned_agent_id) AS n FROM escalations")
            #expect(try rows[0].decode("n", as: Int.self) == 8)
        }
    }

    @Test func `a trigger waits when nobody is free, and the first who comes is sent`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            let opened = try await rig.database.transaction { (tx: borrowing Transaction) -> HandOver.Opened in
                guard var row = try await CallStore.lock(call.id, tx) else { return .nobodyFree }
                let opened = try await HandOver.open(
                    &row, for: .init(trigger: "keyword", skill: "billing"), choosing: .anyone, waits: true, at: .now(),
                    tx)
                CallStore.save(&row, after: [], tx)
                return opened
            }
            guard case .waiting = opened else { return #expect(Bool(false), "\(opened)") }
            _ = try await rig.human("Unskilled")
            #expect(try await rig.stored(call.id).assigned == nil)
            let skilled = try await rig.human("Skilled", skills: ["billing"])
            let stored = try await rig.stored(call.id)
            #expect(stored.assigned?.id == skilled)
            #expect(stored.handedOff)
            #expect(try await rig.orders() == ["dial_agent pending"])
        }
    }

    @Test func `a human is served again when their call has ended`() async throws {
        try await Rig.with { rig async throws in
            _ = try await rig.human()
            let first = try await rig.call()
            let second = try await rig.call()
            #expect(await rig.ann.client.post("/api/v1/calls/\(first.id.text)/escalate").status == 200)
            #expect(await rig.ann.client.post("/api/v1/calls/\(second.id.text)/escalate").status == 400)
            #expect(await rig.ann.client.post("/api/v1/calls/\(first.id.text)/end").status == 200)
            #expect(await rig.ann.client.post("/api/v1/calls/\(second.id.text)/escalate").status == 200)
            let status = try await rig.stored(first.id)
            #expect(status.escalationStatus == nil, "it was cancelled: nobody had taken the call")
        }
    }

    @Test func `accepting, completing and the end of the call`() async throws {
        try await Rig.with { rig async throws in
            let human = try await rig.human()
            let call = try await rig.call()
            let made = try await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").json()
            let id = try #require(made["escalation"]?["id"]?.int)
            #expect(await rig.ann.client.post("/api/v1/escalations/\(id)/complete").status == 409)
            let accepted = await rig.ann.client.post("/api/v1/escalations/\(id)/accept")
            #expect(accepted.status == 200)
            #expect(try accepted.json()["escalation"]?["status"] == "in_progress")
            #expect(try await rig.stored(call.id).status == .escalated)
            #expect(await rig.ann.client.post("/api/v1/escalations/\(id)/accept").status == 409)
            _ = await rig.webhook([
                ("CallSid", call.sid ?? ""), ("CallStatus", "completed"), ("CallDuration", "77"),
                ("SequenceNumber", "9"),
            ])
            let over = try await rig.stored(call.id)
            #expect(over.status == .completed)
            #expect(over.escalationStatus == .completed)
            #expect(over.outcome == .escalated)
            #expect(try await rig.eventTypes().contains("escalation_completed"))
            let agent = try await rig.ann.client.get("/api/v1/agents/\(human.text)").json()
            #expect(agent["agent"]?["total_calls_handled"] == 1)
        }
    }

    @Test func `cancelling gives the caller back to the AI`() async throws {
        try await Rig.with { rig async throws in
            _ = try await rig.human()
            let call = try await rig.call()
            let made = try await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").json()
            let id = try #require(made["escalation"]?["id"]?.int)
            let cancelled = await rig.ann.client.post("/api/v1/escalations/\(id)/cancel")
            #expect(try cancelled.json()["escalation"]?["status"] == "cancelled")
            let stored = try await rig.stored(call.id)
            #expect(stored.escalationStatus == nil)
            #expect(!stored.handedOff)
            #expect(stored.assigned == nil)
            #expect(try await rig.orders() == ["dial_agent failed", "redirect pending"])
        }
    }

    @Test func `taking over and handing back`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            #expect(
                await rig.ann.client.post("/api/v1/calls/\(call.id.text)/takeover").status == 400,
                "she is no human agent")
            let human = try await rig.human(available: false)
            let taken = await rig.ann.client.post(
                "/api/v1/calls/\(call.id.text)/takeover", json: ["agent_id": .string(human.text)])
            #expect(taken.status == 200, "one's own availability does not matter: \(taken.text)")
            #expect(await rig.ann.client.post("/api/v1/calls/\(call.id.text)/handback").status == 200)
            #expect(try await rig.stored(call.id).status == .inProgress)
            #expect(await rig.ann.client.post("/api/v1/calls/\(call.id.text)/handback").status == 400)
        }
    }

    @Test func `an angry customer triggers an escalation`() async throws {
        try await Rig.with { rig async throws in
            _ = try await rig.human()
            let business = try await rig.business([
                "escalation": ["enabled": true, "triggers": [["type": "sentiment", "threshold": -0.5]]]
            ])
            let call = try await rig.call(business: business)
            func feel(_ score: Double) async throws {
                try await rig.database.transaction { (tx: borrowing Transaction) in
                    try await rig.telephony.onScore(.sentimentChanged(call.ref, SentimentReading(score: score)), tx)
                }
            }
            try await feel(-0.4)
            #expect(try await rig.stored(call.id).escalationStatus == nil)
            #expect(try await rig.stored(call.id).sentiment == .negative)
            try await feel(-0.6)
            #expect(try await rig.stored(call.id).escalationStatus == .pending)
            try await feel(-0.9)
            #expect(try await rig.ann.client.get("/api/v1/escalations").json()["pagination"]?["total"] == 1)
        }
    }

    @Test func `scores and outcomes are kept with the call, the newest version only`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call(.completed)
            func score(_ version: Int64, _ value: Double) async throws {
                let score = ScoreSnapshot(
                    id: 5, callID: call.id, version: version, overallScore: value, sentimentScore: 0.5,
                    complianceScore: 1,
                    accuracyScore: 1, professionalismScore: 1, sentimentLabel: .positive, reviewedBy: "auto",
                    createdAt: .now(), updatedAt: .now())
                try await rig.database.transaction { (tx: borrowing Transaction) in
                    try await rig.telephony.onScore(.scoreUpdated(call.ref, score), tx)
                }
            }
            try await score(2, 0.9)
            try await score(1, 0.1)
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onScore(.outcomeClassified(call.ref, .interested, summary: nil), tx)
            }
            let detail = try await rig.ann.client.get("/api/v1/calls/\(call.id.text)").json()
            #expect(detail["call"]?["qa_score"] == 0.9)
            #expect(detail["call"]?["outcome"] == "interested")
            #expect(detail["qa_scores"]?["overall_score"] == 0.9)
            #expect(detail["qa_scores"]?["id"] == 5)
        }
    }

    @Test func `nobody calls out of a workspace that is erased`() async throws {
        try await Rig.with { rig async throws in
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onWorkspace(.deleted(id: rig.ann.workspace), tx)
            }
            #expect(
                await rig.ann.client.post("/api/v1/calls/initiate", json: ["to_number": "+14155550199"]).status == 404)
        }
    }
}
