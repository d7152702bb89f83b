/// What a customer means, by rules. Deterministic, and good enough to drive the tools without a language model.
enum Phrases {
    enum Meaning: Sendable, Equatable {
        case human
        case goodbye
        case callback(CallbackTime)
        case meeting(CallbackTime)
        case repeatThat
        /// Who or what am I talking to, and why.
        case whoIsThis
        case thanks
        case hello
        case yes, no
        case notInterested
        /// Never call again.
        case optOut
    }

    /// The strongest meaning of these words, or nil when they are a question or statement to be answered.
    static func meaning(of words: String) -> Meaning? {
        let text = folded(words)
        let padded = " \(text) "
        func says(_ phrases: [String]) -> Bool { phrases.contains { padded.contains(" \($0) ") } }
        let count = text.split(separator: " ").count

        if asksForHuman(words) { return .human }
        if says(optOuts) { return .optOut }
        if says(notInterested) { return .notInterested }
        if says(callbacks) { return .callback(CallbackTime(in: text)) }
        if says(meetings) { return .meeting(CallbackTime(in: text)) }
        if count <= 8, says(repeats) { return .repeatThat }
        if count <= 10, says(introductions) { return .whoIsThis }
        // A farewell is short; "I said goodbye to my old provider last year, what do you charge" is not one.
        if count <= 10, says(farewells) || endings.contains(where: { text.hasSuffix($0) }) { return .goodbye }
        // "It worked, that was easy, thank you very much!" wants no answer; "thanks, but where do I send it" does.
        if says(thanks), count <= 8 || (count <= 16 && !words.contains("?") && !says(askings)) { return .thanks }
        if count <= 4, says(hellos) { return .hello }
        if count <= 3, says(agreements) { return .yes }
        if count <= 3, says(["no", "nope", "nah"]) { return .no }
        return nil
    }

    /// Whether these words take up an offer just made: "yes please", "sure, that would be great".
    static func accepts(_ words: String) -> Bool {
        let said = folded(words).split(separator: " ").map(String.init)
        guard let first = said.first, said.count <= 7, !words.contains("?") else { return false }
        return agreements.contains(first) || said.starts(with: ["please", "do"]) || said == ["please"]
            || said.starts(with: ["that", "would", "be"]) || said.starts(with: ["id", "like", "that"])
    }

    /// Whether somebody is dissatisfied, by the words for it: decides how regret is spoken, nothing else.
    static func complains(_ words: String) -> Bool {
        let padded = " \(folded(words)) "
        return complaints.contains { padded.contains(" \($0) ") }
    }

    /// Somebody wants a person, by voice or with the zero key.
    ///
    /// A word for a person counts only close behind a wish for one: "a ticket for one person" asks for a ticket.
    static func asksForHuman(_ words: String) -> Bool {
        let text = folded(words)
        if text == "0" || bare.contains(text) { return true }
        let said = text.split(separator: " ").map(String.init)
        return follows(said, verbs, people, within: 4) || follows(said, wants, unmistakable, within: 2)
    }

    private static func follows(
        _ said: [String], _ openings: [[String]], _ nouns: Set<String>, within reach: Int
    ) -> Bool {
        for start in said.indices {
            for opening in openings where said[start...].starts(with: opening) {
                let rest = said[(start + opening.count)...].prefix(reach)
                if rest.contains(where: nouns.contains) { return true }
            }
        }
        return false
    }

    /// Lower case, letters and digits only, single spaces: what rules compare.
    static func folded(_ text: String) -> String {
        var out = ""
        out.reserveCapacity(text.utf8.count)
        var gap = false
        for character in text.lowercased() {
            if character.isLetter || character.isNumber {
                if gap, !out.isEmpty { out.append(" ") }
                gap = false
                out.append(character)
            } else if character != "'" && character != "’" {
                gap = true
            }
        }
        return out
    }

