import Shared

/// Answers without a language model: the best sentences of the retrieved passages, and the same tools by rules.
/// The same question with the same passages always gets the same answer.
enum OfflineResponder {
    static let assistant = Assistant { question, voice in
        voice.providers.append("offline")
        try await respond(to: question, voice)
    }

    /// Under this part of the question's weight found in a passage, the passage does not answer it.
    static let coverageLeast = 0.34
    /// The same where the knowledge base has judged the passage already: a few words in common are no more than that.
    private static let judgedLeast = 0.5
    /// What the knowledge base says a passage speaks to, in these words or in others, from which on it is an answer.
    /// Measured, as the one above: docs/retrieval.md.
    private static let spokenToLeast = 0.5
    private static let answerMax = 420

    private static func respond(to question: Question, _ voice: TurnVoice) async throws {
        for message in question.advice { try await speak(message + " ", voice) }
        guard !trimmed(question.words).isEmpty else { return }
        if question.keypad, Phrases.meaning(of: question.words) != .human {
            return try await speak(
                "Thank you, I have noted \(spelled(question.words)). What can I do for you next?", voice)
        }
        if Phrases.accepts(question.words), let offer = lastOffer(question.history) {
            switch offer {
            case .colleague: return try await transfer("The customer was offered a colleague and accepted.", voice)
            case .callback: return try await promise(.callback, CallbackTime(), question, voice)
            }
        }
        switch Phrases.meaning(of: question.words) {
        case .human:
            try await transfer("The customer asked for a person.", voice)
        case .goodbye:
            try await speak("Thank you for calling. Have a good day, goodbye!", voice)
            _ = try await voice.use(.endCall)
        case .optOut:
            let result = try await voice.use(.optOut)
            try await speak(result.text, voice)
            _ = try await voice.use(.endCall)
        case .callback(let time):
            try await promise(.callback, time, question, voice)
        case .meeting(let time):
            try await promise(.meeting, time, question, voice)
        case .repeatThat:
            let last = question.history.last { $0.speaker == .ai }?.text
            try await speak(last ?? "I had not said anything yet. How can I help you?", voice)
        case .whoIsThis:
            try await speak(introduction(of: question.profile), voice)
        case .notInterested:
            _ = try await voice.use(.outcome(.notInterested))
            try await speak("I understand, thank you for telling me. Is there anything else I can do for you?", voice)
        case .thanks:
            try await speak("You are welcome. Is there anything else I can help you with?", voice)
        case .hello:
            try await speak("Hello! How can I help you today?", voice)
        case .yes:
            try await speak("Good. Please tell me a little more, so that I can help you.", voice)
        case .no:
            try await speak("All right. Is there anything else I can help you with?", voice)
        case nil:
            try await answer(question, voice)
        }
    }

    private static func transfer(_ reason: String, _ voice: TurnVoice) async throws {
        let result = try await voice.use(.transfer(reason: reason, wish: Wish()))
        try await speak(result.text, voice)
    }

    /// Says that it is a machine whoever asks: nobody is to think otherwise.
    static func introduction(of profile: Profile) -> String {
        let name =
            profile.agentName == Profile().agentName ? "an AI assistant" : "\(profile.agentName), an AI assistant"
        let company = profile.businessName.map { " of \($0)" } ?? ""
        return
            "I am \(name)\(company). I can answer your questions, or connect you with a colleague. How can I help you?"
    }

    private static func promise(
        _ kind: ToolCall.CallbackRequest.Kind, _ time: CallbackTime, _ question: Question, _ voice: TurnVoice
    ) async throws {
        let request = ToolCall.CallbackRequest(kind: kind, time: time, note: question.words)
        let result = try await voice.use(.callback(request))
        try await speak(result.text, voice)
    }

    private static func answer(_ question: Question, _ voice: TurnVoice) async throws {
        let best = found(for: question)
        voice.confidence = best?.coverage ?? 0
        guard let best, best.isEnough else {
            voice.failed = true
            return try await speak(fallback(for: question), voice)
        }
        voice.citations = [Citation(best.passage)]
        for sentence in best.sentences { try await speak(sentence + " ", voice) }
    }

