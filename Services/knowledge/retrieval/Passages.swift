import Documents

/// Cuts a text into passages: short enough that one can be spoken from, long enough to make sense alone. Headings start a
/// new one, and where a text had to be cut its last sentence is said again.
enum Passages {
    static let wordsMax = 120
    /// A heading does not cut off less than this.
    private static let wordsLeast = 40
    /// A longer sentence is not repeated.
    private static let overlapMax = 30

    /// Of a plain text, whose lines are its paragraphs.
    static func split(_ content: String) -> [Passage] { split(blocks(content)) }

    static func split(_ blocks: [Block]) -> [Passage] {
        var passages: [Passage] = []
        var current: [Piece] = []
        var size = 0
        var headings: [(level: Int, text: String)] = []
        var heading: String?

        func finish() {
            if let first = current.first, let last = current.last {
                passages.append(
                    Passage(body: joined(current), heading: heading, pageFrom: first.page, pageTo: last.page))
            }
            current.removeAll()
            size = 0
        }

        for piece in blocks.flatMap(pieces) {
            if piece.isHeading, size >= wordsLeast {
                finish()
            } else if size + piece.words > wordsMax, let last = current.last {
                let overlap = lastSentence(last.text)
                finish()
                let words = count(overlap)
                if words <= overlapMax, words + piece.words <= wordsMax {
                    current.append(
                        Piece(text: overlap, words: words, level: nil, continues: false, page: last.page))
                    size = words
                }
            }
            if let level = piece.level {
                headings.removeAll { $0.level >= level }
                headings.append((level, piece.text))
            }
            if size == 0 || piece.isHeading && current.allSatisfy(\.isHeading) {
                heading = headings.isEmpty ? nil : headings.map(\.text).joined(separator: " › ")
            }
            current.append(piece)
            size += piece.words
        }
        finish()
        return passages
    }

    /// What an entry without headings of its own is about: its first line.
    static func lead(_ blocks: [Block]) -> String {
        blocks.first.map { $0.text.split(separator: " ").prefix(leadMax).joined(separator: " ") } ?? ""
    }

    private static let leadMax = 60

    /// The lines of a plain text, told apart by their looks.
    static func blocks(_ content: String) -> [Block] {
        content.split(whereSeparator: \.isNewline).compactMap { raw in
            let line = raw.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            return line.isEmpty ? nil : Block(isHeading(line, count(line)) ? .heading : .paragraph, line)
        }
    }

    /// A block, or a part of one that is too long.
    private struct Piece {
        var text: String
        var words: Int
        /// Of a heading; those of a plain text have no level and stand in no path.
        var level: Int?
        var isHeading = false
        /// The line of the piece before.
        var continues: Bool
        var page: Int?
    }

    private static func joined(_ pieces: [Piece]) -> String {
        pieces.enumerated().reduce("") {
            $0 + ($1.offset == 0 ? "" : $1.element.continues ? " " : "\n") + $1.element.text
        }
    }

    private static func pieces(_ block: Block) -> [Piece] {
        let words = count(block.text)
        let isHeading = block.kind == .heading
        if words <= wordsMax {
            return [
                Piece(
                    text: block.text, words: words, level: isHeading && block.level > 0 ? block.level : nil,
                    isHeading: isHeading, continues: false, page: block.page)
            ]
        }
        return parts(block.text).enumerated().map { index, part in
            Piece(text: part, words: count(part), level: nil, continues: index > 0, page: block.page)
        }
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

/// A piece of an entry's text.
struct Passage: Sendable, Hashable {
    var body: String
    /// The headings above it, outermost first, where a document tells.
    var heading: String?
    var pageFrom: Int?
    var pageTo: Int?
}