    private static let bare: Set<String> = [
        "human", "human please", "a human", "a human please", "real person", "real person please", "agent",
        "agent please", "live agent", "live agent please", "representative", "representative please", "operator",
        "operator please", "supervisor", "supervisor please", "mitarbeiter bitte",
    ]
    private static let verbs: [[String]] = [
        ["speak", "to"], ["speak", "with"], ["talk", "to"], ["talk", "with"], ["connect", "me"], ["transfer", "me"],
        ["put", "me", "through"], ["put", "me", "on", "with"], ["forward", "me"], ["escalate", "this", "to"],
        ["escalate", "me", "to"], ["sprechen", "mit"], ["verbinden", "sie", "mich"],
    ]
    private static let people: Set<String> = [
        "human", "person", "agent", "representative", "operator", "supervisor", "manager", "somebody", "someone",
        "colleague", "employee", "mitarbeiter", "menschen",
    ]
    private static let wants: [[String]] = [
        ["want"], ["need"], ["get", "me"], ["give", "me"], ["i", "would", "like"],
    ]
    /// Words nobody uses for a seat at a table.
    private static let unmistakable: Set<String> = ["human", "representative", "operator", "supervisor"]
    private static let callbacks = [
        "call me back", "call back", "callback", "call me later", "call me again", "call me tomorrow", "ring me back",
        "phone me back", "call again later", "call another time",
    ]
    private static let meetings = [
        "book a meeting", "schedule a meeting", "set up a meeting", "arrange a meeting", "book an appointment",
        "make an appointment", "schedule an appointment", "schedule a demo", "book a demo",
    ]
    private static let repeats = [
        "say that again", "repeat that", "say again", "pardon", "come again", "could you repeat", "can you repeat",
        "please repeat", "didnt hear you", "didnt catch that",
    ]
    private static let agreements = ["yes", "yeah", "yep", "sure", "ok", "okay", "correct", "right"]
    private static let complaints = [
        "angry", "annoyed", "annoying", "frustrated", "frustrating", "furious", "upset", "disappointed",
        "disappointing", "unacceptable", "ridiculous", "terrible", "awful", "horrible", "worst", "a joke", "fed up",
        "complain", "complaint", "second time", "third time", "fourth time", "nobody has", "no one has",
        "nobody called", "still waiting", "still not", "still isnt", "still hasnt", "still havent", "never arrived",
        "doesnt work", "does not work", "stopped working", "broken again", "waste of",
    ]
    private static let introductions = [
        "who is this", "whos this", "who are you", "who am i speaking", "who am i talking", "whom am i speaking",
        "who is calling", "whos calling", "why are you calling", "what is this about", "whats this about",
        "what is this call about", "what are you calling about", "what is this regarding", "are you a robot",
        "are you a bot", "are you a machine", "are you a computer", "are you a real person", "are you human",
        "are you a human", "are you an ai", "is this a robot", "is this a bot", "is this a machine",
        "is this a recording", "is this a real person", "is this a scam", "am i talking to a machine",
        "am i talking to a robot", "am i speaking to a machine", "am i speaking to a robot", "what company is this",
        "which company is this", "wer ist da", "wer spricht da",
    ]
    /// Words with which something is asked or objected after all.
    private static let askings = [
        "what", "when", "where", "which", "who", "why", "how", "can", "could", "do", "does", "is there", "are there",
        "but", "tell me", "i need", "i want", "i would like", "id like", "still",
    ]
    private static let farewells = [
        "goodbye", "good bye", "bye", "bye bye", "have a nice day", "have a good day", "have a great day",
        "have a nice evening", "have a good evening", "thatll be all", "that will be all", "see you later",
        "see you then",
        "see you soon", "talk to you later", "nothing else", "tschüss", "auf wiederhören", "auf wiedersehen",
    ]
    /// Farewells only as the last words: "that's all correct" is none.
    private static let endings = ["thats all", "that is all", "thats all thanks", "thats all thank you", "see you"]
    private static let thanks = ["thanks", "thank you", "thank you very much", "thanks a lot", "danke"]
    private static let hellos = ["hello", "hi", "hey", "good morning", "good afternoon", "good evening", "hallo"]
    private static let notInterested = ["not interested", "no interest in"]
    private static let optOuts = [
        "stop calling me", "do not call me", "dont call me", "never call me", "take me off your list",
        "remove me from your list", "do not call list",
    ]
}

/// When a customer wants to be called, as they said it; the database turns it into an instant in the agent's time zone.
struct CallbackTime: Sendable, Equatable {
    var days = 1
    /// Of that day; nil: the next hour when `days` is 0, ten o'clock otherwise.
    var hour: Int?
    var minute = 0
    /// From now, instead of the above.
    var hoursFromNow: Int?

    init(days: Int = 1, hour: Int? = nil, minute: Int = 0, hoursFromNow: Int? = nil) {
        self.days = days
        self.hour = hour
        self.minute = minute
        self.hoursFromNow = hoursFromNow
    }

    /// Reads "tomorrow at three pm", "in two hours", "next week", "this afternoon" out of folded words.
    init(in text: String) {
        self.init()
        let words = text.split(separator: " ").map(String.init)
        func has(_ word: String) -> Bool { words.contains(word) }
        for (index, word) in words.enumerated() where word == "in" && index + 2 < words.count {
            guard let amount = Self.number(words[index + 1]) else { continue }
            switch words[index + 2] {
            case "hour", "hours": hoursFromNow = amount
            case "day", "days": days = amount
            case "week", "weeks": days = amount * 7
            default: continue
            }
        }
        if has("today") || text.contains("later today") || text.contains("this ") { days = 0 }
        if text.contains("day after tomorrow") { days = 2 } else if has("tomorrow") { days = 1 }
        if text.contains("next week") { days = 7 }
        if has("morning") { hour = 10 }
        if has("noon") { hour = 12 }
        if has("afternoon") { hour = 15 }
        if has("evening") { hour = 18 }
        if text.contains("this evening") || text.contains("this afternoon") { days = 0 }
        readClock(words)
        days = min(max(days, 0), 60)
        hoursFromNow = hoursFromNow.map { min(max($0, 1), 72) }
    }

    private mutating func readClock(_ words: [String]) {
        for (index, word) in words.enumerated() where word == "at" && index + 1 < words.count {
            var next = words[index + 1]
            var half: String? = index + 2 < words.count ? words[index + 2] : nil
            for suffix in ["am", "pm"] where next.hasSuffix(suffix) && next.count > 2 {
                next.removeLast(2)
                half = suffix
            }
            guard var found = Self.number(next), (0...23).contains(found) else { continue }
            if let half, let minutes = Int(half), (0...59).contains(minutes), half.count == 2 { minute = minutes }
            let isEvening = half == "pm" || (index + 3 < words.count && words[index + 3] == "pm")
            if isEvening, found < 12 { found += 12 }
            if half == "am", found == 12 { found = 0 }
            // "At three" said to a call centre is the afternoon.
            if half != "am", half != "pm", !isEvening, (1...6).contains(found) { found += 12 }
            hour = found
        }
    }

    private static func number(_ word: String) -> Int? {
        let spelled = [
            "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
            "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
        ]
        return spelled[word] ?? Int(word)
    }
}