    /// Speaks in pieces of a few words, as a model's tokens would come, so that an interrupt falls between them.
    private static func speak(_ text: String, _ voice: TurnVoice) async throws {
        var piece = ""
        var words = 0
        for character in text {
            piece.append(character)
            if character == " " {
                words += 1
                if words == 6 {
                    try await voice.say(piece)
                    piece = ""
                    words = 0
                }
            }
        }
        try await voice.say(piece)
    }

    // MARK: Without an answer

    enum Offer { case colleague, callback }

    private static let fallbacks: [(text: String, offer: Offer?)] = [
        ("I am sorry, I do not have that information. Could you put it another way?", nil),
        (
            "I am afraid I could not find an answer to that. I can also connect you with a colleague if you like.",
            .colleague
        ),
        ("I am not certain about that. Would you like a colleague to call you back?", .callback),
    ]
    /// Whoever complains is not asked to put it another way.
    private static let regret = (
        text: "I am sorry about the trouble you have had. Shall I connect you with a colleague who can help?",
        offer: Offer.colleague
    )

    static func fallback(for question: Question) -> String {
        if Phrases.complains(question.words), lastOffer(question.history) == nil { return regret.text }
        return fallbacks[(question.round + question.failures) % fallbacks.count].text
    }

    /// What the assistant's last words offered: "yes" then means that.
    static func lastOffer(_ history: [Question.Line]) -> Offer? {
        guard let last = history.last(where: { $0.speaker == .ai })?.text else { return nil }
        if last.hasSuffix(regret.text) { return regret.offer }
        return fallbacks.first { last.hasSuffix($0.text) }?.offer
    }

    private static func spelled(_ digits: String) -> String { digits.map(String.init).joined(separator: " ") }
}

// MARK: - Extraction

extension OfflineResponder {
    /// What answers a question: of the passage that was found first if it speaks to what was asked, though it may say it
    /// otherwise ("money back", "refund"); else what shares most words with the question.
    private static func found(for question: Question) -> Extract? {
        let first = question.passages.first
        if let first, let coverage = first.coverage, coverage >= spokenToLeast {
            let sentences = extract(question.words, from: [first])?.sentences ?? opening(of: first)
            return Extract(passage: first, sentences: sentences, coverage: coverage, isEnough: !sentences.isEmpty)
        }
        guard var best = extract(question.words, from: question.passages) else { return nil }
        best.isEnough = best.coverage >= (first?.coverage == nil ? coverageLeast : judgedLeast)
        return best
    }

    /// The first sentence of a passage, and the next if both are short.
    private static func opening(of passage: Passage) -> [String] {
        let all = sentences(passage.text)
        guard let first = all.first, let next = all.dropFirst().first, first.count + next.count <= answerMax else {
            return Array(all.prefix(1))
        }
        return [first, next]
    }

    struct Extract: Equatable {
        let passage: Passage
        let sentences: [String]
        /// The part of the question's weight the sentences cover, 0…1.
        let coverage: Double
        /// Whether that is an answer.
        var isEnough = false
    }

    /// The sentences that share most with the question. A word's weight is how rare it is among the passages' sentences,
    /// so the word that tells one entry from another counts and the one in every sentence does not.
    static func extract(_ question: String, from passages: [Passage]) -> Extract? {
        let asked = Set(stems(question))
        guard !asked.isEmpty, !passages.isEmpty else { return nil }
        var candidates: [(passage: Int, order: Int, text: String, stems: Set<String>)] = []
        for (number, passage) in passages.enumerated() {
            for (order, sentence) in sentences(passage.text).enumerated() {
                // A sentence is read under its title: "Refunds: within 30 days" answers a question about refunds.
                candidates.append((number, order, sentence, Set(stems(sentence))))
            }
        }
        guard !candidates.isEmpty else { return nil }
        let titles = passages.map { Set(stems($0.title)) }
        var seen: [String: Int] = [:]
        for candidate in candidates { for stem in candidate.stems { seen[stem, default: 0] += 1 } }
        func weight(_ stem: String) -> Double {
            let share = Double(seen[stem] ?? 0) / Double(candidates.count)
            return 1.0 + (1.0 - share)
        }
        let total = asked.reduce(0) { $0 + weight($1) }

        var best: (score: Double, index: Int)?
        for (index, candidate) in candidates.enumerated() {
            let inText = asked.intersection(candidate.stems).reduce(0) { $0 + weight($1) }
            let inTitle = asked.intersection(titles[candidate.passage]).subtracting(candidate.stems)
                .reduce(0) { $0 + weight($1) }
            guard inText + inTitle > 0 else { continue }
            let length = 1.0 + Double(max(0, candidate.stems.count - 18)) / 40.0
            let rank = passages[candidate.passage].score * 0.01 - Double(candidate.passage) * 0.02
            let score = (inText + 0.6 * inTitle) / (total * length) + rank - Double(candidate.order) * 0.001
            if best.map({ score > $0.score }) ?? true { best = (score, index) }
        }
        guard let best else { return nil }
        let chosen = candidates[best.index]
        var parts = [chosen.text]
        var covered = asked.intersection(chosen.stems.union(titles[chosen.passage]))
        if let next = second(after: chosen.order, of: chosen.passage, asked, covered, candidates, chosen.text) {
            parts.append(next.text)
            covered.formUnion(asked.intersection(next.stems))
        }
        let coverage = covered.reduce(0) { $0 + weight($1) } / total
        return Extract(passage: passages[chosen.passage], sentences: parts, coverage: min(1, coverage))
    }

