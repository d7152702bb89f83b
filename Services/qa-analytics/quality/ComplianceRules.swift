import Shared

/// What a business wants said, and not said, on its calls: `quality_assurance.rules` of its configuration. Pure: the
/// transcript goes in, what was broken comes out with the utterances that show it.
struct ComplianceRules: Sendable, Equatable {
    /// How much a broken rule takes from the compliance score.
    enum Severity: String, CaseIterable, Sendable {
        case low, medium, high, critical

        var points: Double {
            switch self {
            case .low: 0.1
            case .medium: 0.2
            case .high: 0.3
            case .critical: 0.5
            }
        }
    }

    /// Something the agent has to say early in a call, in one of several ways.
    struct Notice: Sendable, Equatable {
        var isRequired = false
        /// Within so many of the agent's first utterances.
        var withinTurns = 2
        /// Empty: the built-in ones.
        var phrases: [String] = []
        var severity = Severity.high
    }

    struct Phrase: Sendable, Equatable {
        var phrase: String
        var severity = Severity.high
    }

    /// That an AI is speaking.
    var disclosure = Notice()
    /// That the call is recorded.
    var recordingNotice = Notice()
    var forbidden: [Phrase] = []
    /// To be said at some time in every call that is a conversation.
    var required: [Phrase] = []

    init() {}

    static let disclosurePhrases = [
        "an ai", "ai assistant", "ai agent", "artificial intelligence", "virtual assistant", "digital assistant",
        "automated assistant", "voice assistant", "automated system", "chatbot", "voicebot", "a robot",
    ]
    static let recordingPhrases = [
        "is recorded", "is being recorded", "are recorded", "are being recorded", "be recorded", "recorded line",
        "recording this call", "recording the call", "record this call", "record calls",
    ]

    /// Utterances from which a call is a conversation: in a shorter one there was no room for what is required.
    static let conversationTurns = 2

    func findings(_ utterances: [Rubric.Utterance]) -> [Rubric.Finding] {
        let spoken = utterances.filter(\.byAI).map { (id: $0.id, words: Words($0.text)) }
        return [
            missing(
                disclosure, Self.disclosurePhrases, in: spoken, code: "no_disclosure",
                "The agent did not say within its first \(turns(disclosure)) that it is an AI."),
            missing(
                recordingNotice, Self.recordingPhrases, in: spoken, code: "no_recording_notice",
                "The agent did not say within its first \(turns(recordingNotice)) that the call is recorded."),
        ].compactMap { $0 } + said(in: spoken) + unsaid(in: spoken)
    }

    private func turns(_ notice: Notice) -> String {
        notice.withinTurns == 1 ? "utterance" : "\(notice.withinTurns) utterances"
    }

    /// A call that ended before the turns were over broke no rule.
    private func missing(
        _ notice: Notice, _ builtIn: [String], in spoken: [(id: Int64, words: Words)], code: String, _ reason: String
    ) -> Rubric.Finding? {
        guard notice.isRequired, spoken.count >= notice.withinTurns else { return nil }
        let phrases = (notice.phrases.isEmpty ? builtIn : notice.phrases).map { Words($0) }
        let first = spoken.prefix(notice.withinTurns)
        if first.contains(where: { turn in phrases.contains { turn.words.has($0) } }) { return nil }
        return Rubric.Finding(
            area: .compliance, code: code, reason: reason, evidence: first.map(\.id), deduction: notice.severity.points)
    }

    private func said(in spoken: [(id: Int64, words: Words)]) -> [Rubric.Finding] {
        forbidden.compactMap { rule in
            let phrase = Words(rule.phrase)
            let found = spoken.filter { $0.words.has(phrase) }.map(\.id)
            guard !found.isEmpty else { return nil }
            return Rubric.Finding(
                area: .compliance, code: "forbidden_phrase",
                reason: "The agent said “\(rule.phrase)”, which is not to be said.", evidence: found,
                deduction: min(1, rule.severity.points * Double(found.count)))
        }
    }

    private func unsaid(in spoken: [(id: Int64, words: Words)]) -> [Rubric.Finding] {
        guard spoken.count >= Self.conversationTurns else { return [] }
        return required.compactMap { rule in
            let phrase = Words(rule.phrase)
            guard !spoken.contains(where: { $0.words.has(phrase) }) else { return nil }
            return Rubric.Finding(
                area: .compliance, code: "required_phrase_missing",
                reason: "The agent did not say “\(rule.phrase)”.",
                evidence: Array(spoken.map(\.id).prefix(Rubric.evidenceMax)), deduction: rule.severity.points)
        }
    }
}

// MARK: From the configuration

extension ComplianceRules {
    /// Knowledge has checked it; what another version of it wrote and this one does not know counts as left out.
    init(_ json: JSON?) {
        guard let json else { return }
        disclosure = Notice(json["disclosure"])
        recordingNotice = Notice(json["recording_notice"])
        forbidden = (json["forbidden_phrases"]?.array ?? []).compactMap(Phrase.init)
        required = (json["required_phrases"]?.array ?? []).compactMap(Phrase.init)
    }
}

extension ComplianceRules.Notice {
    init(_ json: JSON?) {
        isRequired = json?["required"]?.bool ?? isRequired
        withinTurns = max(1, json?["within_turns"]?.int ?? withinTurns)
        phrases = (json?["phrases"]?.array ?? []).compactMap(\.string)
        severity = json?["severity"]?.string.flatMap(ComplianceRules.Severity.init) ?? severity
    }
}

extension ComplianceRules.Phrase {
    init?(_ json: JSON) {
        guard let phrase = json["phrase"]?.string else { return nil }
        self.phrase = phrase
        severity = json["severity"]?.string.flatMap(ComplianceRules.Severity.init) ?? severity
    }
}
