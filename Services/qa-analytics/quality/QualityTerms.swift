import Shared

/// What a business configuration says about judging its calls (`quality_assurance`), and which version said it. A call
/// without an active configuration is judged by the defaults.
struct QualityTerms: Sendable, Equatable {
    var business: BusinessID?
    /// Of the configuration; nil: the defaults.
    var version: Int64?
    /// Off: no score.
    var isEnabled = true
    /// Off: no moods, and sentiment has no part in the overall score.
    var judgesSentiment = true
    /// Off: compliance is not looked at and has no part in the overall score.
    var judgesCompliance = true
    /// An overall score below it is flagged.
    var threshold = QualityTerms.thresholdDefault
    var rules = ComplianceRules()

    static let thresholdDefault = 0.6

    init() {}

    init(business: BusinessID, version: Int64, _ json: JSON) {
        self.init(scored: json)
        self.business = business
        self.version = version
        isEnabled = json["enabled"]?.bool ?? true
        rules = ComplianceRules(json["rules"])
    }

    /// As it is kept with a score: what a later correction has to know.
    init(scored json: JSON) {
        business = json["business_id"]?.string.flatMap { BusinessID($0) }
        version = json["version"]?.int64
        judgesSentiment = json["sentiment_analysis"]?.bool ?? true
        judgesCompliance = json["compliance_check"]?.bool ?? true
        threshold = json["min_score_threshold"]?.double ?? Self.thresholdDefault
    }

    var scored: JSON {
        var json: JSONObject = [
            "sentiment_analysis": .bool(judgesSentiment), "compliance_check": .bool(judgesCompliance),
            "min_score_threshold": .double(threshold),
        ]
        json["business_id"] = business.map { .string($0.text) }
        json["version"] = version.map { .int($0) }
        return .object(json)
    }

    /// The whole of a score from its parts: each weighs what the rubric says, those that were not judged nothing.
    func overall(sentiment: Double, compliance: Double, accuracy: Double, professionalism: Double) -> Double {
        let weights = Rubric.weights
        let parts = [
            (judgesSentiment ? weights.sentiment : 0, sentiment),
            (judgesCompliance ? weights.compliance : 0, compliance), (weights.accuracy, accuracy),
            (weights.professionalism, professionalism),
        ]
        let whole = parts.reduce(0) { $0 + $1.0 * $1.1 } / parts.reduce(0) { $0 + $1.0 }
        return min(1, max(0, whole))
    }

    /// What is flagged when the overall score is too low.
    func shortfall(_ overall: Double) -> Rubric.Finding? {
        // A hair's breadth is the arithmetic's, not the agent's.
        guard overall < threshold - 1e-9 else { return nil }
        return Rubric.Finding(
            area: .overall, code: Rubric.Finding.belowThreshold,
            reason: "The overall score is below the \(percent(threshold)) % that the configuration asks for.",
            evidence: [], deduction: 0)
    }

    private func percent(_ share: Double) -> String {
        let tenths = Int((share * 1000).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
