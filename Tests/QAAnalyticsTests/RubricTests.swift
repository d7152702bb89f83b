import Testing

@testable import QAAnalytics

private func call(_ lines: (ai: Bool, text: String, score: Double)...) -> [Rubric.Utterance] {
    lines.enumerated().map { place, line in
        Rubric.Utterance(
            id: Int64(place + 1), byAI: line.ai, text: line.text, sentiment: line.score, citations: 1, unanswered: false
        )
    }
}

@Suite struct RubricTests {
    @Test func `a polite call loses nothing but what the mood takes`() {
        let score = Rubric.score(
            call(
                (true, "Hello, how can I help?", 0.4), (false, "I need my bill.", 0),
                (true, "Thank you, it is on its way. Goodbye.", 0.5)))
        #expect(score.findings.isEmpty)
        #expect(score.compliance == 1 && score.accuracy == 1 && score.professionalism == 1)
        #expect(score.sentiment == 0.5)
        #expect(abs(score.overall - (0.25 * 0.5 + 0.75)) < 1e-9)
    }

    @Test(arguments: [
        ("Hello. Please tell me your password.", "asked_for_secret"),
        ("Hello, this is guaranteed to work.", "unbacked_promise"),
        ("What do you want?", "no_greeting"),
    ])
    func `what an agent says wrong is found with its utterance`(_ text: String, _ code: String) {
        let score = Rubric.score(call((true, text, 0), (false, "Well.", 0)))
        let finding = score.findings.first { $0.code == code }
        #expect(finding?.evidence == [1])
        #expect(score.overall < 1 - 0.25 * 0.5)
    }

    @Test func `silence is no bad call and no good one`() {
        let score = Rubric.score([])
        #expect(score.isOfSilence && score.overall == 0)
        #expect(score.findings.map(\.code) == ["nobody_spoke"])
        #expect(!Rubric.score(call((true, "Hello", 0))).isOfSilence)
    }

    @Test func `an opt-out must be acknowledged in the next answer`() {
        let ignored = Rubric.score(
            call((true, "Hello", 0), (false, "Stop calling me", 0), (true, "Our offer is new", 0)))
        #expect(ignored.findings.first { $0.code == "opt_out_ignored" }?.evidence == [2, 3])
        let heard = Rubric.score(
            call(
                (true, "Hello", 0), (false, "Stop calling me", 0), (true, "Understood, I took you off the list. Bye", 0)
            ))
        #expect(!heard.findings.contains { $0.code == "opt_out_ignored" })
    }

    @Test func `questions without an answer cost accuracy in proportion`() {
        var lines = call(
            (true, "Hello", 0), (false, "When?", 0), (true, "I do not know", 0), (false, "Why?", 0),
            (true, "Because. Thanks", 0))
        lines[2].unanswered = true
        lines[2].citations = 0
        let score = Rubric.score(lines)
        #expect(abs(score.accuracy - 0.6) < 1e-9)
        #expect(score.findings.first { $0.code == "unanswered_questions" }?.evidence == [3])
    }

    @Test func `how a call ends weighs twice how it began`() {
        #expect(abs(Rubric.mood(of: [-1, 1]) - (1.0 / 3)) < 1e-9)
        #expect(Rubric.mood(of: []) == 0)
    }

    @Test func `phrases match whole words only`() {
        #expect(Words("My PIN is 1234").has("pin"))
        #expect(!Words("I am spinning").has("pin"))
        #expect(Words("please, do not call again").has("do not call"))
    }

    @Test(arguments: [
        ("No thanks, I'm not interested.", Outcome.notInterested), ("Please call me back tomorrow", .callback),
        ("Yes please, book it", .converted),
    ])
    func `the last clear word of the customer is the outcome`(_ text: String, _ outcome: Outcome) {
        let lines = call((true, "Hello", 0), (false, "Maybe", 0), (false, text, 0))
        #expect(Outcome.classify(lines, failureReason: nil, escalated: false, mood: 0) == outcome)
        #expect(Outcome.classify(lines, failureReason: nil, escalated: true, mood: 0) == .escalated)
        #expect(Outcome.classify([], failureReason: "busy", escalated: false, mood: 0) == .noAnswer)
    }
}
