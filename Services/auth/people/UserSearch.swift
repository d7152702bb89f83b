import Shared

/// `search` of the list of people, as it is understood: the beginning of an e-mail address, a user name, a phone number
/// or a name's word; several words each begin a word of the name.
enum UserSearch: Sendable, Equatable {
    /// A phone number's first digits, written in whatever way.
    case digits(String)
    case word(String)
    case words([String])

    private static let wordsMax = 8

    /// nil for nothing but white space.
    init?(_ text: String) {
        let words = text.lowercased().split(whereSeparator: \.isWhitespace).map(String.init)
        guard let first = words.first else { return nil }
        let digits = text.filter { $0.isASCII && $0.isNumber }
        if digits.utf8.count >= 3, text.allSatisfy({ ($0.isASCII && $0.isNumber) || "+-() .".contains($0) }) {
            self = .digits(digits)
        } else if words.count == 1 {
            self = .word(first)
        } else {
            self = .words(Array(words.prefix(Self.wordsMax)))
        }
    }

    var words: [String] {
        switch self {
        case .digits(let text), .word(let text): [text]
        case .words(let words): words
        }
    }

    /// The ways a name of two words can hold these: how its first and its last name have to begin. None for three words of
    /// which no two begin alike, since a name like that has no room for them.
    var names: [Name] {
        var names: [Name] = [Name(first: "", last: "")]
        for word in words {
            names = names.flatMap { name in
                [
                    Self.longer(name.first, word).map { Name(first: $0, last: name.last) },
                    Self.longer(name.last, word).map { Name(first: name.first, last: $0) },
                ].compactMap { $0 }
            }
            names = names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        }
        return names
    }

    struct Name: Sendable, Equatable {
        var first: String
        var last: String
    }

    /// What a name begins with that begins with both.
    private static func longer(_ one: String, _ other: String) -> String? {
        if one.hasPrefix(other) { return one }
        return other.hasPrefix(one) ? other : nil
    }

    /// A text-search query that wants a beginning of each word. Quoted, so that no word can be an operator.
    static func query(_ words: [String]) -> String {
        words.map { word in
            let quoted = word.map { $0 == "'" ? "''" : $0 == "\\" ? "\\\\" : String($0) }.joined()
            return "'\(quoted)':*"
        }.joined(separator: " & ")
    }
}
