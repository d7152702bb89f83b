import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct CallRoutesTests {
    @Test func `placing a call stores it, says so and leaves an order to dial`() async throws {
        try await Rig.with { rig async throws in
            let answer = await rig.ann.client.post(
                "/api/v1/calls/initiate", json: ["to_number": "+1 (415) 555-0199", "metadata": ["campaign": "x"]])
            #expect(answer.status == 201)
            let call = try answer.json()["call"]
            #expect(call?["status"] == "initiated")
            #expect(call?["direction"] == "outbound")
            #expect(call?["to_number"] == "+14155550199")
            #expect(call?["from_number"] == "+14155550000")
            #expect(call?["twilio_call_sid"] == "")
            #expect(call?["metadata"]?["campaign"] == "x")
            #expect(try await rig.eventTypes() == ["started"])
            #expect(try await rig.orders() == ["dial pending"])
            #expect(rig.carrier.dials.isEmpty, "nobody is called before the commit")
        }
    }

    private static let badOrders: [(String, JSON)] = [
        ("to_number", ["to_number": "+19005551234"]), ("to_number", ["to_number": "+2348012345678"]),
        ("to_number", ["to_number": "nonsense"]), ("to_number", [:]),
        ("from_number", ["to_number": "+14155550199", "from_number": "12"]),
        ("template_id", ["to_number": "+14155550199", "template_id": "0198c0de-0000-7000-8000-000000000000"]),
        ("metadata", ["to_number": "+14155550199", "metadata": "x"]),
    ]

    @Test(arguments: badOrders)
    func `a bad order is refused with the field's name`(field: String, body: JSON) async throws {
        try await Rig.with { rig async throws in
            let answer = await rig.ann.client.post("/api/v1/calls/initiate", json: body)
            #expect(answer.status == 400)
            #expect(answer.code == "VALIDATION_ERROR")
            #expect(try answer.json()["error"]?["details"]?["fields"]?[field] != nil, "\(answer.text)")
            #expect(try await rig.orders().isEmpty)
        }
    }

    @Test func `do-not-call, hours, limits and caps are enforced when placing`() async throws {
        try await Rig.with(policy: { $0.concurrentMax = 1 }) { rig async throws in
            let order: JSON = ["to_number": "+14155550199"]
            try await rig.database.execute(
                "INSERT INTO do_not_call (workspace_id, phone_number) VALUES (\(rig.ann.workspace), '+14155550199')")
            #expect(await rig.ann.client.post("/api/v1/calls/initiate", json: order).status == 400)
            try await rig.database.execute("DELETE FROM do_not_call")

            let usage = UsageEvent.limitReached(workspaceID: rig.ann.workspace, limit: .calls, value: 10, max: 10)
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onUsage(usage, tx)
            }
            let full = await rig.ann.client.post("/api/v1/calls/initiate", json: order)
            #expect(full.status == 402)
            #expect(
                await rig.bob.client.post("/api/v1/calls/initiate", json: order).status == 201, "his plan is his own")
            let cleared = UsageEvent.limitCleared(workspaceID: rig.ann.workspace, limit: .calls)
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onUsage(cleared, tx)
            }

            #expect(await rig.ann.client.post("/api/v1/calls/initiate", json: order).status == 201)
            #expect(
                await rig.ann.client.post("/api/v1/calls/initiate", json: order).status == 429, "one at once is the cap"
            )
        }
    }

    @Test func `calling hours are the agent's, in its own time zone and over midnight`() async throws {
        try await Rig.with { rig async throws in
            // An hour that is now, one that is not, and one that wraps round midnight and is now.
            let row = try #require(
                try await rig.database.queryOne(
                    """
                    SELECT to_char(now() AT TIME ZONE 'Asia/Tokyo' - interval '1 hour', 'HH24:MI:SS') AS before,
                           to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '1 hour', 'HH24:MI:SS') AS after
                    """))
            let (before, after): (String, String) = (try row["before"], try row["after"])
            func status(_ from: String, _ to: String, _ days: JSON = []) async throws -> Int {
                let agent = try await rig.agent([
                    "call_from": .string(from), "call_to": .string(to), "timezone": "Asia/Tokyo", "workdays": days,
                ])
                return await rig.ann.client.post(
                    "/api/v1/calls/initiate",
                    json: ["to_number": "+14155550199", "template_id": .string(agent.text)]
                ).status
            }
            #expect(try await status(before, after) == 201)
            #expect(try await status(after, before) == 400)
            let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
            #expect(try await status("00:00:00", "00:00:00", .array(days.map { .string($0) })) == 201)
        }
    }

    @Test func `an idempotency key places one call`() async throws {
        try await Rig.with { rig async throws in
            let headers: Headers = ["Idempotency-Key": "k1"]
            let body: JSON = ["to_number": "+14155550199"]
            let first = await rig.ann.client.post("/api/v1/calls/initiate", json: body, headers: headers)
            let second = await rig.ann.client.post("/api/v1/calls/initiate", json: body, headers: headers)
            #expect(first.status == 201)
            #expect(second.body == first.body)
            #expect(try await rig.orders().count == 1)
        }
    }

    // MARK: Lists

    @Test func `calls are filtered, searched and sorted`() async throws {
        try await Rig.with { rig async throws in
            let base = Instant(seconds: 1_790_000_000)
            let business = BusinessID()
            let first = try await rig.call(.completed, startedAt: base)
            let second = try await rig.call(
                .inProgress, direction: .outbound, from: "+442079460958", to: "+4930123456",
                startedAt: base + .seconds(86_400))
            let third = try await rig.call(.failed, business: business, startedAt: base + .seconds(2 * 86_400))
            _ = try await rig.call(.completed, of: rig.bob)
            try await rig.database.execute(
                "UPDATE calls SET qa_score = 0.9, sentiment = 'positive' WHERE id = \(first.id)")

            func found(_ query: String) async throws -> [String] {
                let answer = await rig.ann.client.get("/api/v1/calls?\(query)")
                #expect(answer.status == 200, "\(query): \(answer.text)")
                return try answer.json()["calls"]?.array?.compactMap { $0["id"]?.string } ?? []
            }
            let (a, b, c) = (first.id.text, second.id.text, third.id.text)
            #expect(try await found("") == [c, b, a])
            #expect(try await found("sort_order=asc") == [a, b, c])
            #expect(try await found("status=in_progress") == [b])
            #expect(try await found("status=completed,failed") == [c, a])
            #expect(try await found("direction=outbound") == [b])
            #expect(try await found("business_id=\(business.text)") == [c])
            #expect(try await found("from_date=\((base + .seconds(86_400)).iso)") == [c, b])
            #expect(try await found("to_date=\(base.day)") == [a], "a date means its whole day")
            #expect(try await found("to_date=\((base + .seconds(86_400)).iso)") == [a], "an instant is exclusive")
            #expect(try await found("min_qa_score=0.8") == [a])
            #expect(try await found("max_qa_score=0.8").isEmpty)
            #expect(try await found("sentiment=positive") == [a])
            #expect(try await found("search=\(b)") == [b])
            #expect(try await found("search=\(first.sid ?? "")") == [a])
            #expect(try await found("search=44207") == [b])
            #expect(try await found("search=%2B44207") == [b])
            #expect(try await found("search=123456") == [b], "the last digits")
            #expect(try await found("search=0100") == [c, a])
            #expect(try await found("search=207946").isEmpty, "neither the first nor the last digits")
            #expect(try await found("sort_by=duration") == [a, c, b])
            #expect(try await found("sort_by=qa_score&sort_order=desc").first == a)

            for bad in [
                "colour=red", "status=flying", "limit=101", "page=0", "from_date=yesterday", "cursor=x",
                "min_qa_score=2",
            ] {
                let answer = await rig.ann.client.get("/api/v1/calls?\(bad)")
                #expect(answer.status == 400, "\(bad)")
            }
            let everyone = await rig.eve.client.get("/api/v1/calls")
            #expect(try everyone.json()["pagination"]?["total"] == 4)
        }
    }

    @Test func `pages and cursors show every call once`() async throws {
        try await Rig.with { rig async throws in
            var ids: Set<String> = []
            let at = Instant(seconds: 1_790_000_000)
            for number in 0..<7 {
                ids.insert(try await rig.call(.completed, startedAt: at + .seconds(Int64(number / 3))).id.text)
            }
            for order in ["started_at", "duration", "qa_score"] {
                for direction in ["asc", "desc"] {
                    var seen: [String] = []
                    var query = "limit=2&sort_by=\(order)&sort_order=\(direction)"
                    var rounds = 0
                    while rounds < 10 {
                        rounds += 1
                        let json = try await rig.ann.client.get("/api/v1/calls?\(query)").json()
                        seen += json["calls"]?.array?.compactMap { $0["id"]?.string } ?? []
                        guard let next = json["pagination"]?["next_cursor"]?.string else { break }
                        query = "limit=2&sort_by=\(order)&sort_order=\(direction)&cursor=\(next)"
                    }
                    #expect(Set(seen) == ids && seen.count == 7, "\(order) \(direction)")
                }
            }
            let page = try await rig.ann.client.get("/api/v1/calls?limit=3&page=3").json()
            #expect(page["calls"]?.array?.count == 1)
            #expect(page["pagination"]?["total"] == 7)
            #expect(page["pagination"]?["total_pages"] == 3)
            #expect(page["pagination"]?["has_next"] == false)
            #expect(page["pagination"]?["has_prev"] == true)
        }
    }

    @Test func `a call is shown with its transcript, score and human`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            let now = Instant.now()
            try await rig.database.transaction { (tx: borrowing Transaction) in
                for (number, speaker) in [Speaker.ai, .customer, .ai].enumerated() {
                    _ = try await TranscriptStore.append(
                        Utterance(speaker: speaker, text: "line \(number)", at: now), to: call.ref, epoch: 0,
                        failures: nil, isRepeat: false, tx)
                }
            }
            let reading = SentimentReading(interactionID: 2, interactionScore: -0.4, score: -0.4)
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onScore(.sentimentChanged(call.ref, reading), tx)
            }
            let all = try await rig.ann.client.get("/api/v1/calls/\(call.id.text)/interactions").json()
            #expect(all["total"] == 3)
            #expect(all["interactions"]?.array?.map { $0["text"]?.string } == ["line 0", "line 1", "line 2"])
            let customer = try await rig.ann.client.get("/api/v1/calls/\(call.id.text)/interactions?speaker=customer")
                .json()
            #expect(customer["total"] == 1)
            #expect(customer["interactions"]?[0]?["sentiment"]?["label"] == "negative")
            let page = try await rig.ann.client.get("/api/v1/calls/\(call.id.text)/interactions?limit=1&offset=1")
                .json()
            #expect(page["interactions"]?[0]?["text"] == "line 1")
            let detail = try await rig.ann.client.get("/api/v1/calls/\(call.id.text)").json()
            #expect(detail["interactions_count"] == 3)
            #expect(detail["call"]?["sentiment"] == "negative")
            #expect(detail["escalation"] == nil)
        }
    }

    // MARK: Changing

    @Test func `ending a call ends it in the books and at the carrier, once`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            let answer = await rig.ann.client.post(
                "/api/v1/calls/\(call.id.text)/end", json: ["reason": "done", "notes": "all good"])
            #expect(answer.status == 200)
            #expect(try answer.json()["call"]?["status"] == "completed")
            #expect(try answer.json()["call"]?["ended_at"] != nil)
            #expect(try await rig.orders() == ["hang_up pending"])
            #expect(try await rig.eventTypes().contains("ended"))
            #expect(await rig.ann.client.post("/api/v1/calls/\(call.id.text)/end").status == 200)
            #expect(try await rig.eventTypes().filter { $0 == "ended" }.count == 1)
            #expect(try await rig.orders() == ["hang_up pending"])
            let notes = try await rig.ann.client.get("/api/v1/calls/\(call.id.text)/notes").json()
            #expect(notes["notes"]?[0]?["note"] == "all good")
        }
    }

    @Test func `ending a call nobody has answered withdraws its dial`() async throws {
        try await Rig.with { rig async throws in
            let placed = try await rig.ann.client.post("/api/v1/calls/initiate", json: ["to_number": "+14155550199"])
                .json()
            let id = try #require(placed["call"]?["id"]?.string)
            let ended = try await rig.ann.client.post("/api/v1/calls/\(id)/end", json: [:]).json()
            #expect(ended["call"]?["status"] == "failed")
            #expect(ended["call"]?["failure_reason"] == "canceled")
            #expect(try await rig.orders() == ["dial failed"])
        }
    }

    @Test func `interventions need what they need, and what nobody is there to take is said so`() async throws {
        try await Rig.with(policy: { $0.interventionWithin = .milliseconds(20) }) { rig async throws in
            let call = try await rig.call()
            let path = "/api/v1/calls/\(call.id.text)/intervene"
            #expect(await rig.ann.client.post(path, json: ["action": "send_message"]).status == 400)
            #expect(await rig.ann.client.post(path, json: ["action": "override_instructions"]).status == 400)
            #expect(await rig.ann.client.post(path, json: ["action": "explode"]).status == 400)
            #expect(await rig.ann.client.post(path, json: ["action": "pause"]).status == 200)
            #expect(try await rig.stored(call.id).paused)
            #expect(await rig.ann.client.post(path, json: ["action": "resume"]).status == 200)
            #expect(
                await rig.ann.client.post(path, json: ["action": "override_instructions", "instructions": "Be brief"])
                    .status == 200)
            #expect(try await rig.stored(call.id).instructions == "Be brief")
            let unheard = await rig.ann.client.post(path, json: ["action": "send_message", "message": "Hi"])
            #expect(unheard.status == 409, "no conversation took it: \(unheard.text)")
            let left = try await rig.database.query("SELECT id FROM interventions")
            #expect(left.isEmpty, "a message that was refused must not be said later")
            let commands = try await rig.events().filter { $0.type.contains("command") }.map {
                $0.json["action"]?.string
            }
            #expect(commands == ["pause", "resume", "override", "say"])
            let over = try await rig.call(.completed)
            let late = await rig.ann.client.post(
                "/api/v1/calls/\(over.id.text)/intervene", json: ["action": "pause"])
            #expect(late.status == 400)
            #expect(late.code == "CALL_ENDED")
            for status in [CallStatus.ringing, .escalated] {
                let silent = try await rig.call(status)
                let path = "/api/v1/calls/\(silent.id.text)/intervene"
                #expect(
                    await rig.ann.client.post(path, json: ["action": "send_message", "message": "Hi"]).status == 400,
                    "the AI does not speak on a call that is \(status)")
                #expect(await rig.ann.client.post(path, json: ["action": "pause"]).status == 200)
                #expect(try await rig.stored(silent.id).paused)
            }
        }
    }

    @Test func `a call that has ended without our knowing has just ended, for whoever intervenes`() async throws {
        try await Rig.with(policy: { $0.interventionWithin = .milliseconds(20) }) { rig async throws in
            let call = try await rig.call()
            rig.carrier.report(
                CarrierReport(sid: try #require(call.sid), state: .completed, at: .now(), durationSeconds: 9))
            let late = await rig.ann.client.post(
                "/api/v1/calls/\(call.id.text)/intervene", json: ["action": "pause"])
            #expect(late.status == 400)
            #expect(late.code == "CALL_ENDED")
            #expect(late.text.contains("has just ended"))
            #expect(try await rig.stored(call.id).status == .completed)
        }
    }

    @Test func `notes are kept with their author`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            let path = "/api/v1/calls/\(call.id.text)/notes"
            let made = await rig.ann.client.post(path, json: ["note": "VIP", "tags": ["a", "b"], "category": "sales"])
            #expect(made.status == 201)
            #expect(try made.json()["note_id"]?.int != nil)
            #expect(await rig.ann.client.post(path, json: ["note": ""]).status == 400)
            let listed = try await rig.ann.client.get(path).json()
            #expect(listed["notes"]?[0]?["tags"] == ["a", "b"])
            #expect(listed["notes"]?[0]?["author_id"]?.string == rig.ann.principal.user.text)
            #expect(try await rig.eventTypes().last == "note_added")
        }
    }
}

