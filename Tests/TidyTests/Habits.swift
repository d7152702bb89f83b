/// What no program of ours does, and why.
enum Habits {
    private struct Exception {
        let path: String
        let what: String
        let reason: String
    }

    /// Each with the reason it stands.
    private static let exceptions: [Exception] = []

    static func check(_ source: Source) -> [Complaint] {
        guard source.isSwift, source.isProduct else { return [] }
        let text = source.swift
        return (tasks(text) + traps(text) + foreign(text) + actors(text) + unchecked(text))
            .filter { found in !exceptions.contains { $0.path == source.path && found.text.contains($0.what) } }
            .map { Complaint(path: source.path, line: $0.line, text: $0.text) }
    }

    typealias Found = (line: Int, text: String)

    /// A task that does not name its loop runs on the global pool (facts: 20 µs a round trip, and data races).
    static func tasks(_ text: SwiftText) -> [Found] {
        let tokens = text.tokens
        var found: [Found] = []
        for (place, token) in tokens.enumerated() where token.text == "Task" {
            var next = place + 1
            func word(_ offset: Int = 0) -> String { next + offset < tokens.count ? tokens[next + offset].text : "" }
            // Task<Success, Failure>
            if word() == "<" {
                while next < tokens.count, !word().hasPrefix(">") { next += 1 }
                next += 1
            }
            if word() == ".", ["sleep", "detached", "immediateDetached"].contains(word(1)) {
                found.append((token.line, "Task.\(word(1)) leaves the loop: use EventLoop.sleep or EventLoop.spawn"))
                continue
            }
            if word() == ".", word(1) == "immediate" { next += 2 }
            let isCall = word() == "{" || word() == "("
            // `Task {` begins a task; `struct Task {` and `(task: Task) {` do not.
            let before = place > 0 ? tokens[place - 1].text : ""
            let declares = ["struct", "class", "enum", ":", ">", "->", "extension"].contains(before)
            if isCall, !declares, !(word() == "(" && word(1) == "executorPreference") {
                found.append((token.line, "a Task without executorPreference leaves the loop: use EventLoop.spawn"))
            }
        }
        return found
    }

    /// `try!`, `as!`, `x!`, fatalError: what comes from outside must not stop the program.
    static func traps(_ text: SwiftText) -> [Found] {
        let tokens = text.tokens
        var found: [Found] = []
        for (place, token) in tokens.enumerated() {
            let before = place > 0 ? tokens[place - 1].text : ""
            if token.text == "!", token.isGlued, let last = before.last,
                last.isLetter || last.isNumber || [")", "]", "}", "\"", "_", "`"].contains(last)
            {
                found.append((token.line, "\(before)! traps"))
            }
            if ["fatalError", "unsafeBitCast"].contains(token.text), before != "." {
                found.append((token.line, "\(token.text) is not for programs that serve strangers"))
            }
        }
        return found
    }

    /// Threads, queues and libraries that bring their own.
    static func foreign(_ text: SwiftText) -> [Found] {
        let names: Set<String> = [
            "DispatchQueue", "DispatchGroup", "DispatchSemaphore", "JSONEncoder", "JSONDecoder", "JSONSerialization",
            "MainActor", "URLSession", "NSLock", "Mutex",
        ]
        let tokens = text.tokens
        var found: [Found] = []
        for (place, token) in tokens.enumerated() {
            if names.contains(token.text) { found.append((token.line, "\(token.text) is not used here")) }
            let next = place + 1 < tokens.count ? tokens[place + 1].text : ""
            let before = place > 0 ? tokens[place - 1].text : ""
            if ["usleep", "nanosleep"].contains(token.text), next == "(", before != "." {
                found.append((token.line, "\(token.text) stops a loop: use EventLoop.sleep"))
            }
        }
        return found
    }

    /// A default actor shared by two loops runs on the wrong one about half the time.
    static func actors(_ text: SwiftText) -> [Found] {
        let tokens = text.tokens
        guard !tokens.contains(where: { $0.text == "unownedExecutor" }) else { return [] }
        return tokens.indices.dropLast().filter { place in
            tokens[place].text == "actor" && tokens[place + 1].text.first?.isUppercase == true
                && (place == 0 || tokens[place - 1].text != ".")
        }.map { (tokens[$0].line, "an actor needs the loop as its unownedExecutor") }
    }

    /// `@unchecked Sendable` stands with the condition under which it is true.
    static func unchecked(_ text: SwiftText) -> [Found] {
        let tokens = text.tokens
        return tokens.indices.filter { tokens[$0].text == "unchecked" }.compactMap { place in
            let line = tokens[place].line
            // The comment ends just above (attributes and a long first line may stand between) or begins just below.
            let isExplained = text.comments.contains {
                (line - 4...line).contains($0.endLine) || (line...line + 2).contains($0.line)
            }
            return isExplained ? nil : (line, "@unchecked Sendable without the condition that makes it true")
        }
    }

    /// Work that is left for later is an issue, not a comment.
    static func leftovers(_ source: Source) -> [Complaint] {
        let marks = ["TO" + "DO", "FIX" + "ME", "HA" + "CK"]
        let lines: [(line: Int, text: String)] =
            source.isSwift
            ? source.swift.comments.map { ($0.line, $0.text) }
            : source.content.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map {
                ($0 + 1, String($1))
            }
        return lines.flatMap { line, text in
            text.split { !$0.isLetter }.filter { marks.contains(String($0)) }
                .map { Complaint(path: source.path, line: line, text: "\($0): do it or open an issue") }
        }
    }

    /// Tests wait for a condition with a deadline.
    static func sleeps(_ source: Source) -> [Complaint] {
        guard source.isSwift, source.path.hasPrefix("Tests/") else { return [] }
        let tokens = source.swift.tokens
        return tokens.indices.dropLast(2).filter { place in
            let (one, two, three) = (tokens[place].text, tokens[place + 1].text, tokens[place + 2].text)
            return ["Task", "Thread"].contains(one) && two == "." && three == "sleep"
                || ["usleep", "nanosleep"].contains(one) && two == "("
        }.map { Complaint(path: source.path, line: tokens[$0].line, text: "a test sleeps: wait for a condition") }
    }
}
