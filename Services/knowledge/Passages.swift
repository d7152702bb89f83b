/// Cuts a text into passages: short enough that one can be spoken from, long enough to make sense alone. Headings start a
/// new one, and where a text had to be cut its last sentence is said again.
enum Passages {
    static let wordsMax = 120
    /// A heading does not cut off less than this.
    private static let wordsLeast = 40
    /// A longer sentence is not repeated.
    private static let overlapMax = 30

    static func split(_ content: String) -> [String] {
        var passages: [String] = []
        var current: [Piece] = []
        var size = 0

        func finish() {
            if !current.isEmpty { passages.append(joined(current)) }
            current.removeAll()
            size = 0
        }

        for piece in pieces(content) {
            if piece.isHeading, size >= wordsLeast {
                finish()
            } else if size + piece.words > wordsMax, let last = current.last {
                let overlap = lastSentence(last.text)
                finish()
                let words = count(overlap)
                if words <= overlapMax, words + piece.words <= wordsMax {
                    current.append(Piece(text: overlap, words: words, isHeading: false, continues: false))
                    size = words
                }
            }
            current.append(piece)
            size += piece.words
        }
        finish()
        return passages
    }

    /// A line, or a part of one that is too long.
    private struct Piece {
        var text: String
        var words: Int
        var isHeading: Bool
        /// The line of the piece before.
        var continues: Bool
    }

    private static func joined(_ pieces: [Piece]) -> String {
        pieces.enumerated().reduce("") {
            $0 + ($1.offset == 0 ? "" : $1.element.continues ? " " : "\n") + $1.element.text
        }
    }

    private static func pieces(_ content: String) -> [Piece] {
        var pieces: [Piece] = []
        for raw in content.split(whereSeparator: \.isNewline) {
            let line = raw.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            guard !line.isEmpty else { continue }
            let words = count(line)
            if words <= wordsMax {
                pieces.append(Piece(text: line, words: words, isHeading: isHeading(line, words), continues: false))
                continue
            }
            for (index, part) in parts(line).enumerated() {
                pieces.append(Piece(text: part, words: count(part), isHeading: false, continues: index > 0))
            }
        }
        return pieces
    }

    /// Marked as one, or a short line that opens what follows: `Returns:` and `Returns: ask for the receipt` alike.
    private static func isHeading(_ line: String, _ words: Int) -> Bool {
        if line.hasPrefix("#") || line.hasSuffix(":") { return true }
        guard let first = line.first, first.isLetter || first.isNumber else { return false }
        if let colon = line.firstIndex(of: ":") {
            let label = line[..<colon]
            return label.split(separator: " ").count <= 4 && !label.contains(".")
        }
        return words <= 6 && !(line.last.map { ".!?,;".contains($0) } ?? true)
    }

    /// Its sentences; one that is too long by itself is cut between words.
    private static func parts(_ line: String) -> [String] {
        sentences(line).flatMap { sentence -> [String] in
            let words = sentence.split(separator: " ")
            return stride(from: 0, to: words.count, by: wordsMax).map { start in
                words[start..<min(start + wordsMax, words.count)].joined(separator: " ")
            }
        }
    }

    private static func sentences(_ line: String) -> [Substring] {
        var sentences: [Substring] = []
        var start = line.startIndex
        var isOver = false
        for index in line.indices {
            if isOver, line[index] == " " {
                sentences.append(line[start..<index])
                start = line.index(after: index)
            }
            isOver = ".!?".contains(line[index])
        }
        sentences.append(line[start...])
        return sentences.filter { !$0.isEmpty }
    }

    private static func lastSentence(_ text: String) -> String { sentences(text).last.map(String.init) ?? "" }

    private static func count(_ text: String) -> Int { text.split(whereSeparator: \.isWhitespace).count }
}
