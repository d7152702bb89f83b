/// What a finished call came to (document 004's `outcome`), read from its transcript and how it ended.
enum Outcome: String, Sendable, CaseIterable {
    case converted, interested
    case notInterested = "not_interested"
    case callback, voicemail
    case noAnswer = "no_answer"
    case escalated

    /// - Returns: nil when nothing in the call says which (a short call that was only a greeting, say).
    static func classify(
        _ utterances: [Rubric.Utterance], failureReason: String?, escalated: Bool, mood: Double
    ) -> Outcome? {
        switch failureReason {
        case "no-answer"?, "busy"?, "canceled"?, "failed"?: return .noAnswer
        case "machine"?, "voicemail"?: return .voicemail
        default: break
        }
        if escalated { return .escalated }
        let customer = utterances.filter { !$0.byAI }
        guard !customer.isEmpty else { return utterances.isEmpty ? .noAnswer : nil }
        // The last clear word counts: people change their mind during a call, not after it.
        for utterance in customer.reversed() {
            let words = Words(utterance.text)
            if words.hasAny(later) { return .callback }
            if words.hasAny(refusals) { return .notInterested }
            if words.hasAny(agreements) { return .converted }
        }
        if customer.count >= 2, mood >= 0.05 { return .interested }
        if mood <= -0.3 { return .notInterested }
        return nil
    }

    private static let later = ["call me back", "call me later", "call back later", "call me tomorrow", "another time"]
    private static let refusals = [
        "not interested", "no interest", "stop calling", "don't call", "do not call", "remove me", "leave me alone",
    ]
    private static let agreements = [
        "book it", "go ahead", "sign me up", "i'll take it", "i will take it", "buy it", "confirm", "confirmed",
        "make the reservation", "reserve it", "please book", "that's correct", "yes please", "that works",
        "sounds good",
        "sounds great", "purchase",
    ]
}
