import Shared

/// `search` of the list of people, as it is understood: the beginning of an e-mail address, a user name, a phone number
/// or a name's word; several words each begin a word of the name.
enum UserSearch: Sendable, Equatable {
    /// A phone number's first digits, written in whatever way.
    case digits(String)
    case word(String)
    case words([String])

    /// Beginnings shorter than this are not gathered from the index of words.
    static let gatheredMin = 3
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

    /// A text-search query that wants a beginning of each word. Quoted, so that no word can be an operator.
    static func query(_ words: [String]) -> String {
        words.map { word in
            let quoted = word.map { $0 == "'" ? "''" : $0 == "\\" ? "\\\\" : String($0) }.joined()
            return "'\(quoted)':*"
        }.joined(separator: " & ")
    }
}
