import Shared
import Testing

@testable import Telephony

@Suite struct TwiMLTests {
    @Test func `what a tenant configured cannot close a tag`() {
        var reply = TwiML()
        reply.say(#"</Say><Redirect>http://evil"&'"#, language: #"en"><Hangup/>"#)
        #expect(
            reply.document
                == #"<?xml version="1.0" encoding="UTF-8"?><Response><Say language="en&quot;&gt;&lt;Hangup/&gt;">&lt;/Say&gt;&lt;Redirect&gt;http://evil&quot;&amp;&apos;</Say></Response>"#
        )
    }

    @Test func `characters XML forbids are dropped`() {
        #expect(TwiML.escaped("a\u{0}b\u{1F}c\u{FFFF}\td") == "abc\td")
    }

    @Test func `the relay is connected with its socket, action and voice`() {
        let call = CallID()
        let text = TwiML.relay(
            socket: "wss://x/ws/relay/t", action: "https://x/c?call=1&a=2",
            voice: RelayVoice(language: "de-DE", voice: nil), call: call
        ).document
        #expect(
            text.contains(
                #"<Connect action="https://x/c?call=1&amp;a=2" method="POST"><ConversationRelay url="wss://x/ws/relay/t" language="de-DE""#
            ))
        #expect(!text.contains(" voice="))
        #expect(
            text.contains(
                #"<Parameter name="call_id" value="\#(call.text)"></Parameter></ConversationRelay></Connect></Response>"#
            ))
    }
}

@Suite struct RelayMessageTests {
    @Test func `every message of the carrier is read`() throws {
        #expect(
            try RelayMessage.decode(
                #"{"type":"setup","sessionId":"VX1","callSid":"CA1","from":"+1","to":"+2","customParameters":{}}"#)
                == .setup(.init(session: "VX1", sid: "CA1", from: "+1", to: "+2")))
        #expect(
            try RelayMessage.decode(#"{"type":"prompt","voicePrompt":"Hi","lang":"en-US","last":false}"#)
                == .prompt("Hi", language: "en-US", last: false))
        #expect(
            try RelayMessage.decode(
                #"{"type":"interrupt","utteranceUntilInterrupt":"Hel","durationUntilInterruptMs":"460"}"#)
                == .interrupt(heard: "Hel", afterMilliseconds: 460))
        #expect(
            try RelayMessage.decode(
                #"{"type":"interrupt","utteranceUntilInterrupt":"Hel","durationUntilInterruptMs":460}"#)
                == .interrupt(heard: "Hel", afterMilliseconds: 460))
        #expect(try RelayMessage.decode(#"{"type":"dtmf","digit":"5"}"#) == .digit("5"))
        #expect(try RelayMessage.decode(#"{"type":"error","description":"x"}"#) == .failure("x"))
        #expect(
            try RelayMessage.decode(#"{"type":"info","name":"a","value":"b"}"#) == .information(name: "a", value: "b"))
        #expect(try RelayMessage.decode(#"{"type":"configUpdated"}"#) == .unknown("configUpdated"))
    }

    @Test func `what is no message is refused with its reason`() {
        #expect(throws: RelayMessage.Unreadable.notJSON) { try RelayMessage.decode("{") }
        #expect(throws: RelayMessage.Unreadable.noType) { try RelayMessage.decode("{}") }
        #expect(throws: RelayMessage.Unreadable.missing("voicePrompt")) {
            try RelayMessage.decode(#"{"type":"prompt"}"#)
        }
    }

    @Test func `ours are written as the protocol has them`() {
        #expect(
            RelayMessage.encode(.text("a\"b", last: true, language: nil))
                == #"{"type":"text","token":"a\"b","last":true}"#)
        let handoff = Handoff(.human, escalation: 9, summary: "s")
        #expect(Handoff(handoff.text) == handoff)
        let end = try? JSON.parse(RelayMessage.encode(.end(handoff: handoff.text)))
        #expect(end?["type"] == "end")
        #expect(end?["handoffData"]?.string == handoff.text, "handoffData is text, not an object")
        #expect(Handoff("nonsense") == nil)
    }
}

@Suite struct RelayTokenTests {
    @Test func `a token names its call and cannot be made up`() {
        let tokens = RelayToken(secret: "0123456789abcdef0123456789abcdef")
        let call = CallID()
        let token = tokens.token(for: call)
        #expect(tokens.call(of: token) == call)
        #expect(token.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" })
        #expect(RelayToken(secret: "another secret of thirty-two bytes").call(of: token) == nil)
        var forged = Array(token)
        forged[0] = forged[0] == "A" ? "B" : "A"
        #expect(tokens.call(of: String(forged)) == nil)
        #expect(tokens.call(of: "") == nil)
    }
}

@Suite struct ServerSentEventsTests {
    private let stream =
        "\u{FEFF}: hi\r\ndata: {\"a\":1}\r\n\r\nevent: x\ndata:one\ndata: two\n\n\ndata\n\ndata: [DONE]\r\rdata: cut"