    /// The sentence that follows often completes the answer; it is added when it fits and is about the same thing.
    private static func second(
        after order: Int, of passage: Int, _ asked: Set<String>, _ covered: Set<String>,
        _ candidates: [(passage: Int, order: Int, text: String, stems: Set<String>)], _ first: String
    ) -> (text: String, stems: Set<String>)? {
        guard let next = candidates.first(where: { $0.passage == passage && $0.order == order + 1 }) else { return nil }
        let brings = !asked.intersection(next.stems).subtracting(covered).isEmpty
        let short = first.count + next.text.count <= answerMax
        return (brings || first.count < 90) && short ? (next.text, next.stems) : nil
    }

    static func sentences(_ text: String) -> [String] {
        var found: [String] = []
        var current = ""
        func close() {
            let sentence = trimmed(current)
            current = ""
            guard sentence.contains(where: \.isLetter) else { return }
            found.append(sentence.count <= answerMax ? sentence : shortened(sentence))
        }
        let characters = Array(text)
        for (index, character) in characters.enumerated() {
            if character.isNewline {
                close()
                continue
            }
            current.append(character)
            let ends = character == "." || character == "!" || character == "?"
            let nextIsGap = index + 1 == characters.count || characters[index + 1].isWhitespace
            if ends, nextIsGap { close() }
        }
        close()
        return found
    }

    private static func shortened(_ sentence: String) -> String {
        let cut = sentence.prefix(answerMax)
        let end = cut.lastIndex(of: " ") ?? cut.endIndex
        return String(cut[..<end]) + "."
    }

    /// Content words, without their commonest English endings.
    static func stems(_ text: String) -> [String] {
        Phrases.folded(text).split(separator: " ").compactMap { word in
            guard word.count > 1, !common.contains(String(word)) else { return nil }
            var stem = String(word)
            for ending in ["ations", "ation", "ings", "ing", "edly", "ies", "ed", "es", "ly", "s"] {
                if stem.hasSuffix(ending), stem.count - ending.count >= 3 {
                    stem.removeLast(ending.count)
                    break
                }
            }
            if stem.hasSuffix("y") || stem.hasSuffix("e"), stem.count > 3 { stem.removeLast() }
            return stem
        }
    }

    private static let common: Set<String> = [
        "the", "an", "and", "or", "but", "if", "of", "to", "in", "on", "at", "by", "for", "with", "from", "as", "is",
        "are", "was", "were", "be", "been", "am", "do", "does", "did", "have", "has", "had", "will", "would", "can",
        "could", "should", "shall", "may", "might", "must", "it", "its", "this", "that", "these", "those", "there",
        "here", "my", "your", "our", "their", "his", "her", "me", "you", "we", "they", "he", "she", "him", "them", "us",
        "im", "ive", "id", "ill", "youre", "what", "which", "who", "whom", "when", "where", "why", "how", "much",
        "many", "please", "tell", "know", "want", "need", "like", "just", "about", "so", "any", "some", "not", "no",
        "yes", "get", "got", "go", "let", "hi", "hello", "hey", "ok", "okay", "thanks", "thank", "also", "then", "than",
        "too", "very", "really", "up", "out",
    ]
}
