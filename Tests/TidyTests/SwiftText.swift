/// A Swift source taken apart as far as the rules need it: code as tokens, texts, comments. No compiler: it knows
/// comments (nested), texts (plain, raw, multi-line, with interpolated code) and that `!` may be glued to what it unwraps.
struct SwiftText {
    struct Token: Equatable {
        var text: String
        var line: Int
        /// No space between it and the token before.
        var isGlued: Bool
    }

    /// A text or a comment and the line it begins on. Interpolations leave one space.
    struct Piece {
        var text: String
        var line: Int
        var endLine: Int
    }

    private(set) var tokens: [Token] = []
    private(set) var texts: [Piece] = []
    private(set) var comments: [Piece] = []

    private let bytes: [UInt8]
    private var at = 0
    private var line = 1

    init(_ source: String) {
        bytes = Array(source.utf8)
        readCode(untilParenthesis: false)
    }

    // MARK: Reading

    private func byte(_ ahead: Int = 0) -> UInt8 { at + ahead < bytes.count ? bytes[at + ahead] : 0 }

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where at < bytes.count {
            if bytes[at] == Self.newline { line += 1 }
            at += 1
        }
    }

    private static let newline = UInt8(ascii: "\n")
    private static let quote = UInt8(ascii: "\"")
    private static let slash = UInt8(ascii: "/")
    private static let star = UInt8(ascii: "*")
    private static let hash = UInt8(ascii: "#")
    private static let backslash = UInt8(ascii: "\\")

    /// - Parameter untilParenthesis: inside an interpolation, code ends with the bracket that closes it.
    private mutating func readCode(untilParenthesis: Bool) {
        var depth = 0
        var isGlued = false
        while at < bytes.count {
            let first = byte()
            switch first {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), Self.newline:
                advance()
                isGlued = false
                continue
            case Self.slash where byte(1) == Self.slash: readLineComment()
            case Self.slash where byte(1) == Self.star: readBlockComment()
            case Self.quote: readText(hashes: 0, isGlued)
            case Self.hash where startsRawText(): readText(hashes: countHashes(), isGlued)
            case _ where Self.isWord(first): readWord(isGlued)
            case _ where Self.isOperator(first): readOperator(isGlued)
            default:
                if first == UInt8(ascii: "(") { depth += 1 }
                if first == UInt8(ascii: ")") {
                    depth -= 1
                    if untilParenthesis, depth < 0 { return advance() }
                }
                add(1, isGlued)
            }
            isGlued = true
        }
    }

    private mutating func add(_ count: Int, _ isGlued: Bool) {
        tokens.append(
            Token(text: String(decoding: bytes[at..<at + count], as: UTF8.self), line: line, isGlued: isGlued))
        advance(count)
    }

    private mutating func readWord(_ isGlued: Bool) {
        var count = 1
        while Self.isWord(byte(count)) { count += 1 }
        add(count, isGlued)
    }

    private mutating func readOperator(_ isGlued: Bool) {
        var count = 1
        while Self.isOperator(byte(count)),
            !(byte(count) == Self.slash && [Self.slash, Self.star].contains(byte(count + 1)))
        {
            count += 1
        }
        add(count, isGlued)
    }

    private mutating func readLineComment() {
        let start = (at, line)
        while at < bytes.count, byte() != Self.newline { advance() }
        comments.append(piece(from: start))
    }

    private mutating func readBlockComment() {
        let start = (at, line)
        var depth = 0
        repeat {
            if byte() == Self.slash, byte(1) == Self.star {
                depth += 1
                advance(2)
            } else if byte() == Self.star, byte(1) == Self.slash {
                depth -= 1
                advance(2)
            } else {
                advance()
            }
        } while depth > 0 && at < bytes.count
        comments.append(piece(from: start))
    }

    private func piece(from start: (at: Int, line: Int)) -> Piece {
        Piece(text: String(decoding: bytes[start.at..<at], as: UTF8.self), line: start.line, endLine: line)
    }

    private func countHashes() -> Int {
        var count = 0
        while byte(count) == Self.hash { count += 1 }
        return count
    }

    private func startsRawText() -> Bool { byte(countHashes()) == Self.quote }

    private mutating func readText(hashes: Int, _ isGlued: Bool) {
        let start = line
        tokens.append(Token(text: "\"", line: line, isGlued: isGlued))
        advance(hashes)
        let quotes = byte(1) == Self.quote && byte(2) == Self.quote ? 3 : 1
        advance(quotes)
        var text: [UInt8] = []
        while at < bytes.count {
            if byte() == Self.backslash, (0..<hashes).allSatisfy({ byte(1 + $0) == Self.hash }) {
                if byte(1 + hashes) == UInt8(ascii: "(") {
                    advance(2 + hashes)
                    readCode(untilParenthesis: true)
                    text.append(UInt8(ascii: " "))
                } else {
                    text.append(UInt8(ascii: " "))
                    advance(2 + hashes)
                }
                continue
            }
            if (0..<quotes).allSatisfy({ byte($0) == Self.quote }),
                (0..<hashes).allSatisfy({ byte(quotes + $0) == Self.hash })
            {
                advance(quotes + hashes)
                break
            }
            // A plain text ends with its line, whatever is wrong with it.
            if quotes == 1, hashes == 0, byte() == Self.newline { break }
            text.append(byte())
            advance()
        }
        texts.append(Piece(text: String(decoding: text, as: UTF8.self), line: start, endLine: line))
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), UInt8(ascii: "`"), 0x80...:
            true
        default: false
        }
    }

    private static func isOperator(_ byte: UInt8) -> Bool { "!=<>&|+-*/%^~".utf8.contains(byte) }
}
