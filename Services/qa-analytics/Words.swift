/// A text as lower-case words, for looking up words and phrases without matching inside other words.
struct Words: Sendable {
    /// Words joined by single spaces, with one in front and one behind: a phrase is found with its own spaces.
    private let spaced: String

    init(_ text: String) {
        var bytes: [UInt8] = [0x20]
        bytes.reserveCapacity(text.utf8.count + 2)
        for byte in text.utf8 {
            let low = Lexicon.lowered(byte)
            let isWord = (low >= 0x61 && low <= 0x7A) || (low >= 0x30 && low <= 0x39) || low >= 0x80 || low == 0x27
            if isWord { bytes.append(low) } else if bytes.last != 0x20 { bytes.append(0x20) }
        }
        if bytes.last != 0x20 { bytes.append(0x20) }
        spaced = String(decoding: bytes, as: UTF8.self)
    }

    func has(_ phrase: String) -> Bool { spaced.utf8.count > phrase.utf8.count && contains(" " + phrase + " ") }
    func hasAny(_ phrases: [String]) -> Bool { phrases.contains(where: has) }
    func startsWithAny(_ words: [String]) -> Bool { words.contains { spaced.hasPrefix(" " + $0 + " ") } }

    private func contains(_ needle: String) -> Bool {
        let needle = Array(needle.utf8)
        let hay = Array(spaced.utf8)
        guard hay.count >= needle.count else { return false }
        for start in 0...(hay.count - needle.count) where hay[start] == needle[0] {
            if hay[start..<(start + needle.count)].elementsEqual(needle) { return true }
        }
        return false
    }
}
