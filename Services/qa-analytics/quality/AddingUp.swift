/// From findings to a score, the same for whoever found them: an area has 1 less the points of its findings.
extension Rubric.Score {
    /// - Parameter utterances: what was judged; not empty.
    init(
        _ utterances: [Rubric.Utterance], mood: Double, _ findings: [Rubric.Finding], _ terms: QualityTerms
    ) {
        func left(_ area: Rubric.Finding.Area) -> Double {
            max(0, 1 - findings.filter { $0.area == area }.reduce(0) { $0 + $1.deduction })
        }
        // What is not judged has nothing against it, and a mood nobody looked at is neither good nor bad.
        sentiment = terms.judgesSentiment ? min(1, max(0, (mood + 1) / 2)) : 0.5
        compliance = terms.judgesCompliance ? left(.compliance) : 1
        accuracy = left(.accuracy)
        professionalism = left(.professionalism)
        overall = terms.overall(
            sentiment: sentiment, compliance: compliance, accuracy: accuracy, professionalism: professionalism)
        self.mood = terms.judgesSentiment ? mood : 0
        self.findings = findings + (terms.shortfall(overall).map { [$0] } ?? [])
        basis = Rubric.Basis.of(utterances, mood: self.mood, terms)
    }
}

extension Rubric.Basis {
    fileprivate static func of(
        _ utterances: [Rubric.Utterance], mood: Double, _ terms: QualityTerms
    ) -> [Rubric.Basis] {
        let spoken = ids(utterances.filter(\.byAI))
        let heard = utterances.filter { !$0.byAI }.suffix(Rubric.evidenceMax).map(\.id)
        let answers = Rubric.answers(in: utterances).map(\.id)
        return [
            terms.judgesSentiment
                ? Rubric.Basis(
                    area: .sentiment,
                    note: "The customer's mood over the call, the last words weighing twice the first.",
                    evidence: heard, deduction: 1 - (mood + 1) / 2)
                : Rubric.Basis(
                    area: .sentiment, note: "Not judged: the business configuration has it off.", evidence: [],
                    deduction: 0.5),
            terms.judgesCompliance
                ? Rubric.Basis(
                    area: .compliance, note: "What the agent said, against the rules.", evidence: spoken, deduction: 0)
                : Rubric.Basis(
                    area: .compliance, note: "Not judged: the business configuration has it off.", evidence: [],
                    deduction: 0),
            Rubric.Basis(
                area: .accuracy,
                note: answers.isEmpty
                    ? "The customer asked nothing." : "The agent's answers to what the customer asked.",
                evidence: Array((answers.isEmpty ? spoken : answers).prefix(Rubric.evidenceMax)), deduction: 0),
            Rubric.Basis(
                area: .professionalism, note: "How the agent spoke, from greeting to goodbye.", evidence: spoken,
                deduction: 0),
        ]
    }

    private static func ids(_ utterances: [Rubric.Utterance]) -> [Int64] {
        utterances.prefix(Rubric.evidenceMax).map(\.id)
    }
}