    @Test func `events are the same however the bytes are cut`() throws {
        let bytes = Array(stream.utf8)
        let expected = ["{\"a\":1}", "one\ntwo", "", "[DONE]"]
        for size in 1...bytes.count {
            var reader = ServerSentEvents()
            var events: [String] = []
            var at = 0
            while at < bytes.count {
                events += try reader.read(bytes[at..<min(at + size, bytes.count)])
                at += size
            }
            #expect(events == expected, "in pieces of \(size)")
        }
    }

    @Test func `a line without end is refused`() {
        var reader = ServerSentEvents()
        #expect(throws: ServerSentEvents.TooLong.self) {
            _ = try reader.read(repeatElement(UInt8(ascii: "x"), count: ServerSentEvents.lineMax + 1))
        }
    }
}

@Suite struct ChatStreamTests {
    @Test func `words and tools are put together`() throws {
        var stream = ChatStream()
        #expect(try stream.read(#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#) == nil)
        #expect(try stream.read(#"{"choices":[{"delta":{"content":"Hel"}}]}"#) == "Hel")
        #expect(
            try stream.read(
                #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"schedule_callback","arguments":"{\"when\":"}}]}}]}"#
            ) == nil)
        #expect(
            try stream.read(
                #"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"tomorrow\"}"}}]}}]}"#)
                == nil)
        #expect(try stream.read(#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#) == nil)
        #expect(try stream.read("[DONE]") == nil)
        #expect(stream.isDone)
        #expect(stream.calls == [.init(id: "c1", name: "schedule_callback", arguments: #"{"when":"tomorrow"}"#)])
        #expect(
            try ToolBelt.read(stream.calls[0])
                == .callback(.init(kind: .callback, time: CallbackTime(days: 1), at: nil, name: nil, note: nil)))
    }

    @Test func `an error inside the stream is an error`() {
        var stream = ChatStream()
        #expect(throws: ChatStream.Failure.refused("overloaded")) {
            _ = try stream.read(#"{"error":{"message":"overloaded"}}"#)
        }
        #expect(throws: ChatStream.Failure.notJSON) { _ = try stream.read("{") }
    }

    @Test func `a tool nobody knows, or called wrongly, is not carried out`() {
        #expect(throws: ToolBelt.Unusable.unknown("rm_rf")) {
            _ = try ToolBelt.read(.init(name: "rm_rf", arguments: ""))
        }
        #expect(throws: ToolBelt.Unusable.arguments("outcome")) {
            _ = try ToolBelt.read(.init(name: "set_outcome", arguments: #"{"outcome":"rich"}"#))
        }
        #expect(throws: ToolBelt.Unusable.arguments("end_call")) {
            _ = try ToolBelt.read(.init(name: "end_call", arguments: "{"))
        }
    }
}