@Suite struct TenancyTests {
    @Test func `what belongs to another workspace is not there`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            let human = try await rig.human()
            let agent = try await rig.agent()
            let line = try await rig.line("+14155550123", agent: agent)
            let escalated = try await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").json()
            let escalation = try #require(escalated["escalation"]?["id"]?.int)
            let (c, h, a, l) = (call.id.text, human.text, agent.text, line.text)
            let full: JSON = ["name": "x", "email": "x@example.com", "greeting": "x", "phone_number": "+14155550124"]
            let gets = [
                "/api/v1/calls/\(c)", "/api/v1/calls/\(c)/interactions", "/api/v1/calls/\(c)/notes",
                "/api/v1/agents/\(h)",
                "/api/agents/agents/\(a)/", "/api/agents/agents/\(a)/phone_numbers/", "/api/agents/agents/\(a)/config/",
                "/api/agents/phone-numbers/\(l)/",
            ]
            let posts = [
                "/api/v1/calls/\(c)/escalate", "/api/v1/calls/\(c)/intervene", "/api/v1/calls/\(c)/end",
                "/api/v1/calls/\(c)/notes", "/api/v1/calls/\(c)/takeover", "/api/v1/calls/\(c)/handback",
                "/api/v1/escalations/\(escalation)/accept", "/api/v1/escalations/\(escalation)/complete",
                "/api/v1/escalations/\(escalation)/cancel", "/api/agents/agents/\(a)/assign_phone_numbers/",
                "/api/agents/agents/\(a)/remove_phone_numbers/",
            ]
            let body: JSON = ["action": "pause", "note": "x", "phone_number_ids": [.string(l)]]
            for path in gets {
                #expect(await rig.bob.client.get(path).status == 404, "GET \(path)")
                #expect(await rig.ann.client.get(path).status == 200, "GET \(path)")
                #expect(await rig.eve.client.get(path).status == 200, "an admin sees all: \(path)")
            }
            for path in posts {
                #expect(await rig.bob.client.post(path, json: body).status == 404, "POST \(path)")
                #expect(await rig.viewer.client.post(path, json: body).status == 403, "a viewer only looks: \(path)")
            }
            for path in ["/api/v1/agents/\(h)", "/api/agents/agents/\(a)/", "/api/agents/phone-numbers/\(l)/"] {
                #expect(await rig.bob.client.put(path, json: full).status == 404, "PUT \(path)")
                #expect(await rig.bob.client.delete(path).status == 404, "DELETE \(path)")
                #expect(await rig.viewer.client.delete(path).status == 403, "DELETE \(path)")
            }
            for path in ["/api/agents/agents/\(a)/", "/api/agents/phone-numbers/\(l)/"] {
                #expect(await rig.bob.client.patch(path, json: [:]).status == 404, "PATCH \(path)")
            }
            #expect(
                await rig.bob.client.patch("/api/v1/agents/\(h)/availability", json: ["is_available": false]).status
                    == 404)
            for path in ["/api/v1/calls", "/api/v1/escalations"] {
                #expect(try await rig.bob.client.get(path).json()["pagination"]?["total"] == 0, "\(path)")
            }
            #expect(try await rig.bob.client.get("/api/v1/agents").json()["agents"] == [])
            for path in ["/api/agents/agents/", "/api/agents/phone-numbers/"] {
                #expect(try await rig.bob.client.get(path).json()["count"] == 0, "\(path)")
            }
        }
    }

    @Test func `a malformed id is the same 404, and no token a 401`() async throws {
        try await Rig.with { rig async throws in
            for path in [
                "/api/v1/calls/x", "/api/v1/agents/x", "/api/agents/agents/x/", "/api/agents/phone-numbers/x/",
            ] {
                #expect(await rig.ann.client.get(path).status == 404, "\(path)")
                #expect(await TestClient(rig.router).get(path).status == 401, "\(path)")
            }
            #expect(await rig.ann.client.post("/api/v1/escalations/1e9/accept").status == 404)
        }
    }

    @Test func `nobody may order, create or point into another workspace`() async throws {
        try await Rig.with { rig async throws in
            let theirs: JSON = .string(rig.ann.workspace.text)
            #expect(
                await rig.bob.client.post(
                    "/api/v1/calls/initiate", json: ["to_number": "+14155550199", "workspace_id": theirs]
                ).status == 404)
            #expect(
                await rig.bob.client.post("/api/agents/agents/", json: ["greeting": "x", "workspace": theirs]).status
                    == 404)
            let agent = try await rig.agent()
            #expect(
                await rig.bob.client.post(
                    "/api/agents/phone-numbers/", json: ["phone_number": "+14155550123", "agent": .string(agent.text)]
                ).status == 400)
            #expect(
                await rig.bob.client.post(
                    "/api/v1/calls/initiate", json: ["to_number": "+14155550199", "template_id": .string(agent.text)]
                ).status == 400)
            let line = try await rig.line("+14155550123", agent: nil)
            let own = try await rig.agent(of: rig.bob)
            #expect(
                await rig.bob.client.post(
                    "/api/agents/agents/\(own.text)/assign_phone_numbers/",
                    json: ["phone_number_ids": [.string(line.text)]]
                ).status == 400)
            #expect(
                await rig.bob.client.post(
                    "/api/v1/calls/initiate", json: ["to_number": "+14155550199", "from_number": "+14155550123"]
                ).status == 400)
            let business = try await rig.business([:])
            #expect(
                await rig.bob.client.post(
                    "/api/agents/agents/", json: ["greeting": "x", "business_id": .string(business.text)]
                ).status == 400)
        }
    }
}
