import Shared

/// What a model said of a call: faults, each with the utterances that show it, and the customer's mood. It gives no
/// scores: those are added up here, so no words in a transcript can talk it into points that nothing shows.
struct Verdict: Sendable, Equatable {
    /// −1 … 1
    var mood: Double
    var findings: [Rubric.Finding]

    /// A kind of fault a model may name. Closed, because codes are counted and outlive the call.
    struct Fault: Sendable {
        var area: Rubric.Finding.Area
        var code: String
        var meaning: String
        /// What it usually takes.
        var points: Double
    }

    static let faults: [Fault] = [
        Fault(
            area: .compliance, code: "asked_for_secret",
            meaning: "asked for a password, PIN or full card number", points: 0.5),
        Fault(area: .compliance, code: "unbacked_promise", meaning: "promised or guaranteed a result", points: 0.2),
        Fault(
            area: .compliance, code: "opt_out_ignored",
            meaning: "did not acknowledge a wish not to be called", points: 0.5),
        Fault(area: .compliance, code: "other_compliance", meaning: "broke another rule of fair dealing", points: 0.2),
        Fault(
            area: .accuracy, code: "unanswered_questions", meaning: "left a question unanswered", points: 0.3),
        Fault(area: .accuracy, code: "wrong_answer", meaning: "contradicted itself or answered wrongly", points: 0.4),
        Fault(area: .accuracy, code: "repeated_itself", meaning: "gave the same answer again", points: 0.1),
        Fault(area: .accuracy, code: "other_accuracy", meaning: "was inaccurate in another way", points: 0.2),
        Fault(area: .professionalism, code: "no_greeting", meaning: "did not open with a greeting", points: 0.15),
        Fault(
            area: .professionalism, code: "no_closing", meaning: "did not close with thanks or a goodbye", points: 0.15),
        Fault(area: .professionalism, code: "harsh_language", meaning: "was harsh or rude", points: 0.2),
        Fault(
            area: .professionalism, code: "no_empathy", meaning: "said no word about an upset customer's trouble",
            points: 0.1),
        Fault(
            area: .professionalism, code: "other_professionalism", meaning: "was unprofessional in another way",
            points: 0.2),
        Fault(area: .sentiment, code: "customer_unhappy", meaning: "the customer stayed unhappy", points: 0),
    ]

    static let findingsMax = 40
    static let issueLengthMax = 300

    /// Why an answer does not count.
    struct Unusable: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    /// Reads the model's answer, strictly: everything in its range, every utterance one of this call's.
    init(_ text: String, about utterances: [Rubric.Utterance]) throws(Unusable) {
        guard let json = try? JSON.parse(text, depthMax: 8), json.object != nil else { throw .init("no JSON object") }
        guard let mood = json["mood"]?.double, (-1...1).contains(mood) else { throw .init("mood") }
        guard let list = json["findings"]?.array, list.count <= Self.findingsMax else { throw .init("findings") }
        self.mood = mood
        findings = []
        for (place, item) in list.enumerated() {
            guard let finding = Self.finding(item, utterances) else { throw .init("findings[\(place)]") }
            findings.append(finding)
        }
    }

    private static func finding(_ json: JSON, _ utterances: [Rubric.Utterance]) -> Rubric.Finding? {
        guard let area = json["criterion"]?.string.flatMap(Rubric.Finding.Area.init),
            let code = json["code"]?.string, let fault = faults.first(where: { $0.area == area && $0.code == code }),
            let issue = json["issue"]?.string, isText(issue),
            let points = json["points"]?.double, (0...1).contains(points),
            let numbers = json["utterances"]?.array, !numbers.isEmpty, numbers.count <= Rubric.evidenceMax
        else { return nil }
        var evidence: [Int64] = []
        for number in numbers {
            guard let number = number.int, (1...utterances.count).contains(number) else { return nil }
            evidence.append(utterances[number - 1].id)
        }
        return Rubric.Finding(
            area: area, code: fault.code, reason: issue, evidence: evidence,
            // The mood is the sentiment's only measure.
            deduction: area == .sentiment ? 0 : points)
    }

    /// A sentence: no line breaks and nothing a database or a terminal would stumble over.
    private static func isText(_ text: String) -> Bool {
        !text.isEmpty && text.unicodeScalars.count <= issueLengthMax
            && text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }

    /// With the rules of the business, which no model decides: what it says of the same utterances is left out.
    func score(_ utterances: [Rubric.Utterance], _ terms: QualityTerms) -> Rubric.Score {
        let rules = terms.judgesCompliance ? terms.rules.findings(utterances) : []
        let own = findings.filter { finding in
            switch finding.area {
            case .sentiment: terms.judgesSentiment
            case .compliance:
                terms.judgesCompliance
                    && !rules.contains { Set($0.evidence).isSuperset(of: finding.evidence) }
            case .accuracy, .professionalism, .overall: true
            }
        }
        return Rubric.Score(utterances, mood: mood, rules + own, terms)
    }
}

extension Verdict.Unusable {
    fileprivate init(_ member: String) { description = "the model's answer is not usable: \(member)" }
}
