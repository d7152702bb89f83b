/// A text as lower-case words, for looking up words and phrases without matching inside other words.
struct Words: Sendable {
    /// Words joined by single spaces, with one in front and one behind: a phrase is found with its own spaces.
    private let spaced: String

    init(_ text: String) {
        var bytes: [UInt8] = [0x20]
        bytes.reserveCapacity(text.utf8.count + 2)
        if text.utf8.allSatisfy({ $0 < 0x80 }) {
            for byte in text.utf8 { Self.add(byte, to: &bytes) }
        } else {
            for scalar in text.lowercased().unicodeScalars { Self.add(scalar, to: &bytes) }
        }
        if bytes.last != 0x20 { bytes.append(0x20) }
        spaced = String(decoding: bytes, as: UTF8.self)
    }

    /// Whether there is a word at all.
    var isEmpty: Bool { spaced == " " }

    /// - Parameter phrase: written as here: lower case, single spaces, no punctuation.
    func has(_ phrase: String) -> Bool { spaced.utf8.count > phrase.utf8.count && contains(" " + phrase + " ") }
    /// Of a phrase as people write it. One of no words stands nowhere.
    func has(_ phrase: Words) -> Bool { !phrase.isEmpty && contains(phrase.spaced) }
    func hasAny(_ phrases: [String]) -> Bool { phrases.contains { has($0) } }
    func startsWithAny(_ words: [String]) -> Bool { words.contains { spaced.hasPrefix(" " + $0 + " ") } }

    private static func add(_ byte: UInt8, to bytes: inout [UInt8]) {
        let low = Lexicon.lowered(byte)
        let isWord = (low >= 0x61 && low <= 0x7A) || (low >= 0x30 && low <= 0x39) || low == 0x27
        if isWord { bytes.append(low) } else if bytes.last != 0x20 { bytes.append(0x20) }
    }

    private static func add(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        if scalar.isASCII { return add(UInt8(truncatingIfNeeded: scalar.value), to: &bytes) }
        switch scalar.value {
        // The apostrophe as word processors and models write it.
        case 0x2019: bytes.append(0x27)
        // Where words are written without spaces between them, each letter stands alone.
        case 0x0E00...0x0E7F, 0x3040...0x30FF, 0x3400...0x9FFF, 0xF900...0xFAFF, 0x20000...0x3FFFF:
            if bytes.last != 0x20 { bytes.append(0x20) }
            bytes.append(contentsOf: Array(String(scalar).utf8))
            bytes.append(0x20)
        default:
            if isLetter(scalar) {
                bytes.append(contentsOf: Array(String(scalar).utf8))
            } else if bytes.last != 0x20 {
                bytes.append(0x20)
            }
        }
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber: true
        default: scalar.properties.isAlphabetic
        }
    }

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
