import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct ConversationTests {
    static let shop = KnowledgeSearch { _, _, _ in
        [
            Passage(
                entry: 7, title: "Opening hours", text: "Our shop opens at nine in the morning. We close at six.",
                score: 0.8)
        ]
    }

    @Test func `a conversation is spoken, stored in order and cited`() async throws {
        try await Exchange.with(knowledge: Self.shop) { exchange async throws in
            let agent = try await exchange.rig.agent(["greeting": "Hello, this is Ada."])
            let call = try await exchange.live(agent: agent)
            let caller = try await exchange.caller(for: call)
            #expect(try await caller.hear() == "Hello, this is Ada.")
            #expect(try await caller.ask("When does your shop open?").contains("opens at nine"))
            #expect(try await !caller.ask("Thank you").isEmpty)
            try await eventually("all is stored") { try await exchange.texts(call).count == 5 }
            let lines = try await exchange.transcript(call)
            #expect(lines.map { $0["speaker"]?.string } == ["ai", "customer", "ai", "customer", "ai"])
            #expect(lines[2]["metadata"]?["citations"]?[0]?["entry_id"] == 7)
            #expect(lines[2]["metadata"]?["latency_ms"]?["first_token"]?.double ?? -1 >= 0)
            #expect(lines[2]["metadata"]?["latency_ms"]?["last_token"]?.double ?? -1 >= 0)
            #expect(lines[1]["metadata"]?["lang"] == "en-US")
            #expect(try await exchange.rig.stored(call.id).status == .inProgress)
            let numbers = try await exchange.rig.database.query("SELECT sequence FROM interactions ORDER BY id")
                .map { row -> Int in try row["sequence"] }
            #expect(numbers == [1, 2, 3, 4, 5])
            #expect(try await exchange.rig.eventTypes().filter { $0 == "interaction_added" }.count == 5)
            await caller.hangUp()
        }
    }

    @Test func `a token for no call, or for one that is over, opens nothing`() async throws {
        try await Exchange.with { exchange async throws in
            let over = try await exchange.rig.call(.completed)
            for path in ["/ws/relay/nonsense", exchange.path(over)] {
                await #expect(throws: WebSocket.Refused.self) {
                    _ = try await WebSocket.connect(url: "ws://127.0.0.1:\(exchange.server.boundPort)\(path)")
                }
            }
        }
    }

    @Test func `a handshake must be signed where that is asked for, and never wrongly`() async throws {
        try await Exchange.with(policy: { $0.requiresRelaySignature = true }) { exchange async throws in
            let call = try await exchange.live()
            let url = "ws://127.0.0.1:\(exchange.server.boundPort)\(exchange.path(call))"
            await #expect(throws: WebSocket.Refused.self) { _ = try await WebSocket.connect(url: url) }
            await #expect(throws: WebSocket.Refused.self) {
                _ = try await WebSocket.connect(url: url, headers: ["X-Twilio-Signature": "wrong"])
            }
            let signed = WebhookSignature.twilio(
                url: "wss://calls.example.com" + exchange.path(call), token: Rig.authToken)
            let socket = try await WebSocket.connect(url: url, headers: ["X-Twilio-Signature": signed])
            socket.close()
        }
        // Computed with PyPI's twilio RequestValidator, token 12345.
        #expect(
            WebhookSignature.twilio(url: "wss://calls.example.com/ws/relay/abc", token: "12345")
                == "XchDV6y7Js08CaGU//m5uLTlvXg=")
    }

    @Test func `the assistant is asked while the words are stored, and heard only after that`() async throws {
        let (asked, spoken) = (Flag(), Flag())
        let quick = Assistant { question, voice in
            #expect(question.words == "Are you there?")
            #expect(question.history.last?.speaker != .customer)
            asked.raise()
            try await voice.say("Yes.")
            spoken.raise()
        }
        try await Exchange.with(assistant: quick) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            try await eventually("the greeting is stored") { try await exchange.texts(call).count == 1 }
            try await exchange.rig.database.transaction { (tx: borrowing Transaction) in
                _ = try await tx.query("SELECT FROM calls WHERE id = \(call.id) FOR UPDATE")
                caller.say("Are you there?")
                try await eventually("the assistant is asked") { asked.isUp }
                try await EventLoop.sleep(for: .milliseconds(150))
                #expect(!spoken.isUp, "nothing is said before the words are stored")
            }
            #expect(try await caller.hear() == "Yes.")
            try await eventually("all is stored") { try await exchange.texts(call).count == 3 }
            #expect(try await exchange.texts(call).suffix(2) == ["customer: Are you there?", "ai: Yes."])
            await caller.hangUp()
        }
    }

    @Test func `an interrupt stops the answer and keeps what was heard`() async throws {
        let gate = Holding()
        let slow = Assistant { _, voice in
            try await voice.say("One two three ")
            try await gate.wait()
            try await voice.say("four five six")
        }
        try await Exchange.with(assistant: slow) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            caller.say("Count")
            #expect(try await caller.next()?["token"] == "One two three ")
            caller.send(["type": "interrupt", "utteranceUntilInterrupt": "One two", "durationUntilInterruptMs": 300])
            #expect(try await caller.hear() == "", "the speech is closed")
            try await eventually("it is stored") { try await exchange.texts(call).count == 3 }
            let last = try #require(try await exchange.transcript(call).last)
            #expect(last["text"] == "One two")
            #expect(last["metadata"]?["interrupted"] == true)
            await caller.hangUp()
        }
    }

    @Test func `an interrupt after the last token shortens the stored answer and says so`() async throws {
        let quick = Assistant { _, voice in try await voice.say("One two three four") }
        try await Exchange.with(assistant: quick) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            _ = try await caller.ask("Count")
            try await eventually("it is stored") { try await exchange.texts(call).count == 3 }
            caller.send(["type": "interrupt", "utteranceUntilInterrupt": "One two", "durationUntilInterruptMs": 300])
            try await eventually("it is shortened") { try await exchange.texts(call).last == "ai: One two" }
            #expect(try await exchange.rig.eventTypes().contains("interaction_updated"))
            await caller.hangUp()
        }
    }

    @Test func `a knowledge base that is late is not waited for`() async throws {
        let never = KnowledgeSearch { _, _, _ in
            try await EventLoop.sleep(for: .seconds(30))
            return []
        }
        try await Exchange.with(knowledge: never, policy: { $0.knowledgeWithin = .milliseconds(40) }) {
            exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            let began = ContinuousClock.now
            #expect(try await !caller.ask("When does your shop open?").isEmpty)
            #expect(began.duration(to: .now) < .seconds(2))
            await caller.hangUp()
        }
    }

    // MARK: Reconnecting

    @Test func `after a torn socket the same words are one utterance`() async throws {
        let gate = Holding()
        let stuck = Assistant { question, voice in
            if question.words == "Stuck" { try await gate.wait() }
            try await voice.say("Answer to \(question.words)")
        }
        try await Exchange.with(assistant: stuck) { exchange async throws in
            let call = try await exchange.live()
            let first = try await exchange.caller(for: call)
            _ = try await first.hear()
            #expect(try await first.ask("Hello there") == "Answer to Hello there")
            first.say("Stuck")
            try await eventually("the words are stored") { try await exchange.texts(call).last == "customer: Stuck" }
            await first.tear()
            gate.open()
            let second = try await exchange.caller(for: call)
            #expect(try await second.ask("Stuck") == "Answer to Stuck", "no second greeting, one answer")
            try await eventually("the answer is stored") { try await exchange.texts(call).count == 5 }
            await second.tear()
            let third = try await exchange.caller(for: call)
            #expect(try await third.ask("Stuck") == "Answer to Stuck", "spoken again")
            #expect(try await third.ask("Something else") == "Answer to Something else")
            try await eventually("only the new words are stored") { try await exchange.texts(call).count == 7 }
            #expect(
                try await exchange.texts(call).dropFirst() == [
                    "customer: Hello there", "ai: Answer to Hello there", "customer: Stuck", "ai: Answer to Stuck",
                    "customer: Something else", "ai: Answer to Something else",
                ])
            await third.hangUp()
        }
    }

    @Test func `an older socket of the call can write no more`() async throws {
        try await Exchange.with { exchange async throws in
            let call = try await exchange.live()
            let older = try await exchange.caller(for: call)
            _ = try await older.hear()
            let newer = try await exchange.caller(for: call)
            _ = try await newer.ask("I am new here")
            while try await older.next() != nil {}
            #expect(older.socket.closeCode == .normal)
            await newer.hangUp()
        }
    }

    // MARK: Humans

    @Test func `asking for a human ends in a handoff to the one who is free`() async throws {
        try await Exchange.with { exchange async throws in
            _ = try await exchange.rig.human("Hugo")
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            #expect(try await caller.ask("I want to talk to a human").contains("Hugo"))
            let handoff = try #require(try await caller.ended())
            #expect(handoff.reason == .human)
            #expect(handoff.escalation != nil)
            let stored = try await exchange.rig.stored(call.id)
            #expect(stored.handedOff)
            #expect(stored.escalationStatus == .pending)
            let listed = try await exchange.rig.ann.client.get("/api/v1/escalations").json()
            #expect(listed["escalations"]?[0]?["trigger_type"] == "explicit_request")
            await caller.hangUp()
        }
    }

    @Test func `with nobody free the caller is told and the AI goes on`() async throws {
        try await Exchange.with(knowledge: Self.shop) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            #expect(try await caller.ask("Give me a human").contains("other calls"))
            #expect(try await caller.ask("When does your shop open?").contains("nine"))
            #expect(try await exchange.rig.stored(call.id).escalationStatus == .pending)
            // And when one comes, the caller is let go.
            _ = try await exchange.rig.human("Late")
            exchange.rig.telephony.live.take(CommandEvent(callID: call.id, action: .transfer))
            #expect(try await caller.ended()?.reason == .human)
            await caller.hangUp()
        }
    }

    @Test func `a keyword, and failures in a row, call for a human`() async throws {
        try await Exchange.with { exchange async throws in
            _ = try await exchange.rig.human("Hugo")
            _ = try await exchange.rig.human("Ida")
            let business = try await exchange.rig.business([
                "escalation": [
                    "enabled": true,
                    "triggers": [
                        ["type": "keyword", "keywords": ["lawyer"]], ["type": "repeated_failure", "threshold": 2],
                    ],
                ]
            ])
            let first = try await exchange.live(business: business)
            let angry = try await exchange.caller(for: first)
            _ = try await angry.hear()
            angry.say("I will call my lawyer")
            #expect(try await angry.ended()?.reason == .human)
            await angry.hangUp()
            let second = try await exchange.live(business: business)
            let lost = try await exchange.caller(for: second)
            _ = try await lost.hear()
            _ = try await lost.ask("Do you repair violins in Vienna?")
            lost.say("And pianos in Prague?")
            #expect(try await lost.ended()?.reason == .human)
            await lost.hangUp()
            let listed = try await exchange.rig.ann.client.get("/api/v1/escalations").json()
            #expect(
                Set(listed["escalations"]?.array?.compactMap { $0["trigger_type"]?.string } ?? []) == [
                    "keyword", "repeated_failure",
                ])
        }
    }

    // MARK: Managers

    @Test func `managers pause, speak, resume and end`() async throws {
        try await Exchange.with { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            #expect(try await exchange.intervene(call, ["action": "pause"]) == 200)
            #expect(try await exchange.intervene(call, ["action": "send_message", "message": "One moment."]) == 200)
            let first = try await caller.hear()
            #expect(first == "One moment.")
            caller.say("Anybody there?")
            try await eventually("the words are stored") {
                try await exchange.texts(call).last == "customer: Anybody there?"
            }
            #expect(try await exchange.intervene(call, ["action": "send_message", "message": "This is Ann."]) == 200)
            let spoken = try await caller.hear()
            #expect(spoken == "This is Ann.", "and nothing of the AI's in between")
            #expect(try await exchange.intervene(call, ["action": "resume"]) == 200)
            #expect(try await !caller.ask("Hello").isEmpty)
            exchange.rig.telephony.live.take(CommandEvent(callID: call.id, action: .end))
            #expect(try await caller.ended()?.reason == .finished)
            let by = try await exchange.transcript(call).first { $0["text"] == "This is Ann." }
            #expect(by?["metadata"]?["by"]?.string == exchange.rig.ann.principal.user.text)
            await caller.hangUp()
        }
    }

    @Test func `a pause cuts what the carrier is still speaking, and the transcript ends there`() async throws {
        let words = (1...200).map { "word\($0)" }.joined(separator: " ")
        let long = Assistant { _, voice in try await voice.say(words) }
        // 200 words take more than ten seconds at this pace; the pause comes long before.
        try await Exchange.with(assistant: long, policy: { $0.charactersPerSecond = 100 }) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            caller.say("Tell me everything.")
            var message = try await caller.next()
            #expect(message?["preemptible"] == true, "only such a speech can be cut")
            while message?["last"] != true { message = try await caller.next() }
            try await eventually("the answer is stored") { try await exchange.texts(call).count == 3 }
            #expect(try await exchange.intervene(call, ["action": "pause"]) == 200)
            let silence = try #require(try await caller.next())
            #expect(silence["type"] == "text" && silence["last"] == true && silence["token"] == "…")
            try await eventually("the transcript ends where the caller stopped hearing") {
                let last = try await exchange.transcript(call).last
                let heard = last?["text"]?.string ?? words
                return heard != words && words.hasPrefix(heard) && last?["metadata"]?["interrupted"] == true
            }
            await caller.hangUp()
        }
    }

    @Test func `a pause in the middle of an answer stops it until it is lifted`() async throws {
        let (gate, asked) = (Holding(), Tally())
        let slow = Assistant { _, voice in
            asked.add()
            try await voice.say("One two three ")
            if asked.count == 1 { try await gate.wait() }
            try await voice.say("four five six")
        }
        try await Exchange.with(assistant: slow) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            caller.say("Count")
            #expect(try await caller.next()?["token"] == "One two three ")
            #expect(try await exchange.intervene(call, ["action": "pause"]) == 200)
            #expect(try await caller.next()?["token"] == "", "the speech is closed")
            #expect(try await caller.next()?["token"] == "…", "and cut")
            gate.open()
            try await EventLoop.sleep(for: .milliseconds(200))
            #expect(try await exchange.texts(call).last == "ai: One two three")
            #expect(try await exchange.intervene(call, ["action": "resume"]) == 200)
            #expect(try await caller.hear() == "One two three four five six", "the next thing to be heard")
            await caller.hangUp()
        }
    }

    @Test func `an intervention is taken once, by the conversation there is, through whichever replica`() async throws {
        try await Exchange.with { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            // Another replica: the same database, no conversation, and only the broker between them.
            let other = LiveCalls()
            let elsewhere = exchange.rig.telephony.holding(other)
            async let relayed: Void = exchange.rig.broadcast(2, to: [exchange.rig.telephony.live, other])
            let answer = await TestClient(exchange.rig.router(of: elsewhere), token: "ann").post(
                "/api/v1/calls/\(call.id.text)/intervene",
                json: ["action": "send_message", "message": "We can offer ten percent."])
            #expect(answer.status == 200, "\(answer.text)")
            #expect(try await caller.hear().contains("ten percent"))
            try await relayed
            exchange.rig.telephony.live.take(try #require(try await exchange.rig.commands().first))
            try await EventLoop.sleep(for: .milliseconds(100))
            let times = try await exchange.texts(call).filter { $0.contains("ten percent") }.count
            #expect(times == 1, "told twice, said once")
            await caller.hangUp()
        }
    }

    @Test func `a message nobody heard yet survives a pause, and comes with the next answer`() async throws {
        // The greeting is still being spoken at this pace, and a message waits for its end.
        try await Exchange.with(policy: { $0.charactersPerSecond = 5 }) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            let message: JSON = ["action": "send_message", "message": "We can offer ten percent."]
            #expect(try await exchange.intervene(call, message) == 200)
            for action in ["pause", "resume"] {
                #expect(try await exchange.intervene(call, ["action": .string(action)]) == 200)
            }
            #expect(try await caller.ask("What can you offer?").contains("ten percent"))
            await caller.hangUp()
        }
    }

    @Test func `a message for a line that is broken waits for it to come back`() async throws {
        try await Exchange.with { exchange async throws in
            let call = try await exchange.live()
            let torn = try await exchange.caller(for: call)
            _ = try await torn.hear()
            await torn.tear()
            try await eventually("the conversation is gone") { exchange.rig.telephony.live.count == 0 }
            async let asked = exchange.intervene(call, ["action": "send_message", "message": "We are still here."])
            try await eventually("it waits") {
                try await exchange.rig.database.query("SELECT id FROM interventions").count == 1
            }
            let caller = try await exchange.caller(for: call)
            #expect(try await caller.hear().contains("still here"))
            #expect(try await asked == 200)
            await caller.hangUp()
        }
    }

    @Test func `an older socket cannot take what is meant for the newest`() async throws {
        try await Exchange.with(policy: { $0.interventionWithin = .milliseconds(300) }) { exchange async throws in
            let call = try await exchange.live()
            let old = try await exchange.caller(for: call)
            _ = try await old.hear()
            try await exchange.rig.database.execute("UPDATE calls SET relay_epoch = relay_epoch + 1")
            #expect(try await exchange.intervene(call, ["action": "send_message", "message": "Lost?"]) == 409)
            #expect(try await !exchange.texts(call).contains { $0.contains("Lost?") })
            await old.hangUp()
        }
    }

    @Test func `instructions given while no socket was open are known to the next`() async throws {
        let echo = Assistant { question, voice in try await voice.say(question.profile.override ?? "none") }
        try await Exchange.with(assistant: echo) { exchange async throws in
            let call = try await exchange.live()
            let set = try await exchange.intervene(
                call, ["action": "override_instructions", "instructions": "Be brief"])
            #expect(set == 200)
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            #expect(try await caller.ask("What are you told?") == "Be brief")
            let changed = try await exchange.intervene(
                call, ["action": "override_instructions", "instructions": "Be kind"])
            #expect(changed == 200)
            #expect(try await caller.ask("And now?") == "Be kind", "the very next turn")
            await caller.hangUp()
        }
    }

    @Test func `after a hand-over was taken back the next one works`() async throws {
        try await Exchange.with(policy: { $0.charactersPerSecond = 0 }) { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            // Nobody is free: the AI's own escalation waits, and a manager cancels it.
            _ = try await caller.ask("I want to talk to a human")
            let waiting = try await exchange.rig.ann.client.get("/api/v1/escalations").json()
            let id = try #require(waiting["escalations"]?[0]?["id"]?.int)
            #expect(await exchange.rig.ann.client.post("/api/v1/escalations/\(id)/cancel").status == 200)
            for command in try await exchange.rig.commands() { exchange.rig.telephony.live.take(command) }
            _ = try await exchange.rig.human()
            _ = try await caller.ask("I want to talk to a human")
            #expect(try await caller.ended()?.reason == .human)
            let all = try await exchange.rig.ann.client.get("/api/v1/escalations").json()
            #expect(all["escalations"]?.array?.map { $0["status"]?.string } == ["pending", "cancelled"])
            await caller.hangUp()
        }
    }

    // MARK: Tools

    @Test func `a callback is taken down for tomorrow at ten in the agent's time zone`() async throws {
        try await Exchange.with { exchange async throws in
            let agent = try await exchange.rig.agent(["timezone": "Asia/Tokyo"])
            let call = try await exchange.live(agent: agent)
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            #expect(try await caller.ask("Please call me back tomorrow").contains("called back"))
            let row = try #require(
                try await exchange.rig.database.queryOne(
                    """
                    SELECT kind, phone_number, to_char(due_at AT TIME ZONE 'Asia/Tokyo', 'HH24:MI') AS hour,
                           (due_at AT TIME ZONE 'Asia/Tokyo')::date - (now() AT TIME ZONE 'Asia/Tokyo')::date AS days
                    FROM callbacks
                    """))
            #expect(try row.decode("kind", as: String.self) == "callback")
            #expect(try row.decode("hour", as: String.self) == "10:00")
            #expect(try row.decode("days", as: Int32.self) == 1)
            #expect(try row.decode("phone_number", as: String.self) == call.from)
            #expect(try await exchange.rig.stored(call.id).outcome == .callback)
            await caller.hangUp()
        }
    }

    @Test func `a goodbye ends the call, and never again means never`() async throws {
        try await Exchange.with { exchange async throws in
            let call = try await exchange.live()
            let caller = try await exchange.caller(for: call)
            _ = try await caller.hear()
            caller.say("Do not call me again")
            #expect(try await caller.ended()?.reason == .finished)
            let order = await exchange.rig.ann.client.post(
                "/api/v1/calls/initiate", json: ["to_number": .string(call.from)])
            #expect(order.status == 400)
            await caller.hangUp()
        }
    }

    @Test func `twenty conversations at once keep apart`() async throws {
        let echo = Assistant { question, voice in
            for word in question.words.split(separator: " ") { try await voice.say(word + " ") }
        }
        try await Exchange.with(assistant: echo) { exchange async throws in
            var calls: [Call] = []
            for _ in 0..<20 { calls.append(try await exchange.live()) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, call) in calls.enumerated() {
                    group.addTask {
                        let caller = try await exchange.caller(for: call)
                        _ = try await caller.hear()
                        for turn in 0..<5 {
                            #expect(
                                try await caller.ask("call \(number) turn \(turn)") == "call \(number) turn \(turn)")
                        }
                        await caller.hangUp()
                    }
                }
                try await group.waitForAll()
            }
            for (number, call) in calls.enumerated() {
                try await eventually("all is stored") { try await exchange.texts(call).count == 11 }
                let expected = (0..<5).flatMap {
                    ["customer: call \(number) turn \($0)", "ai: call \(number) turn \($0)"]
                }
                #expect(try await exchange.texts(call).dropFirst() == expected[...])
            }
        }
    }
}

/// Holds an assistant until it is opened or its turn is stopped.
final class Holding: Sendable {
    private let isOpen = Guarded(false)

    func open() { isOpen.withLock { $0 = true } }

    func wait() async throws {
        while !isOpen.withLock({ $0 }) { try await EventLoop.sleep(for: .milliseconds(2)) }
    }
}

/// Raised once, seen from anywhere.
private final class Flag: Sendable {
    private let state = Guarded(false)
    var isUp: Bool { state.withLock { $0 } }
    func raise() { state.withLock { $0 = true } }
}
