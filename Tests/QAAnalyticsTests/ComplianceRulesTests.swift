import Shared
import Testing

@testable import QAAnalytics

/// A transcript from `AI: …` and `Customer: …`; utterances are numbered from 11, so that no test takes a place for an id.
func transcript(_ lines: String...) -> [Rubric.Utterance] {
    lines.enumerated().map { place, line in
        let isAI = line.hasPrefix("AI: ")
        return Rubric.Utterance(
            id: Int64(place + 11), byAI: isAI, text: String(line.dropFirst(isAI ? 4 : 10)), sentiment: 0, citations: 1,
            unanswered: false)
    }
}

@Suite struct ComplianceRulesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var rules: JSON
        var lines: [String]
        /// Code, utterances, points.
        var found: [(String, [Int64], Double)]
        var testDescription: String { "\(rules.jsonText) on \(lines)" }

        init(_ rules: JSON, _ lines: [String], _ found: [(String, [Int64], Double)]) {
            (self.rules, self.lines, self.found) = (rules, lines, found)
        }
    }

    private static let disclosed: JSON = ["disclosure": ["required": true, "severity": "medium"]]

    @Test(arguments: [
        // Forbidden, as whole words of the agent, in any case and with any punctuation.
        Case(
            ["forbidden_phrases": [["phrase": "No Risk", "severity": "low"]]],
            ["AI: There is no risk.", "Customer: No risk?", "AI: None, no-risk at all."],
            [("forbidden_phrase", [11, 13], 0.2)]),
        Case(["forbidden_phrases": [["phrase": "risk"]]], ["AI: That would be risky, and asterisks too."], []),
        Case(
            ["forbidden_phrases": [["phrase": "I can't"]]], ["AI: I can’t do that."],
            [("forbidden_phrase", [11], 0.3)]),
        Case(
            ["forbidden_phrases": [["phrase": "über 100 %", "severity": "critical"]]],
            ["AI: Das sind ÜBER 100 Euro.", "AI: Gegenüber 100 Leuten."], [("forbidden_phrase", [11], 0.5)]),
        Case(
            ["forbidden_phrases": [["phrase": "保证"]]], ["AI: 我们保证退款。"], [("forbidden_phrase", [11], 0.3)]),
        Case(
            ["forbidden_phrases": [["phrase": "sure", "severity": "critical"]]],
            ["AI: Sure.", "AI: Sure.", "AI: Sure."], [("forbidden_phrase", [11, 12, 13], 1)]),
        // Required, once there was room for it.
        Case(
            ["required_phrases": [["phrase": "have a nice day", "severity": "low"]]],
            ["AI: Hello.", "Customer: Have a nice day", "AI: Bye."],
            [("required_phrase_missing", [11, 13], 0.1)]),
        Case(["required_phrases": [["phrase": "have a nice day"]]], ["AI: Hello."], []),
        Case(["required_phrases": [["phrase": "bye"]]], ["AI: Hello.", "AI: Bye!"], []),
        // Disclosure, within the first two utterances of the agent.
        Case(disclosed, ["AI: Hello.", "Customer: Are you an AI?", "AI: Yes."], [("no_disclosure", [11, 13], 0.2)]),
        Case(disclosed, ["AI: Hello.", "Customer: Hi", "AI: I am a virtual assistant."], []),
        Case(disclosed, ["AI: Hello.", "AI: Hm.", "AI: I am a robot."], [("no_disclosure", [11, 12], 0.2)]),
        Case(disclosed, ["AI: Hello.", "Customer: Bye"], []),
        Case(["disclosure": ["required": false]], ["AI: Hello.", "AI: Hm."], []),
        Case(
            ["disclosure": ["required": true, "within_turns": 1, "phrases": ["Hier spricht eine KI"]]],
            ["AI: Guten Tag, hier spricht eine KI."], []),
        // One's own phrases take the place of the built-in ones.
        Case(
            ["disclosure": ["required": true, "within_turns": 1, "phrases": ["eine KI"]]], ["AI: I am a robot."],
            [("no_disclosure", [11], 0.3)]),
        Case(
            ["recording_notice": ["required": true, "within_turns": 1]], ["AI: Hello, this call is recorded."], []),
        Case(
            ["recording_notice": ["required": true, "within_turns": 1]], ["AI: Hello, our record is good."],
            [("no_recording_notice", [11], 0.3)]),
        Case([:], ["AI: Hello.", "AI: Bye."], []),
    ])
    func `what a rule wants is found with its utterances`(_ one: Case) {
        let lines = one.lines.enumerated().map { place, line in
            var utterance = transcript(line)[0]
            utterance.id = Int64(place + 11)
            return utterance
        }
        let found = ComplianceRules(one.rules).findings(lines)
        #expect(found.map(\.code) == one.found.map(\.0))
        #expect(found.map(\.evidence) == one.found.map(\.1))
        for (finding, wanted) in zip(found, one.found) {
            #expect(abs(finding.deduction - wanted.2) < 1e-9)
            #expect(finding.area == .compliance)
        }
    }

    @Test func `a rule's points come off compliance and off the whole`() {
        var terms = QualityTerms()
        terms.rules = ComplianceRules(["forbidden_phrases": [["phrase": "no risk", "severity": "high"]]])
        let lines = transcript("AI: Hello, there is no risk.", "Customer: Fine", "AI: Thank you, goodbye.")
        let (with, without) = (Rubric.score(lines, terms), Rubric.score(lines))
        #expect(abs(with.compliance - 0.7) < 1e-9 && without.compliance == 1)
        #expect(abs(without.overall - with.overall - 0.3 * 0.3) < 1e-9)
    }
}

