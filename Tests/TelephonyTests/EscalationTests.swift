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

    @Test func `two hundred escalations at once get twenty humans once each`() async throws {
        try await Rig.with { rig async throws in
            for number in 0..<20 { _ = try await rig.human("Human\(number)") }
            var calls: [Call] = []
            for _ in 0..<200 { calls.append(try await rig.call()) }
            let statuses = await withTaskGroup(of: Int.self) { group in
                for call in calls {
                    group.addTask { await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").status }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 200 }.count == 20)
            #expect(statuses.filter { $0 == 400 }.count == 180)
            let rows = try await rig.database.query(
                "SELECT count(*) AS all, count(DISTINCT assigned_agent_id) AS humans FROM escalations")
            #expect(try rows[0].decode("all", as: Int.self) == 20)
            #expect(try rows[0].decode("humans", as: Int.self) == 20)
        }
    }

    @Test func `sixty that wait are served in their order as humans come, by however many replicas look`()
        async throws
    {
        try await Rig.with { rig async throws in
            var calls: [Call] = []
            for _ in 0..<60 {
                calls.append(try await rig.call())
                guard case .waiting = try await rig.open(calls[calls.count - 1]) else {
                    return #expect(Bool(false), "nobody is free")
                }
            }
            // Somebody speaks on each of the calls all the time, so their rows are locked now and then.
            let waiting = calls
            let replicas = (0..<3).map { _ in WaitingCalls(rig.telephony) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 { group.addTask { _ = try await rig.human("Human\(number)") } }
                for replica in replicas {
                    group.addTask { for _ in 0..<10 { try await replica.look(at: .now()) } }
                }
                group.addTask {
                    for round in 0..<3 {
                        for call in waiting {
                            try await rig.database.transaction { (tx: borrowing Transaction) in
                                _ = try await tx.execute("UPDATE calls SET failures = \(round) WHERE id = \(call.id)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await replicas[0].look(at: .now())
            let served = try await rig.database.query(
                "SELECT call_id FROM escalations WHERE assigned_agent_id IS NOT NULL ORDER BY id")
            #expect(try served.map { try $0.decode("call_id", as: CallID.self) } == calls.prefix(20).map(\.id))
            let humans = try await rig.database.query("SELECT DISTINCT assigned_agent_id AS h FROM escalations")
            #expect(humans.count == 21, "twenty, and nobody for those who wait")
        }
    }

    @Test func `skill and department choose, whatever their case, and whoever asks`() async throws {
        try await Rig.with { rig async throws in
            _ = try await rig.human("Plain")
            let biller = try await rig.human("Biller", skills: ["Billing"], departments: ["North"])
            let seller = try await rig.human("Seller", skills: ["sales"], departments: ["South"])
            func escalate(_ body: JSON) async throws -> ClientResponse {
                let call = try await rig.call()
                return await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate", json: body)
            }
            #expect(try await escalate(["skill": "billing", "department": "South"]).status == 400, "nobody is both")
            let billing = try await escalate(["skill": "billing", "department": "north"]).json()["escalation"]
            #expect(billing?["assigned_agent_id"]?.string == biller.text)
            #expect(billing?["trigger_details"]?["department"] == "north")
            #expect(billing?["trigger_details"]?["skill"] == "billing")
            #expect(try await escalate(["skill": "billing"]).code == "NO_AGENT_AVAILABLE", "the only one is busy")
            #expect(try await escalate(["department": ""]).status == 400)
            // A configuration's trigger asks for a department too.
            let business = try await rig.business([
                "escalation": ["enabled": true, "triggers": [["type": "sentiment", "department": "South"]]]
            ])
            let call = try await rig.call(business: business)
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onScore(.sentimentChanged(call.ref, SentimentReading(score: -0.9)), tx)
            }
            #expect(try await rig.stored(call.id).assigned?.id == seller)
        }
    }

    @Test func `whoever waits longest is next, and a newer call never overtakes`() async throws {
        try await Rig.with { rig async throws in
            let (first, second, third) = (try await rig.call(), try await rig.call(), try await rig.call())
            for call in [first, second] { _ = try await rig.open(call) }
            let human = try await rig.human()
            #expect(try await rig.stored(first.id).assigned?.id == human)
            #expect(await rig.ann.client.post("/api/v1/calls/\(third.id.text)/escalate").status == 400)
            // By completing…
            let id = try #require(
                try await rig.ann.client.get("/api/v1/escalations?call_id=\(first.id.text)").json()["escalations"]?[0]?[
                    "id"]?.int)
            #expect(await rig.ann.client.post("/api/v1/escalations/\(id)/accept").status == 200)
            #expect(await rig.ann.client.post("/api/v1/escalations/\(id)/complete").status == 200)
            #expect(try await rig.stored(second.id).assigned?.id == human)
            // … and by saying so.
            _ = try await rig.open(third)
            let other = try await rig.human("Other", available: false)
            #expect(try await rig.stored(third.id).assigned == nil)
            let path = "/api/v1/agents/\(other.text)/availability"
            #expect(await rig.ann.client.patch(path, json: ["is_available": true]).status == 200)
            #expect(try await rig.stored(third.id).assigned?.id == other)
        }
    }

    @Test func `somebody who begins to wait just as somebody becomes free does not wait on`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            // Between the look for a human and the commit, one becomes free and finds nobody waiting.
            _ = try await rig.open(call) { _ = try await rig.human() }
            #expect(try await rig.stored(call.id).assigned == nil, "neither saw the other")
            try await WaitingCalls(rig.telephony).look(at: .now())
            #expect(try await rig.stored(call.id).assigned != nil)
            #expect(try await rig.orders() == ["dial_agent pending"])
        }
    }

    @Test func `the queue outlives everybody who was looking after it`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            _ = try await rig.open(call)
            let human = try await rig.human("Away", available: false)
            // As another program's crash would leave it: free in the books, and nobody was told.
            try await rig.database.execute("UPDATE human_agents SET is_available = true")
            let another = WaitingCalls(rig.telephony.holding(LiveCalls()))
            try await another.look(at: .now())
            #expect(try await rig.stored(call.id).assigned?.id == human)
        }
    }

    @Test func `a human who never answers is followed by the next, also when the carrier's word is lost`() async throws
    {
        try await Rig.with { rig async throws in
            let first = try await rig.human("First")
            let second = try await rig.human("Second")
            let call = try await rig.call()
            #expect(await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").status == 200)
            #expect(try await rig.stored(call.id).assigned?.id == first)
            try await rig.database.execute(
                "UPDATE carrier_orders SET state = 'done', sid = 'CAfirst', asked_at = now()")
            let queue = WaitingCalls(rig.telephony)
            try await queue.look(at: .now() + .seconds(40))
            #expect(try await rig.stored(call.id).assigned?.id == first, "it may still ring")
            try await queue.look(at: .now() + .seconds(50))
            #expect(try await rig.stored(call.id).assigned?.id == second)
            #expect(try await rig.orders() == ["dial_agent done", "hang_up pending", "dial_agent pending"])
        }
    }

    @Test func `who did not come is called again once they are free anew, not before`() async throws {
        try await Rig.with { rig async throws in
            let human = try await rig.human()
            let call = try await rig.call()
            let made = try await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").json()
            let id = try #require(made["escalation"]?["id"]?.int)
            try await rig.database.execute(
                "UPDATE carrier_orders SET state = 'done', sid = 'CAhuman', asked_at = now()")
            _ = await rig.webhook(
                [("CallSid", "CAhuman"), ("CallStatus", "no-answer")],
                path: "/api/calls/twilio-webhook/?kind=agent_status&escalation=\(id)")
            let queue = WaitingCalls(rig.telephony)
            try await queue.look(at: .now())
            #expect(try await rig.stored(call.id).assigned == nil)
            let path = "/api/v1/agents/\(human.text)/availability"
            for available in [false, true] {
                #expect(await rig.ann.client.patch(path, json: ["is_available": .bool(available)]).status == 200)
            }
            #expect(try await rig.stored(call.id).assigned?.id == human)
            #expect(try await rig.orders().last == "dial_agent pending", "and their telephone rings")
        }
    }

    @Test func `whoever says it is theirs is called, and the one who was being called is told`() async throws {
        try await Rig.with { rig async throws in
            let first = try await rig.human("First")
            let second = try await rig.human("Second")
            let call = try await rig.call()
            let made = try await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").json()
            let id = try #require(made["escalation"]?["id"]?.int)
            #expect(made["escalation"]?["assigned_agent_id"]?.string == first.text)
            try await rig.database.execute(
                "UPDATE carrier_orders SET state = 'done', sid = 'CAfirst', asked_at = now()")
            let accepted = await rig.ann.client.post(
                "/api/v1/escalations/\(id)/accept", json: ["agent_id": .string(second.text)])
            #expect(try accepted.json()["escalation"]?["assigned_agent_id"]?.string == second.text)
            #expect(try await rig.orders() == ["dial_agent done", "hang_up pending", "dial_agent pending"])
            func answer(_ sid: String) async -> String {
                await rig.webhook(
                    [("CallSid", sid), ("CallStatus", "in-progress")],
                    path: "/api/calls/twilio-webhook/?kind=agent&escalation=\(id)"
                ).text
            }
            #expect(await !answer("CAfirst").contains("<Conference"), "two humans in one conversation")
            try await rig.database.execute(
                "UPDATE carrier_orders SET state = 'done', sid = 'CAsecond' WHERE state = 'pending' AND kind = 'dial_agent'"
            )
            #expect(await answer("CAsecond").contains(">\(call.id.text)</Conference>"))
        }
    }

    @Test func `who took the call and does not pick up leaves it to the next`() async throws {
        try await Rig.with { rig async throws in
            let human = try await rig.human("First")
            let call = try await rig.call()
            let made = try await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").json()
            let id = try #require(made["escalation"]?["id"]?.int)
            try await rig.database.execute(
                "UPDATE carrier_orders SET state = 'done', sid = 'CAfirst', asked_at = now()")
            #expect(await rig.ann.client.post("/api/v1/escalations/\(id)/accept").status == 200)
            let next = try await rig.human("Second")
            _ = await rig.webhook(
                [("CallSid", "CAfirst"), ("CallStatus", "no-answer")],
                path: "/api/calls/twilio-webhook/?kind=agent_status&escalation=\(id)")
            let stored = try await rig.stored(call.id)
            #expect(stored.assigned?.id == next)
            #expect(stored.escalationStatus == .pending)
            #expect(human != next)
        }
    }

    @Test(arguments: 0..<3)
    func `nobody is deleted while a call is being given to them`(_ round: Int) async throws {
        try await Rig.with { rig async throws in
            var humans: [HumanAgentID] = []
            for number in 0..<6 { humans.append(try await rig.human("Human\(number)")) }
            var calls: [Call] = []
            for _ in 0..<6 { calls.append(try await rig.call()) }
            let (all, waiting) = (humans, calls)
            let deleted = await withTaskGroup(of: Int?.self, returning: [Int].self) { group in
                for place in 0..<6 {
                    group.addTask {
                        _ = await rig.ann.client.post("/api/v1/calls/\(waiting[place].id.text)/escalate")
                        return nil
                    }
                    group.addTask { await rig.ann.client.delete("/api/v1/agents/\(all[place].text)").status }
                }
                return await group.reduce(into: [Int]()) { if let status = $1 { $0.append(status) } }
            }
            #expect(deleted.allSatisfy { $0 == 200 || $0 == 400 })
            let lost = try await rig.database.query(
                """
                SELECT e.id FROM escalations e LEFT JOIN human_agents h ON h.id = e.assigned_agent_id
                WHERE e.status IN ('pending', 'in_progress') AND h.id IS NULL
                """)
            #expect(lost.isEmpty, "a call was given to somebody who is no more")
            let open = try await rig.database.query("SELECT id FROM escalations")
            let left = try await rig.database.query("SELECT id FROM human_agents")
            #expect(deleted.filter { $0 == 400 }.count == left.count)
            #expect(open.count <= left.count)
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
