/// How well a finished call was handled, 0 (bad) … 1 (good), with the reasons and the utterances they rest on.
///
/// The rubric is written down in `docs/qa-rubric.md`; every deduction here is a line there. Pure: the transcript goes in,
/// the score comes out, so a person who disagrees can see why.
struct Rubric: Sendable {
    /// One utterance as the judge sees it.
    struct Utterance: Sendable {
        var id: Int64
        var byAI: Bool
        var text: String
        /// −1 … 1; the customer's words only count towards the call's mood.
        var sentiment: Double
        /// Passages of the knowledge base the answer rests on.
        var citations: Int
        /// The answer admitted that it did not know.
        var unanswered: Bool
    }

    /// Why points were taken: a stable code, a sentence for people, and where to look.
    struct Finding: Sendable, Equatable {
        enum Area: String, CaseIterable, Sendable { case sentiment, compliance, accuracy, professionalism, overall }
        var area: Area
        var code: String
        var reason: String
        var evidence: [Int64]
        /// Points taken from the area, 0 … 1.
        var deduction: Double

        static let belowThreshold = "below_threshold"
        static let nobodySpoke = "nobody_spoke"
    }

    /// What an area's score rests on beside the findings: the utterances that were looked at.
    struct Basis: Sendable, Equatable {
        var area: Finding.Area
        var note: String
        var evidence: [Int64]
        /// Points it takes from the area: the mood's, which is no fault.
        var deduction: Double
    }

    struct Score: Sendable, Equatable {
        var overall: Double
        var sentiment: Double
        var compliance: Double
        var accuracy: Double
        var professionalism: Double
        /// The call's mood, −1 … 1, from which `sentiment` = (x+1)/2.
        var mood: Double
        var findings: [Finding]
        /// For each area, so that each says what it rests on. An area's score is 1 less all its points, 0 at least.
        var basis: [Basis]

        /// There was nothing to judge: it counts in no average and no distribution.
        var isOfSilence: Bool { self == .silence }

        /// Nobody said a word: the phone rang in vain, or the line went before the greeting.
        static let silence = Score(
            overall: 0, sentiment: 0.5, compliance: 0, accuracy: 0, professionalism: 0, mood: 0,
            findings: [
                Finding(
                    area: .professionalism, code: Finding.nobodySpoke,
                    reason: "Nobody spoke, so there was nothing to score.", evidence: [], deduction: 0)
            ], basis: [])
    }

    /// Who judged, as `reviewed_by` says it. A change of the rules below is another version.
    static let name = "qa-rubric-v1"
    /// Utterances named for one thing.
    static let evidenceMax = 50

    /// What each area weighs in the overall score; they add up to 1.
    static let weights = (sentiment: 0.25, compliance: 0.30, accuracy: 0.25, professionalism: 0.20)

    static func score(_ utterances: [Utterance], _ terms: QualityTerms = QualityTerms()) -> Score {
        if utterances.isEmpty { return .silence }
        var findings: [Finding] = []
        let mood = mood(of: utterances.filter { !$0.byAI }.map(\.sentiment))
        if terms.judgesCompliance {
            compliance(utterances, &findings)
            findings += terms.rules.findings(utterances)
        }
        accuracy(utterances, &findings)
        professionalism(utterances, &findings)
        if terms.judgesSentiment, mood <= -0.3 {
            let worst = utterances.filter { !$0.byAI }.sorted { $0.sentiment < $1.sentiment }.prefix(3).map(\.id)
            findings.append(
                Finding(
                    area: .sentiment, code: "customer_unhappy", reason: "The customer stayed unhappy through the call.",
                    evidence: Array(worst), deduction: 0))
        }
        return Score(utterances, mood: mood, findings, terms)
    }

    /// The mood of a call from its customer's utterances in order, the later ones weighing more (the last counts twice the first),
    /// because how a call ends is what a customer remembers.
    static func mood(of scores: [Double]) -> Double {
        var weighted = 0.0
        var weights = 0.0
        for (place, score) in scores.enumerated() {
            let weight = 1 + (scores.count > 1 ? Double(place) / Double(scores.count - 1) : 0)
            weighted += weight * score
            weights += weight
        }
        return weights > 0 ? weighted / weights : 0
    }

    /// The agent's first utterance after each question.
    static func answers(in utterances: [Utterance]) -> [Utterance] {
        var answers: [Utterance] = []
        var asked = false
        for utterance in utterances {
            if !utterance.byAI {
                asked = utterance.text.contains("?") || Words(utterance.text).startsWithAny(Self.questionWords)
            } else if asked {
                asked = false
                answers.append(utterance)
            }
        }
        return answers
    }

    // MARK: The lines of the rubric

