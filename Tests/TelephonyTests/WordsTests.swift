import Shared
import Testing

@testable import Telephony

@Suite struct PhrasesTests {
    @Test(arguments: [
        "I want to speak to a human", "Can I talk to a real person please?", "agent", "Let me speak with your manager.",
        "connect me to a representative", "0", "I need a human", "put me through to somebody",
    ])
    func `asking for a person is understood`(words: String) {
        #expect(Phrases.asksForHuman(words))
        #expect(Phrases.meaning(of: words) == .human)
    }

    @Test(arguments: [
        "Get me a ticket for one person", "I need a table for two people", "What does a real estate agent cost?",
        "My manager bought it", "I want it for one person", "Is the operator of the museum open?",
    ])
    func `speaking of a person is not asking for one`(words: String) {
        #expect(!Phrases.asksForHuman(words))
    }

    @Test func `a farewell is short`() {
        #expect(Phrases.meaning(of: "Thanks, bye!") == .goodbye)
        #expect(Phrases.meaning(of: "No, that's all, thank you.") == .goodbye)
        #expect(Phrases.meaning(of: "Yes, that's all correct.") != .goodbye)
        #expect(Phrases.meaning(of: "No, thanks.") == .thanks, "declining one thing is not leaving")
        #expect(Phrases.meaning(of: "I said goodbye to my old provider last year, what do you charge now?") == nil)
    }

    @Test func `times are read as they are said`() {
        #expect(CallbackTime(in: "call me back tomorrow at three pm") == CallbackTime(days: 1, hour: 15))
        #expect(CallbackTime(in: "call me back in two hours").hoursFromNow == 2)
        #expect(CallbackTime(in: "next week please").days == 7)
        #expect(CallbackTime(in: "call me this afternoon") == CallbackTime(days: 0, hour: 15))
        #expect(CallbackTime(in: "tomorrow at 10 30") == CallbackTime(days: 1, hour: 10, minute: 30))
        #expect(CallbackTime(in: "in 9999999 days").days == 60)
    }

    @Test func `wishes are told apart`() {
        #expect(Phrases.meaning(of: "Please call me back tomorrow") == .callback(CallbackTime(days: 1)))
        #expect(
            Phrases.meaning(of: "Can I book an appointment for tomorrow morning?")
                == .meeting(CallbackTime(days: 1, hour: 10)))
        #expect(Phrases.meaning(of: "Do not call me again") == .optOut)
        #expect(Phrases.meaning(of: "I'm not interested") == .notInterested)
        #expect(Phrases.meaning(of: "How do refunds work?") == nil)
    }

    @Test(arguments: [
        ("Who is this?", Phrases.Meaning.whoIsThis), ("I'm in a meeting right now, what is this about?", .whoIsThis),
        ("Hang on, am I talking to a robot?", .whoIsThis), ("Can I talk to a real person please?", .human),
        ("It worked, that was easy. Thank you very much!", .thanks),
        ("Thank you, that is all I wanted to hear from you today, really.", .thanks),
    ])
    func `what needs no answer from the knowledge base is told apart`(words: String, meaning: Phrases.Meaning) {
        #expect(Phrases.meaning(of: words) == meaning)
    }

    @Test(arguments: [
        "Thank you, but where do I have to send the broken kettle to?",
        "Thanks for that. And when will you open tomorrow then?",
        "Who is this warranty for, the buyer or whoever has the machine at the time?",
    ])
    func `what asks for something is answered`(words: String) {
        #expect(Phrases.meaning(of: words) == nil)
    }

    @Test func `an offer is taken up with a yes, and only then`() {
        func offered(_ text: String) -> OfflineResponder.Offer? {
            OfflineResponder.lastOffer([.init(speaker: .ai, text: text), .init(speaker: .customer, text: "Hm.")])
        }
        let questions = (0..<3).map { Question(words: "Do you sell boats?", profile: Profile(), round: $0) }
        #expect(questions.map { offered(OfflineResponder.fallback(for: $0)) } == [nil, .colleague, .callback])
        let complaint = Question(words: "This is the third time I call!", profile: Profile())
        #expect(offered(OfflineResponder.fallback(for: complaint)) == .colleague)
        #expect(offered("We open at nine.") == nil)
        for yes in ["Yes.", "Yes please, do that", "Sure, that would be great", "Okay", "Please do"] {
            #expect(Phrases.accepts(yes))
        }
        for other in ["No thanks", "Yes, but what does it cost me in the end then?", "I asked for yes cards", "Okay?"] {
            #expect(!Phrases.accepts(other))
        }
    }

    @Test func `the responder says what it is`() {
        var profile = Profile()
        #expect(OfflineResponder.introduction(of: profile).hasPrefix("I am an AI assistant. "))
        profile.agentName = "Mara"
        profile.businessName = "Harbour Kitchenware"
        #expect(
            OfflineResponder.introduction(of: profile).hasPrefix("I am Mara, an AI assistant of Harbour Kitchenware. "))
    }
}

@Suite struct TriggersTests {
    private func triggers(_ list: JSON, enabled: Bool = true) -> Triggers {
        Triggers(["enabled": .bool(enabled), "triggers": list])
    }

    @Test func `a keyword fires as a word, not inside of one`() {
        let rules = triggers([["type": "keyword", "keywords": ["lawyer", "Cancel my contract"]]])
        #expect(rules.fired(by: "I will call my LAWYER!", asksForHuman: false)?.kind == .keyword)
        #expect(rules.fired(by: "cancel, my contract", asksForHuman: false)?.details["keyword"] == "Cancel my contract")
        #expect(rules.fired(by: "the lawyers", asksForHuman: false) == nil)
    }

