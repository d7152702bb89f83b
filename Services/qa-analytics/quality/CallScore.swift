import Shared

/// The score of a call as it is kept: document 003's `QAScore`, and what it rests on.
struct CallScore: Sendable, Equatable {
    /// 0 until it is stored.
    var id: Int64 = 0
    var call: CallID
    var workspace: WorkspaceID
    var version: Int64 = 1
    var overall = 0.0
    var sentiment = 0.0
    var compliance = 0.0
    var accuracy = 0.0
    var professionalism = 0.0
    var label = SentimentLabel.neutral
    var findings: [Rubric.Finding] = []
    var basis: [Rubric.Basis] = []
    var terms = QualityTerms()
    /// Who made the findings: `Rubric.name`, or `model:` and its name.
    var judgedBy = Rubric.name
    /// The same, or what the person is called who judged after it.
    var reviewedBy = Rubric.name
    /// Whether a person has judged: nothing automatic changes it any more.
    var reviewed = false
    /// nil also when the person has left.
    var reviewer: UserID?
    var notes: String?
    var createdAt: Instant
    var updatedAt: Instant

    init(of call: CallRef, at now: Instant) {
        (self.call, workspace) = (call.callID, call.workspaceID)
        (createdAt, updatedAt) = (now, now)
    }

    /// What a judge found takes the place of what an earlier one did.
    mutating func take(_ score: Rubric.Score, _ terms: QualityTerms, by judge: String) {
        overall = score.overall
        sentiment = score.sentiment
        compliance = score.compliance
        accuracy = score.accuracy
        professionalism = score.professionalism
        label = SentimentLabel(score: score.mood)
        (findings, basis) = (score.findings, score.basis)
        self.terms = terms
        self.terms.rules = ComplianceRules()
        (judgedBy, reviewedBy) = (judge, judge)
    }

    var isByModel: Bool { judgedBy.hasPrefix(Judge.prefix) }

    /// −1 … 1
    var mood: Double { 2 * sentiment - 1 }

    var complianceIssues: [String] { findings.filter { $0.area == .compliance }.map(\.reason) }
    var flaggedIssues: [String] { findings.filter { $0.area != .compliance }.map(\.reason) }
    var isBelowThreshold: Bool { findings.contains { $0.code == Rubric.Finding.belowThreshold } }

    /// As document 003 shows it: the reasons in words, compliance apart from the rest.
    var snapshot: ScoreSnapshot {
        ScoreSnapshot(
            id: id, callID: call, version: version, overallScore: overall, sentimentScore: sentiment,
            complianceScore: compliance, accuracyScore: accuracy, professionalismScore: professionalism,
            sentimentLabel: label, complianceIssues: complianceIssues, flaggedIssues: flaggedIssues,
            reviewedBy: reviewedBy, reviewerID: reviewer, reviewNotes: notes, createdAt: createdAt,
            updatedAt: updatedAt)
    }

    /// What the history tells of, in the names of the API.
    private var told: [(String, JSON)] {
        [
            ("overall_score", .double(overall)), ("sentiment_score", .double(sentiment)),
            ("compliance_score", .double(compliance)), ("accuracy_score", .double(accuracy)),
            ("professionalism_score", .double(professionalism)), ("sentiment_label", .string(label.rawValue)),
            ("compliance_issues", .array(complianceIssues.map { .string($0) })),
            ("flagged_issues", .array(flaggedIssues.map { .string($0) })),
            ("review_notes", notes.map { .string($0) } ?? .null), ("judged_by", .string(judgedBy)),
        ]
    }

    /// The members in which it differs from `before`, as they were and as they are.
    func changes(since before: CallScore) -> (before: JSONObject, after: JSONObject) {
        var (old, new) = (JSONObject(), JSONObject())
        for (one, other) in zip(before.told, told) where one.1 != other.1 {
            old[one.0] = one.1
            new[other.0] = other.1
        }
        return (old, new)
    }

    /// Whether anything that is kept differs, apart from number and time.
    func differs(from before: CallScore) -> Bool {
        var same = before
        (same.id, same.version, same.createdAt, same.updatedAt) = (id, version, createdAt, updatedAt)
        return self != same
    }
}

// MARK: Findings as they are kept

extension Rubric.Finding {
    var json: JSON {
        [
            "area": .string(area.rawValue), "code": .string(code), "reason": .string(reason),
            "evidence": .array(evidence.map { .int($0) }), "deduction": .double(deduction),
        ]
    }

    init?(_ json: JSON) {
        guard let area = json["area"]?.string.flatMap(Area.init), let code = json["code"]?.string,
            let reason = json["reason"]?.string
        else { return nil }
        self.init(
            area: area, code: code, reason: reason, evidence: (json["evidence"]?.array ?? []).compactMap(\.int64),
            deduction: json["deduction"]?.double ?? 0)
    }
}

extension Rubric.Basis {
    var json: JSON {
        [
            "area": .string(area.rawValue), "note": .string(note), "evidence": .array(evidence.map { .int($0) }),
            "deduction": .double(deduction),
        ]
    }

    init?(_ json: JSON) {
        guard let area = json["area"]?.string.flatMap(Rubric.Finding.Area.init), let note = json["note"]?.string else {
            return nil
        }
        self.init(
            area: area, note: note, evidence: (json["evidence"]?.array ?? []).compactMap(\.int64),
            deduction: json["deduction"]?.double ?? 0)
    }
}
