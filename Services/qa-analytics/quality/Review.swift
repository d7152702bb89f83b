import Shared

/// What a person says of a score: only what they name changes.
struct Review: Sendable, Equatable {
    var overall: Double?
    var sentiment: Double?
    var compliance: Double?
    var accuracy: Double?
    var professionalism: Double?
    var label: SentimentLabel?
    var complianceIssues: [String]?
    var flaggedIssues: [String]?
    /// `.some(nil)`: removed.
    var notes: String??

    static let issuesMax = 50
    static let issueLengthMax = 500
    static let notesLengthMax = 5_000

    init() {}

    init(_ form: inout Form) {
        overall = Self.score("overall_score", &form)
        sentiment = Self.score("sentiment_score", &form)
        compliance = Self.score("compliance_score", &form)
        accuracy = Self.score("accuracy_score", &form)
        professionalism = Self.score("professionalism_score", &form)
        label = form.optionalChoice("sentiment_label", as: SentimentLabel.self)
        complianceIssues = Self.issues("compliance_issues", &form)
        flaggedIssues = Self.issues("flagged_issues", &form)
        if form.has("review_notes") {
            let text = form.optionalString("review_notes", max: Self.notesLengthMax)
            notes = .some(text.flatMap { $0.isEmpty ? nil : $0 })
        }
        if !form.hasFailed, self == Review() {
            form.fail("overall_score", "or another member to be corrected must be given")
        }
    }

    /// To a millionth: nobody judges more finely, and sums of squares of what hardly differs from nothing are refused.
    private static func score(_ name: String, _ form: inout Form) -> Double? {
        form.optionalDouble(name, in: 0...1).map { ($0 * 1_000_000).rounded() / 1_000_000 }
    }

    private static func issues(_ name: String, _ form: inout Form) -> [String]? {
        let issues = form.strings(name, max: issuesMax, each: issueLengthMax)
        if issues?.contains("") == true { form.fail(name, "must not hold an empty text") }
        return issues
    }

    /// The score with the person's word in it.
    ///
    /// A part without the whole moves the whole, as the rubric weighs it; a sentiment without its label brings the label
    /// along. An issue that stays in a list keeps its evidence; one that is new has none.
    func applied(to score: CallScore, by person: UserID, named name: String) -> CallScore {
        var new = score
        new.sentiment = sentiment ?? score.sentiment
        new.compliance = compliance ?? score.compliance
        new.accuracy = accuracy ?? score.accuracy
        new.professionalism = professionalism ?? score.professionalism
        if let overall {
            new.overall = overall
        } else if sentiment ?? compliance ?? accuracy ?? professionalism != nil {
            // A person who judges what the configuration leaves out means it to count.
            var terms = score.terms
            if sentiment != nil { terms.judgesSentiment = true }
            if compliance != nil { terms.judgesCompliance = true }
            new.overall = terms.overall(
                sentiment: new.sentiment, compliance: new.compliance, accuracy: new.accuracy,
                professionalism: new.professionalism)
        }
        new.label = label ?? (sentiment == nil ? score.label : SentimentLabel(score: new.mood))
        new.findings = findings(of: score, overall: new.overall)
        if let notes { new.notes = notes }
        (new.reviewed, new.reviewer, new.reviewedBy) = (true, person, name)
        return new
    }

    private func findings(of score: CallScore, overall: Double) -> [Rubric.Finding] {
        var (compliance, others) = (
            score.findings.filter { $0.area == .compliance }, score.findings.filter { $0.area != .compliance }
        )
        if let complianceIssues { compliance = Self.kept(compliance, complianceIssues, area: .compliance) }
        if let flaggedIssues {
            others = Self.kept(others, flaggedIssues, area: .overall)
        } else {
            // Nobody spoke, but somebody has judged: that is no longer all there is to say.
            others.removeAll { [Rubric.Finding.belowThreshold, Rubric.Finding.nobodySpoke].contains($0.code) }
            if let shortfall = score.terms.shortfall(overall) { others.append(shortfall) }
        }
        return compliance + others
    }

    private static func kept(
        _ findings: [Rubric.Finding], _ issues: [String], area: Rubric.Finding.Area
    ) -> [Rubric.Finding] {
        issues.map { issue in
            findings.first { $0.reason == issue }
                ?? Rubric.Finding(area: area, code: "found_by_reviewer", reason: issue, evidence: [], deduction: 0)
        }
    }
}