    @Test func `asking for a human fires wherever escalation is on`() {
        #expect(triggers([]).fired(by: "a human please", asksForHuman: true)?.kind == .explicitRequest)
        #expect(Triggers().fired(by: "a human please", asksForHuman: true)?.kind == .explicitRequest)
        #expect(triggers([], enabled: false).fired(by: "a human please", asksForHuman: true) == nil)
    }

    @Test func `thresholds are the configuration's`() {
        let rules = triggers([
            ["type": "repeated_failure", "threshold": 2], ["type": "low_confidence", "threshold": 0.4],
            ["type": "sentiment", "threshold": -0.3],
        ])
        #expect(rules.fired(failures: 1, confidence: nil) == nil)
        #expect(rules.fired(failures: 2, confidence: nil)?.kind == .repeatedFailure)
        #expect(rules.fired(failures: 0, confidence: 0.39)?.kind == .lowConfidence)
        #expect(rules.fired(failures: 0, confidence: 0.4) == nil)
        #expect(rules.fired(sentiment: -0.3)?.kind == .sentiment)
        #expect(rules.fired(sentiment: -0.29) == nil)
        #expect(Triggers().fired(sentiment: -1) == nil, "no rule, no escalation")
    }

    @Test func `an unknown kind of trigger is left out`() {
        #expect(triggers([["type": "moon_phase"], ["type": "sentiment"]]).rules.count == 2)
    }
}

@Suite struct OfflineResponderTests {
    private let passages = [
        Passage(
            entry: 1, title: "Opening hours",
            text: "Our shop opens at nine in the morning. We close at six. On Sundays we are closed.", score: 0.9),
        Passage(
            entry: 2, title: "Refunds", text: "A refund takes five working days. Refunds go to the card that was used.",
            score: 0.5),
    ]

    @Test func `the sentence that shares most with the question answers it`() {
        let hours = OfflineResponder.extract("When does the shop open in the morning?", from: passages)
        #expect(hours?.sentences.first == "Our shop opens at nine in the morning.")
        #expect(hours?.passage.entry == 1)
        let refund = OfflineResponder.extract("How many days does a refund take?", from: passages)
        #expect(refund?.sentences.first == "A refund takes five working days.")
        #expect(refund?.coverage ?? 0 > OfflineResponder.coverageLeast)
    }

    @Test func `a question about something else is covered by nothing`() {
        let found = OfflineResponder.extract("Do you repair violins in Vienna?", from: passages)
        #expect(found?.coverage ?? 0 < OfflineResponder.coverageLeast)
        #expect(OfflineResponder.extract("violins", from: []) == nil)
    }

    private func answer(_ words: String, passages: [Passage] = []) async throws -> TurnVoice {
        let voice = TurnVoice(send: { _ in }, perform: { tool in ToolResult(text: "done: \(tool)") })
        try await OfflineResponder.assistant.answer(
            Question(words: words, passages: passages, profile: Profile()), voice)
        return voice
    }

    @Test func `the same question gets the same answer, with its source`() async throws {
        let first = try await answer("When do you open?", passages: passages)
        let second = try await answer("When do you open?", passages: passages)
        #expect(first.sent == second.sent)
        #expect(first.citations.map(\.entry) == [1])
        #expect(!first.failed)
    }

    @Test func `what is said in other words is an answer where the knowledge base says it speaks to the question`()
        async throws
    {
        var found = passages
        found.swapAt(0, 1)
        found[0].coverage = 0.6
        found[1].coverage = 0.1
        let voice = try await answer("Could I have my money back?", passages: found)
        #expect(!voice.failed && voice.citations.map(\.entry) == [2] && voice.confidence == 0.6)
        #expect(voice.sent.contains("A refund takes five working days."))
        // What is found first counts, although another one shares a word.
        let order = try await answer("The money, in the morning?", passages: found)
        #expect(order.citations.map(\.entry) == [2])
        found[0].coverage = 0.4
        let doubtful = try await answer("Could I have my money back?", passages: found)
        #expect(doubtful.failed && doubtful.citations.isEmpty)
        // One word of three in common is no answer where the knowledge base was asked.
        let morning = try await answer("Does the violin teacher come in the morning?", passages: found)
        #expect(morning.failed)
    }

    @Test func `what is not known is said so`() async throws {
        let voice = try await answer("Do you repair violins in Vienna?", passages: passages)
        #expect(voice.failed)
        #expect(voice.citations.isEmpty)
        #expect(!voice.sent.isEmpty)
    }

    @Test func `the tools are driven by rules`() async throws {
        #expect(
            try await answer("I want to talk to a human").calls == [
                .transfer(reason: "The customer asked for a person.", wish: Wish())
            ])
        #expect(try await answer("Goodbye").calls == [.endCall])
        #expect(try await answer("Do not call me again").calls == [.optOut, .endCall])
        let callback = try await answer("Call me back tomorrow").calls
        #expect(
            callback == [.callback(.init(kind: .callback, time: CallbackTime(days: 1), note: "Call me back tomorrow"))])
    }

    @Test func `sentences end where people would end them`() {
        #expect(
            OfflineResponder.sentences("It costs 3.50 a month. Really!\nCall us") == [
                "It costs 3.50 a month.", "Really!", "Call us",
            ])
    }
}