@Suite struct QualityTermsTests {
    private let lines = transcript(
        "AI: Hello, please tell me your PIN.", "Customer: What for?", "AI: I do not know.", "Customer: Bye")

    @Test func `a part is one less its points, and names utterances of the call for each part`() {
        for score in [
            Rubric.score(lines), Rubric.score(transcript("Customer: Hello?")), Rubric.score(Array(lines.prefix(1))),
        ] {
            for (area, part) in [
                (Rubric.Finding.Area.sentiment, score.sentiment), (.compliance, score.compliance),
                (.accuracy, score.accuracy), (.professionalism, score.professionalism),
            ] {
                let points =
                    score.findings.filter { $0.area == area }.reduce(0) { $0 + $1.deduction }
                    + score.basis.filter { $0.area == area }.reduce(0) { $0 + $1.deduction }
                #expect(abs(part - max(0, 1 - points)) < 1e-9, "\(area)")
                #expect(score.basis.contains { $0.area == area })
            }
            let ids = Set(lines.map(\.id))
            #expect((score.findings.flatMap(\.evidence) + score.basis.flatMap(\.evidence)).allSatisfy(ids.contains))
        }
        #expect(Rubric.score(lines).basis.first { $0.area == .accuracy }?.evidence == [13])
    }

    @Test func `what is not judged weighs nothing and finds nothing`() {
        var terms = QualityTerms()
        terms.judgesCompliance = false
        let lax = Rubric.score(lines, terms)
        #expect(lax.compliance == 1 && !lax.findings.contains { $0.area == .compliance })
        let rest = 0.25 * lax.sentiment + 0.25 * lax.accuracy + 0.2 * lax.professionalism
        #expect(abs(lax.overall - rest / 0.7) < 1e-9)

        terms = QualityTerms()
        terms.judgesSentiment = false
        var angry = lines
        for place in angry.indices where !angry[place].byAI { angry[place].sentiment = -0.9 }
        let calm = Rubric.score(angry, terms)
        #expect(calm.sentiment == 0.5 && calm.mood == 0)
        #expect(!calm.findings.contains { $0.area == .sentiment })
        #expect(
            abs(calm.overall - (0.3 * calm.compliance + 0.25 * calm.accuracy + 0.2 * calm.professionalism) / 0.75)
                < 1e-9)
    }

    @Test func `a score below the threshold is flagged, one at it is not`() {
        var terms = QualityTerms()
        terms.threshold = Rubric.score(lines).overall
        #expect(!Rubric.score(lines, terms).findings.contains { $0.code == Rubric.Finding.belowThreshold })
        terms.threshold += 0.001
        let flagged = Rubric.score(lines, terms)
        #expect(flagged.findings.last?.code == Rubric.Finding.belowThreshold)
        #expect(!Rubric.score([], terms).findings.contains { $0.code == Rubric.Finding.belowThreshold })
    }

    @Test func `what is kept with a score is read back`() {
        let terms = QualityTerms(
            business: BusinessID(), version: 7,
            ["sentiment_analysis": false, "compliance_check": false, "min_score_threshold": 0.25])
        #expect(QualityTerms(scored: terms.scored) == terms)
        #expect(QualityTerms(scored: [:]) == QualityTerms())
    }
}
