import Shared

/// When a conversation is to be handed to a human, as a business configuration says it
/// (document 003 §4: `config_data.escalation.triggers`).
struct Triggers: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable {
        case keyword, sentiment
        case explicitRequest = "explicit_request"
        case repeatedFailure = "repeated_failure"
        case lowConfidence = "low_confidence"

        /// The names people have used for these in configurations.
        init?(configured name: String) {
            switch name {
            case "keyword", "keywords": self = .keyword
            case "sentiment", "negative_sentiment", "sentiment_threshold": self = .sentiment
            case "explicit_request", "explicit", "human_request", "customer_request", "request": self = .explicitRequest
            case "repeated_failure", "repeated_failures", "failure", "failed_attempts": self = .repeatedFailure
            case "low_confidence", "confidence", "confidence_threshold": self = .lowConfidence
            default: return nil
            }
        }
    }

    struct Rule: Sendable, Equatable {
        let kind: Kind
        var threshold: Double?
        var keywords: [String] = []
        var wish = Wish()
    }

    struct Fired: Sendable, Equatable {
        let kind: Kind
        let details: JSONObject
        var wish = Wish()
    }

    /// Three misunderstandings in a row are enough for anybody.
    static let failuresDefault = 3.0
    /// Clearly angry on the −1…1 scale, not merely displeased.
    static let sentimentDefault = -0.5
    /// Less than this part of the question found in what we know.
    static let confidenceDefault = 0.2

    var enabled = true
    var rules: [Rule] = [Rule(kind: .explicitRequest)]

    init() {}

    /// Reads `config_data.escalation`. Unknown kinds of trigger are left out: a configuration may be newer than we are.
    init(_ escalation: JSON?) {
        guard let escalation else { return }
        enabled = escalation["enabled"]?.bool ?? true
        guard let listed = escalation["triggers"]?.array else { return }
        rules = listed.compactMap { entry in
            guard let kind = entry["type"]?.string.flatMap(Kind.init(configured:)) else { return nil }
            return Rule(
                kind: kind, threshold: entry["threshold"]?.double,
                keywords: entry["keywords"]?.array?.compactMap(\.string) ?? [],
                wish: Wish(skill: entry["skill"]?.string, department: entry["department"]?.string))
        }
        // Somebody who asks for a human gets one wherever escalation is on at all.
        if !rules.contains(where: { $0.kind == .explicitRequest }) { rules.append(Rule(kind: .explicitRequest)) }
    }

    /// The first rule the customer's words fire, before anything is answered.
    func fired(by words: String, asksForHuman: Bool) -> Fired? {
        guard enabled else { return nil }
        let said = " " + Phrases.folded(words) + " "
        for rule in rules {
            switch rule.kind {
            case .explicitRequest where asksForHuman:
                return Fired(kind: .explicitRequest, details: ["utterance": .string(words)], wish: rule.wish)
            case .keyword:
                let hit = rule.keywords.first { key in
                    let folded = Phrases.folded(key)
                    return !folded.isEmpty && said.contains(" \(folded) ")
                }
                guard let hit else { continue }
                return Fired(
                    kind: .keyword, details: ["keyword": .string(hit), "utterance": .string(words)], wish: rule.wish)
            default:
                continue
            }
        }
        return nil
    }

    /// The first rule an answer fires: too many failures in a row, or too little to base it on.
    func fired(failures: Int, confidence: Double?) -> Fired? {
        guard enabled else { return nil }
        for rule in rules {
            switch rule.kind {
            case .repeatedFailure where Double(failures) >= max(1, rule.threshold ?? Self.failuresDefault):
                return Fired(kind: .repeatedFailure, details: ["failures": .int(Int64(failures))], wish: rule.wish)
            case .lowConfidence:
                let least = rule.threshold ?? Self.confidenceDefault
                guard let confidence, confidence < least else { continue }
                return Fired(
                    kind: .lowConfidence, details: ["confidence": .double(confidence), "threshold": .double(least)],
                    wish: rule.wish)
            default:
                continue
            }
        }
        return nil
    }

    /// The sentiment rule, if the customer's mood (−1…1) fires it.
    func fired(sentiment score: Double) -> Fired? {
        guard enabled else { return nil }
        for rule in rules where rule.kind == .sentiment {
            let least = rule.threshold ?? Self.sentimentDefault
            if score <= least {
                return Fired(
                    kind: .sentiment, details: ["score": .double(score), "threshold": .double(least)],
                    wish: rule.wish)
            }
        }
        return nil
    }
}
