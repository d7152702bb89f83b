/// What of a speech was heard before the caller cut in.
enum Heard {
    /// The part of `spoken` the caller heard, when the carrier says it had spoken `heard`.
    ///
    /// The carrier reports the words as it said them, so spacing, case and punctuation may differ: words are compared
    /// bare and the text of ours up to the last of them is kept. Words that are not ours are believed as reported.
    static func cut(_ spoken: String, at heard: String) -> String {
        let said = words(heard)
        guard let last = said.last else { return "" }
        let ours = positions(spoken)
        var end = 0
        if ours.count >= said.count, zip(ours, said).allSatisfy({ $0.word == $1 }) {
            end = said.count
        } else if let found = lastRun(of: said, in: ours.map(\.word)) {
            end = found
        } else if let found = ours.lastIndex(where: { $0.word == last }), said.count > ours.count {
            end = found + 1
        }
        guard end > 0 else { return heard.utf8.count < spoken.utf8.count ? trimmed(heard) : spoken }
        if end == ours.count { return spoken }
        return trimmed(String(spoken[..<ours[end - 1].end]))
    }

    private static func lastRun(of needle: [String], in words: [String]) -> Int? {
        guard needle.count <= words.count else { return nil }
        for start in stride(from: words.count - needle.count, through: 0, by: -1)
        where Array(words[start..<start + needle.count]) == needle {
            return start + needle.count
        }
        return nil
    }

    private static func words(_ text: String) -> [String] { positions(text).map(\.word) }

    private static func positions(_ text: String) -> [(word: String, end: String.Index)] {
        var found: [(String, String.Index)] = []
        for part in text.split(whereSeparator: \.isWhitespace) {
            let bare = part.lowercased().filter { $0.isLetter || $0.isNumber }
            if !bare.isEmpty { found.append((bare, part.endIndex)) }
        }
        return found
    }
}

/// Without the white space around it.
func trimmed(_ text: some StringProtocol) -> String {
    var rest = Substring(text)
    while rest.first?.isWhitespace == true { rest.removeFirst() }
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return String(rest)
}
