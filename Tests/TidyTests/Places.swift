/// What may stand only in certain files: SQL, and the names of settings.
enum Places {
    static func mayHoldSQL(_ source: Source) -> Bool {
        source.name.hasSuffix("Store.swift") || source.name.hasPrefix("Read") || source.path.contains("/migrations/")
            // The module that speaks it, and the outbox and inbox.
            || ["Postgres", "Messaging"].contains(source.module)
    }

    static func sql(_ source: Source) -> [Complaint] {
        guard source.isSwift, source.isProduct, !mayHoldSQL(source) else { return [] }
        return source.swift.texts.filter { isSQL($0.text) }.map {
            Complaint(path: source.path, line: $0.line, text: "SQL outside *Store.swift and Read*.swift")
        }
    }

    /// Our SQL is written in capitals.
    static func isSQL(_ text: String) -> Bool {
        let words = text.split { !($0.isLetter || $0 == "_") }
        for (place, word) in words.enumerated() {
            let next = place + 1 < words.count ? words[place + 1] : ""
            switch (word, next) {
            case ("SELECT", _), ("WHERE", _), ("RETURNING", _), ("INSERT", "INTO"), ("DELETE", "FROM"), ("ORDER", "BY"),
                ("CREATE", "TABLE"), ("ALTER", "TABLE"), ("DROP", "TABLE"), ("ON", "CONFLICT"):
                return true
            case ("UPDATE", _) where words.dropFirst(place).contains("SET"): return true
            default: continue
            }
        }
        return false
    }

    /// Files other than `*Service.swift` that may name settings, and why.
    private static let settingsFiles: [String: String] = [
        "Shared/Program/Program.swift": "what every program's *Service.swift would repeat",
        "Shared/Program/Commands.swift": "the commands every program has",
        "Shared/Kafka/KafkaSettings.swift": "read by each *Service.swift in one call, so that all name them alike",
    ]

    private static let readers: Set<String> = [
        "string", "optional", "secret", "int", "double", "bool", "url", "optionalURL", "urls", "list", "choice",
        "duration",
    ]

    static func environment(_ source: Source) -> [Complaint] {
        guard source.isSwift, source.isProduct, source.module != "Runtime", !source.name.hasSuffix("Service.swift")
        else {
            return []
        }
        let tokens = source.swift.tokens
        var complaints: [Complaint] = []
        for (place, token) in tokens.enumerated() {
            let next = place + 1 < tokens.count ? tokens[place + 1].text : ""
            let before = place > 0 ? tokens[place - 1].text : ""
            if ["getenv", "secure_getenv", "environ", "ProcessInfo"].contains(token.text)
                || token.text == "Environment" && next == "."
            {
                complaints.append(
                    Complaint(
                        path: source.path, line: token.line, text: "the environment is read outside *Service.swift"))
            }
            // `settings.string("NAME")`: a reader given a text.
            if readers.contains(token.text), before == ".", next == "(", place + 2 < tokens.count,
                tokens[place + 2].text == "\"", place > 1, tokens[place - 2].text.hasSuffix("ettings"),
                settingsFiles[source.path] == nil
            {
                complaints.append(
                    Complaint(path: source.path, line: token.line, text: "a setting is named outside *Service.swift"))
            }
        }
        return complaints
    }
}
