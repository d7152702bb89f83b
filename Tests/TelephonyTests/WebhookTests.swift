import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct WebhookTests {
    private let ringing = [
        ("CallSid", "CA00000000000000000000000000000001"), ("From", "+14155550100"), ("To", "+14155550199"),
        ("CallStatus", "ringing"), ("Direction", "inbound"), ("AccountSid", "AC0"), ("ApiVersion", "2010-04-01"),
    ]

    @Test func `the carrier's own signature is accepted, with and without the port`() async throws {
        try await Rig.with { rig async throws in
            // Computed with PyPI's twilio RequestValidator, token 12345, for https://calls.example.com[:443]/…
            for signature in ["uudD7Qa/orPb1I0sv93AFPEn5+I=", "6i0PdbynPD5npRFlSwTgczU4gos="] {
                let answer = await TestClient(rig.router).post(
                    "/api/calls/twilio-webhook/", form: ringing, headers: ["X-Twilio-Signature": signature])
                #expect(answer.status == 200, "\(signature)")
            }
            let status = await TestClient(rig.router).post(
                "/api/calls/twilio-webhook/?kind=status",
                form: [
                    ("CallSid", "CA00000000000000000000000000000001"), ("CallStatus", "completed"),
                    ("CallDuration", "12"),
                    ("SequenceNumber", "3"), ("Timestamp", "Fri, 02 Jan 2026 03:04:05 +0000"),
                    ("CallbackSource", "call-progress-events"),
                ], headers: ["X-Twilio-Signature": "l+HN5aurMZu4NaTx9MNKhOI8jsY="])
            #expect(status.status == 200)
        }
    }

    @Test func `anything else is refused`() async throws {
        try await Rig.with { rig async throws in
            let client = TestClient(rig.router)
            #expect(await client.post("/api/calls/twilio-webhook/", form: ringing).status == 403)
            #expect(await rig.webhook(ringing, token: "other").status == 403)
            let replayed = WebhookSignature.twilio(
                url: Rig.publicURL + "/api/calls/twilio-webhook/", form: ringing, token: Rig.authToken)
            let changed = ringing.map { $0.0 == "From" ? ("From", "+14155550111") : $0 }
            #expect(
                await client.post(
                    "/api/calls/twilio-webhook/", form: changed, headers: ["X-Twilio-Signature": replayed]
                ).status == 403)
            #expect(await client.post("/api/calls/twilio-connect/", form: ringing).status == 403)
        }
        try await Rig.with(policy: { $0.authToken = nil }) { rig async throws in
            #expect(await rig.webhook(ringing).status == 403, "without a token nothing is believed")
        }
    }

    @Test func `an inbound call to a number of ours is connected to the relay, once`() async throws {
        try await Rig.with { rig async throws in
            let agent = try await rig.agent(["language": "de-DE", "voice": "Hedda"])
            _ = try await rig.line("+14155550199", agent: agent)
            let first = await rig.webhook(ringing)
            #expect(first.status == 200)
            #expect(first.headers["Content-Type"]?.hasPrefix("text/xml") == true)
            #expect(first.text.contains("<ConversationRelay url=\"wss://calls.example.com/ws/relay/"))
            #expect(first.text.contains("language=\"de-DE\" voice=\"Hedda\""))
            let again = await rig.webhook(ringing)
            #expect(again.text == first.text, "a doubled request gets the same answer")
            let calls = try await rig.ann.client.get("/api/v1/calls").json()
            #expect(calls["pagination"]?["total"] == 1)
            #expect(calls["calls"]?[0]?["direction"] == "inbound")
            #expect(calls["calls"]?[0]?["template_id"]?.string == agent.text)
            #expect(try await rig.eventTypes().filter { $0 == "started" }.count == 1)
        }
    }

    @Test func `a number nobody has, and an agent that is paused, are told so`() async throws {
        try await Rig.with { rig async throws in
            #expect(await rig.webhook(ringing).text.contains("not in service"))
            _ = try await rig.line("+14155550199", agent: try await rig.agent(["status": "paused"]))
            #expect(await rig.webhook(ringing).text.contains("closed"))
            #expect(try await rig.events().filter { $0.type.hasPrefix("telephony.call.") }.isEmpty)
        }
    }

    @Test func `callbacks are taken in once, in any order`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call(.initiated, direction: .outbound, sid: nil)
            let path = "/api/calls/twilio-webhook/?kind=status&call=\(call.id.text)"
            func status(_ state: String, _ number: Int, token: String? = nil) async -> Int {
                var headers = Headers()
                if let token { headers.set("I-Twilio-Idempotency-Token", token) }
                return await rig.webhook(
                    [
                        ("CallSid", "CAout"), ("CallStatus", state), ("SequenceNumber", "\(number)"),
                        ("CallDuration", "31"),
                    ],
                    path: path, headers: headers
                ).status
            }
            #expect(await status("ringing", 1) == 200)
            #expect(try await rig.stored(call.id).sid == "CAout", "the callback tells the carrier's id too")
            #expect(await status("completed", 3, token: "T3") == 200)
            let version = try await rig.stored(call.id).version
            for _ in 0..<3 {
                #expect(await status("completed", 3, token: "T3") == 200)
                #expect(await status("in-progress", 2) == 200)
                #expect(await status("ringing", 1) == 200)
            }
            let over = try await rig.stored(call.id)
            #expect(over.status == .completed)
            #expect(over.durationSeconds == 31)
            #expect(over.version == version)
            #expect(try await rig.eventTypes().filter { $0 == "ended" }.count == 1)
        }
    }

    @Test func `a status for another call's id changes nothing`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call(.inProgress, direction: .outbound)
            let path = "/api/calls/twilio-webhook/?kind=status&call=\(call.id.text)"
            #expect(await rig.webhook([("CallSid", "CAother"), ("CallStatus", "completed")], path: path).status == 200)
            #expect(try await rig.stored(call.id).status == .inProgress)
        }
    }

    @Test func `an answered outbound call talks, a second leg of it is hung up`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call(.initiated, direction: .outbound, sid: nil)
            let path = "/api/calls/twilio-webhook/?kind=voice&call=\(call.id.text)"
            let answer = await rig.webhook([("CallSid", "CA1"), ("CallStatus", "in-progress")], path: path)
            #expect(answer.text.contains("<ConversationRelay"))
            #expect(try await rig.stored(call.id).status == .inProgress)
            let second = await rig.webhook([("CallSid", "CA2"), ("CallStatus", "in-progress")], path: path)
            #expect(second.text.contains("<Hangup>"))
            #expect(try await rig.stored(call.id).sid == "CA1")
        }
    }

    @Test func `a machine ends the call as voicemail`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call(.inProgress, direction: .outbound)
            let path = "/api/calls/twilio-webhook/?kind=amd&call=\(call.id.text)"
            _ = await rig.webhook([("CallSid", call.sid ?? ""), ("AnsweredBy", "machine_end_beep")], path: path)
            #expect(try await rig.stored(call.id).outcome == .voicemail)
            #expect(try await rig.orders() == ["hang_up pending"])
        }
    }

    @Test func `the relay's end decides what comes next`() async throws {
        try await Rig.with { rig async throws in
            let call = try await rig.call()
            let path = "/api/calls/twilio-connect/?call=\(call.id.text)"
            func connect(_ fields: [(String, String)]) async -> String {
                await rig.webhook([("CallSid", call.sid ?? ""), ("CallStatus", "in-progress")] + fields, path: path)
                    .text
            }
            #expect(await connect([("SessionStatus", "completed")]).contains("<Hangup>"))
            #expect(
                await connect([("SessionStatus", "ended"), ("HandoffData", Handoff(.finished).text)]).contains(
                    "<Hangup>"))
            #expect(
                await connect([("SessionStatus", "failed"), ("ErrorCode", "64105")]).contains("<ConversationRelay"))
            _ = try await rig.human()
            #expect(await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").status == 200)
            let handed = await connect([("SessionStatus", "ended"), ("HandoffData", Handoff(.human).text)])
            #expect(handed.contains(">\(call.id.text)</Conference>"))
            #expect(try await rig.stored(call.id).status == .escalated)
            _ = await rig.ann.client.post("/api/v1/calls/\(call.id.text)/end")
            #expect(await connect([("SessionStatus", "failed"), ("ErrorCode", "64105")]).contains("<Hangup>"))
        }
    }

    @Test func `without a warm transfer the caller is put straight through`() async throws {
        try await Rig.with { rig async throws in
            let business = try await rig.business([
                "escalation": ["enabled": true, "triggers": [], "warm_transfer": false]
            ])
            let call = try await rig.call(business: business)
            _ = try await rig.human(phone: "+14155550177")
            _ = await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate")
            let answer = await rig.webhook(
                [("CallSid", call.sid ?? ""), ("SessionStatus", "ended")],
                path: "/api/calls/twilio-connect/?call=\(call.id.text)")
            #expect(answer.text.contains("<Number>+14155550177</Number>"))
            #expect(try await rig.orders().isEmpty, "their telephone rings once")
            #expect(try await rig.stored(call.id).escalationStatus == .inProgress)
            let next = try await rig.human("Next", phone: "+14155550178")
            let path = "/api/calls/twilio-connect/?call=\(call.id.text)"
            let second = await rig.webhook([("CallSid", call.sid ?? ""), ("DialCallStatus", "no-answer")], path: path)
            #expect(second.text.contains("<Number>+14155550178</Number>"))
            #expect(try await rig.stored(call.id).assigned?.id == next)
            let last = await rig.webhook([("CallSid", call.sid ?? ""), ("DialCallStatus", "busy")], path: path)
            #expect(last.text.contains("<ConversationRelay"), "nobody is left: the AI has them again")
            #expect(try await rig.stored(call.id).status == .inProgress)
            #expect(try await rig.orders().isEmpty)
        }
    }

    @Test func `the human is briefed, joins, and leaves`() async throws {
        try await Rig.with { rig async throws in
            let human = try await rig.human()
            let call = try await rig.call()
            try await rig.database.execute(
                """
                INSERT INTO interactions (call_id, utterance, sequence, speaker, text, at)
                VALUES (\(call.id), gen_random_uuid(), 1, 'customer', 'My boiler leaks & drips.', now()),
                       (\(call.id), gen_random_uuid(), 2, 'ai', 'I see.', now()),
                       (\(call.id), gen_random_uuid(), 3, 'customer', 'It is getting worse.', now())
                """)
            let made = try await rig.ann.client.post(
                "/api/v1/calls/\(call.id.text)/escalate", json: ["context_note": "He <b>waits</b>"]
            ).json()
            let id = try #require(made["escalation"]?["id"]?.int)
            try await rig.database.execute("UPDATE carrier_orders SET state = 'done', sid = 'CAhuman'")
            let voice = await rig.webhook(
                [("CallSid", "CAhuman"), ("CallStatus", "in-progress")],
                path: "/api/calls/twilio-webhook/?kind=agent&escalation=\(id)")
            let summary = try #require(
                voice.text.split(separator: "<Say>").dropFirst().first?.split(separator: "</Say>").first,
                "the summary is spoken before anything else")
            #expect(summary.contains("He &lt;b&gt;waits&lt;/b&gt;"))
            #expect(summary.contains("My boiler leaks &amp; drips."))
            #expect(summary.contains("It is getting worse."))
            #expect(summary.contains("I see."))
            #expect(voice.text.contains(">\(call.id.text)</Conference>"))
            #expect(try await rig.stored(call.id).escalationStatus == .inProgress)
            #expect(try await rig.stored(call.id).status == .escalated)
            _ = await rig.webhook(
                [("CallSid", "CAhuman"), ("CallStatus", "completed"), ("CallDuration", "50")],
                path: "/api/calls/twilio-webhook/?kind=agent_status&escalation=\(id)")
            #expect(try await rig.stored(call.id).escalationStatus == .completed)
            let free = try await rig.ann.client.get("/api/v1/agents/\(human.text)").json()
            #expect(free["agent"]?["total_calls_handled"] == 1)
        }
    }

    @Test func `a human who does not come is followed by the next, and by the AI in the end`() async throws {
        try await Rig.with { rig async throws in
            let first = try await rig.human("First")
            let second = try await rig.human("Second")
            let call = try await rig.call()
            let made = try await rig.ann.client.post("/api/v1/calls/\(call.id.text)/escalate").json()
            let id = try #require(made["escalation"]?["id"]?.int)
            #expect(made["escalation"]?["assigned_agent_id"]?.string == first.text)
            let path = "/api/calls/twilio-webhook/?kind=agent_status&escalation=\(id)"
            try await rig.database.execute("UPDATE carrier_orders SET state = 'done', sid = 'CAfirst'")
            _ = await rig.webhook([("CallSid", "CAfirst"), ("CallStatus", "no-answer")], path: path)
            #expect(try await rig.stored(call.id).assigned?.id == second)
            try await rig.database.execute(
                "UPDATE carrier_orders SET state = 'done', sid = 'CAsecond' WHERE state = 'pending'")
            _ = await rig.webhook([("CallSid", "CAfirst"), ("CallStatus", "completed")], path: path)
            #expect(
                try await rig.stored(call.id).assigned?.id == second,
                "the first one's leg is nobody's business any more")
            _ = await rig.webhook([("CallSid", "CAsecond"), ("CallStatus", "busy")], path: path)
            let back = try await rig.stored(call.id)
            #expect(back.assigned == nil)
            #expect(!back.handedOff)
            #expect(back.status == .inProgress)
            #expect(try await rig.orders().last == "redirect pending")
        }
    }

    @Test func `with the database away the caller is asked to wait, and hears an apology in time`() async throws {
        try await Rig.with { rig async throws in
            await rig.database.close()
            let began = ContinuousClock.now
            var path = "/api/calls/twilio-webhook/"
            for wait in 1...Telephony.waitsMax {
                let voice = await rig.webhook(ringing, path: path)
                #expect(voice.status == 200)
                path = "/api/calls/twilio-webhook/?again=\(wait)"
                #expect(voice.text.contains("<Redirect method=\"POST\">\(Rig.publicURL)\(path)</Redirect>"))
            }
            let voice = await rig.webhook(ringing, path: path)
            #expect(voice.status == 200)
            #expect(voice.text.contains("<Say>We are sorry"))
            let call = CallID()
            func connect(_ fields: [(String, String)]) async -> String {
                await rig.webhook(
                    [("CallSid", "CA1"), ("CallStatus", "in-progress")] + fields,
                    path: "/api/calls/twilio-connect/?call=\(call.text)"
                ).text
            }
            #expect(
                await connect([("SessionStatus", "failed"), ("ErrorCode", "64105")]).contains(
                    "<Redirect method=\"POST\">\(Rig.publicURL)\(path.prefix(26))?kind=voice&amp;call=\(call.text)<"),
                "a call that was running goes on")
            #expect(await connect([("SessionStatus", "completed")]).contains("<Hangup>"))
            let status = await rig.webhook([("CallSid", "CA1"), ("CallStatus", "completed"), ("SequenceNumber", "1")])
            #expect(status.status == 503, "not stored, so not acknowledged")
            #expect(began.duration(to: .now) < .seconds(12), "each answer in two seconds")
        }
    }
}