    private static func compliance(_ utterances: [Utterance], _ findings: inout [Finding]) {
        for utterance in utterances where utterance.byAI {
            let words = Words(utterance.text)
            if words.hasAny(Self.secrets), words.hasAny(["tell", "give", "provide", "read", "share", "say"]) {
                findings.append(
                    Finding(
                        area: .compliance, code: "asked_for_secret",
                        reason: "The agent asked for a password, PIN or full card number.",
                        evidence: [utterance.id], deduction: 0.5))
            }
            if words.hasAny(Self.promises) {
                findings.append(
                    Finding(
                        area: .compliance, code: "unbacked_promise",
                        reason: "The agent promised or guaranteed a result.", evidence: [utterance.id], deduction: 0.2))
            }
        }
        for (place, utterance) in utterances.enumerated() where !utterance.byAI {
            guard Words(utterance.text).hasAny(Self.optOuts) else { continue }
            let answer = utterances[(place + 1)...].first { $0.byAI }
            guard let answer, Words(answer.text).hasAny(Self.optOutAnswers) else {
                findings.append(
                    Finding(
                        area: .compliance, code: "opt_out_ignored",
                        reason: "The customer asked not to be called and the agent did not acknowledge it.",
                        evidence: [utterance.id] + (answer.map { [$0.id] } ?? []), deduction: 0.5))
                continue
            }
        }
    }

    private static func accuracy(_ utterances: [Utterance], _ findings: inout [Finding]) {
        let answers = answers(in: utterances)
        let questions = answers.count
        let unanswered = answers.filter { $0.unanswered && $0.citations == 0 }.map(\.id)
        if !unanswered.isEmpty {
            findings.append(
                Finding(
                    area: .accuracy, code: "unanswered_questions",
                    reason: "\(unanswered.count) of \(questions) questions got no answer from the knowledge base.",
                    evidence: unanswered, deduction: 0.8 * Double(unanswered.count) / Double(questions)))
        }
        var seen: [String: Int64] = [:]
        var repeated: [Int64] = []
        for utterance in utterances where utterance.byAI && utterance.text.utf8.count > 40 {
            if seen[utterance.text] != nil {
                repeated.append(utterance.id)
            } else {
                seen[utterance.text] = utterance.id
            }
        }
        if !repeated.isEmpty {
            findings.append(
                Finding(
                    area: .accuracy, code: "repeated_itself", reason: "The agent gave the same answer more than once.",
                    evidence: repeated, deduction: min(0.4, 0.1 * Double(repeated.count))))
        }
    }

    private static func professionalism(_ utterances: [Utterance], _ findings: inout [Finding]) {
        let spoken = utterances.filter(\.byAI)
        guard let first = spoken.first, let last = spoken.last else {
            findings.append(
                Finding(
                    area: .professionalism, code: "silent_agent", reason: "The agent never spoke.",
                    evidence: utterances.prefix(1).map(\.id), deduction: 1))
            return
        }
        if !Words(first.text).hasAny(Self.greetings) {
            findings.append(
                Finding(
                    area: .professionalism, code: "no_greeting", reason: "The call did not open with a greeting.",
                    evidence: [first.id], deduction: 0.15))
        }
        if spoken.count > 2, !Words(last.text).hasAny(Self.closings) {
            findings.append(
                Finding(
                    area: .professionalism, code: "no_closing",
                    reason: "The call did not close with thanks or a goodbye.",
                    evidence: [last.id], deduction: 0.15))
        }
        let harsh = spoken.filter { $0.sentiment <= -0.5 }
        if !harsh.isEmpty {
            findings.append(
                Finding(
                    area: .professionalism, code: "harsh_language", reason: "The agent's words were strongly negative.",
                    evidence: harsh.map(\.id), deduction: min(0.5, 0.2 * Double(harsh.count))))
        }
        let unheard = utterances.indices.filter { place in
            !utterances[place].byAI && utterances[place].sentiment <= -0.5
                && !(utterances[(place + 1)...].first { $0.byAI }.map { Words($0.text).hasAny(Self.empathy) } ?? true)
        }
        if !unheard.isEmpty {
            findings.append(
                Finding(
                    area: .professionalism, code: "no_empathy",
                    reason: "The customer was upset and the next answer did not say so.",
                    evidence: unheard.map { utterances[$0].id }, deduction: min(0.3, 0.1 * Double(unheard.count))))
        }
    }

    private static let secrets = ["password", "pin", "cvv", "card number", "social security"]
    private static let promises = ["guarantee", "guaranteed", "promise you", "100 percent"]
    private static let optOuts = [
        "stop calling", "do not call", "don't call", "remove me", "take me off", "unsubscribe", "opt out",
    ]
    private static let optOutAnswers = ["remove", "removed", "not call", "won't call", "list", "sorry", "understood"]
    private static let questionWords = [
        "what", "when", "where", "who", "why", "how", "which", "can", "could", "do", "does", "is", "are", "will",
        "would",
    ]
    private static let greetings = [
        "hello", "hi", "good morning", "good afternoon", "good evening", "welcome", "thank", "thanks",
    ]
    private static let closings = [
        "thank", "thanks", "bye", "goodbye", "good day", "nice day", "lovely day", "great day", "anything else",
        "welcome",
        "take care",
    ]
    private static let empathy = [
        "sorry", "understand", "apologise", "apologize", "apologies", "frustrating", "hear that", "help", "right away",
    ]
}