@Suite struct DialRulesTests {
    @Test(arguments: ["+14155550100", "+442079460958", "+493012345678", "+1234567890", "+15550001234"])
    func `ordinary numbers may be dialled`(number: String) throws {
        try DialRules().check(#require(PhoneNumber(number)))
    }

    @Test(arguments: [
        ("+19005551234", DialRules.Refusal.premium), ("+449061234567", .premium), ("+491371234567", .premium),
        ("+18765551234", .premium), ("+881612345678", .premium), ("+49112000", .emergency),
        ("+19115550100", .emergency),
        ("+2348012345678", .country), ("+1234567", .short),
    ])
    func `what costs, kills or is abroad may not`(number: String, refusal: DialRules.Refusal) throws {
        let parsed = try #require(PhoneNumber(number))
        #expect(throws: refusal) { try DialRules().check(parsed) }
    }

    @Test func `an operator may open a country, but no premium range in it`() throws {
        let rules = DialRules(allowed: ["+234"])
        try rules.check(#require(PhoneNumber("+2348012345678")))
        #expect(throws: DialRules.Refusal.country) { try rules.check(#require(PhoneNumber("+14155550100"))) }
    }
}

@Suite struct CarrierWebhookTests {
    private let now = Instant(seconds: 1_800_000_000)

    private func read(_ query: [(String, String)], _ form: [(String, String)]) -> CarrierWebhook {
        CarrierWebhook(query: query, form: form, now: now)
    }

    @Test func `a bare address tells a ringing call from a status`() {
        let ringing = [("CallSid", "CA1"), ("From", "+14155550100"), ("To", "+14155550199"), ("CallStatus", "ringing")]
        #expect(read([], ringing) == .voice(.init(sid: "CA1", from: "+14155550100", to: "+14155550199", call: nil)))
        let status = ringing + [("CallbackSource", "call-progress-events"), ("SequenceNumber", "2")]
        #expect(
            read([], status) == .status(CarrierReport(sid: "CA1", state: .ringing, at: now, sequence: 2), call: nil))
        #expect(
            read([], [("CallSid", "CA1"), ("CallStatus", "completed"), ("CallDuration", "12")])
                == .status(CarrierReport(sid: "CA1", state: .completed, at: now, durationSeconds: 12), call: nil))
    }

    @Test func `a query that says the kind is believed`() {
        let call = CallID()
        let form = [("CallSid", "CA1"), ("CallStatus", "in-progress"), ("AnsweredBy", "machine_start")]
        #expect(
            read([("kind", "amd"), ("call", call.text)], form) == .answeredBy(.machineStart, sid: "CA1", call: call))
        #expect(
            read([("kind", "voice"), ("call", call.text)], form)
                == .voice(.init(sid: "CA1", from: "", to: "", call: call)))
        #expect(read([("kind", "agent"), ("escalation", "5")], form) == .agentVoice(escalation: 5, sid: "CA1"))
        #expect(read([("kind", "agent")], form) == .unknown("escalation"))
        #expect(
            read([("kind", "status")], [("CallSid", "CA1"), ("CallStatus", "levitating")]) == .unknown("CallStatus"))
        #expect(read([], [("CallStatus", "ringing")]) == .unknown("no CallSid"))
    }

    @Test func `the carrier's clock is taken unless it is absurd`() {
        func at(_ text: String) -> Instant? {
            let form = [("CallSid", "CA1"), ("CallStatus", "completed"), ("Timestamp", text)]
            guard case .status(let report, _) = read([("kind", "status")], form) else { return nil }
            return report.at
        }
        #expect(at("Fri, 15 Jan 2027 08:00:05 +0000") == Instant(seconds: 1_800_000_005))
        #expect(at("Fri, 15 Jan 1999 08:00:05 +0000") == now)
        #expect(at("soon") == now)
    }

    @Test func `the same delivery has the same keys`() {
        let webhook = read([], [("CallSid", "CA1"), ("CallStatus", "ringing"), ("SequenceNumber", "1")])
        #expect(webhook.keys(token: "T") == ["token|T", "CA1|ringing|1"])
        #expect(
            read([("kind", "voice")], [("CallSid", "CA1")]).keys(token: "T").isEmpty, "every voice request is answered")
    }
}
