import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct ReviewTests {
    private let person = UserID()

    private func judged(_ terms: QualityTerms = QualityTerms()) -> CallScore {
        let lines = transcript("AI: Hello, tell me your PIN.", "Customer: No", "AI: It is guaranteed.", "AI: Well.")
        let call = CallRef(callID: CallID(), workspaceID: WorkspaceID(), direction: .inbound)
        var score = CallScore(of: call, at: .now())
        score.take(Rubric.score(lines, terms), terms, by: Rubric.name)
        return score
    }

    private func read(_ json: JSONObject) -> (Review, [String]) {
        var form = Form(json)
        let review = Review(&form)
        return (review, form.failed.map(\.name))
    }

    private func apply(_ json: JSONObject, to score: CallScore) -> CallScore {
        let (review, bad) = read(json)
        #expect(bad.isEmpty)
        return review.applied(to: score, by: person, named: "Mia")
    }

    @Test func `only what is named changes, and by whom`() {
        let before = judged()
        let after = apply(["accuracy_score": 0.4, "review_notes": "It did not know."], to: before)
        #expect(after.accuracy == 0.4 && after.notes == "It did not know.")
        #expect(after.reviewedBy == "Mia" && after.reviewer == person && after.reviewed)
        #expect(after.judgedBy == Rubric.name && after.compliance == before.compliance && after.label == before.label)
        #expect(abs(after.overall - (before.overall - 0.25 * 0.6)) < 1e-9)
        #expect(after.findings.filter { $0.area != .overall } == before.findings.filter { $0.area != .overall })
        let changes = after.changes(since: before)
        #expect(changes.before["accuracy_score"]?.double == 1 && changes.after["accuracy_score"]?.double == 0.4)
        #expect(changes.before["compliance_score"] == nil && changes.before["review_notes"] == .null)
    }

    @Test func `an overall score is taken at its word`() {
        let after = apply(["overall_score": 0.9, "accuracy_score": 0], to: judged())
        #expect(after.overall == 0.9 && after.accuracy == 0)
    }

    @Test func `a sentiment brings its label along unless one is given`() {
        #expect(apply(["sentiment_score": 0.9], to: judged()).label == .positive)
        #expect(apply(["sentiment_score": 0.9, "sentiment_label": "neutral"], to: judged()).label == .neutral)
        let labelled = apply(["sentiment_label": "negative"], to: judged())
        #expect(labelled.label == .negative && labelled.sentiment == judged().sentiment)
    }

    @Test func `an issue that stays keeps its evidence, and one that is new counts under no words of anybody's`() {
        let before = judged()
        let kept = before.complianceIssues[0]
        let after = apply(["compliance_issues": [.string(kept), "It spoke of Mr Smith."]], to: before)
        #expect(after.complianceIssues == [kept, "It spoke of Mr Smith."])
        #expect(after.findings.first { $0.reason == kept }?.evidence == [11])
        #expect(after.findings.first { $0.reason.contains("Smith") }?.code == "found_by_reviewer")
        #expect(after.flaggedIssues == before.flaggedIssues)
        #expect(apply(["flagged_issues": []], to: before).flaggedIssues.isEmpty)
    }

    @Test func `below the threshold follows the corrected score`() {
        var terms = QualityTerms()
        terms.threshold = 0.5
        let low = apply(["overall_score": 0.3], to: judged(terms))
        #expect(low.isBelowThreshold)
        #expect(!apply(["overall_score": 0.5], to: low).isBelowThreshold)
        // Who writes the list themselves means it.
        #expect(!apply(["overall_score": 0.3, "flagged_issues": ["Slow"]], to: judged(terms)).isBelowThreshold)
    }

    @Test func `a person who judges what the configuration leaves out means it to count`() {
        var terms = QualityTerms()
        terms.judgesCompliance = false
        let before = judged(terms)
        let after = apply(["compliance_score": 0], to: before)
        #expect(
            abs(after.overall - (0.25 * before.sentiment + 0.25 * before.accuracy + 0.2 * before.professionalism))
                < 1e-9)
    }

    @Test(
        arguments: [
            ([:], "overall_score"), (["colour": "green"], "overall_score"), (["overall_score": 1.01], "overall_score"),
            (["sentiment_score": "high"], "sentiment_score"), (["sentiment_label": "angry"], "sentiment_label"),
            (["compliance_issues": "none"], "compliance_issues"), (["flagged_issues": [""]], "flagged_issues"),
            (["flagged_issues": [7]], "flagged_issues"), (["review_notes": 7], "review_notes"),
            (["compliance_issues": .array((0...50).map { .string("\($0)") })], "compliance_issues"),
            (["review_notes": .string(String(repeating: "a", count: 5_001))], "review_notes"),
        ] as [(JSONObject, String)])
    func `a bad member is named`(_ json: JSONObject, _ member: String) {
        #expect(read(json).1 == [member])
    }
}
