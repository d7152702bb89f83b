/// How a sentence feels, from its words: −1 (most negative) … 1 (most positive).
///
/// Rules after Hutto & Gilbert 2014: rated words add up; a degree word, a negation, capitals, punctuation and a contrast
/// change what they add; the sum `s` becomes `s/√(s²+α)`. Runs on bytes, allocates nothing per sentence.
struct Sentiment: Sendable {
    let lexicon: Lexicon

    /// Score of one utterance, −1 … 1. Empty text and text without a rated word are 0.
    func score(_ text: String) -> Double {
        var text = text
        return text.withUTF8 { score($0) }
    }

    /// As ``score(_:)-(String)``, on UTF-8 bytes. Only the first ``textMax`` bytes count: no utterance is longer.
    func score(_ text: UnsafeBufferPointer<UInt8>) -> Double {
        let text = UnsafeBufferPointer(rebasing: text.prefix(Self.textMax))
        var sum = Sum()
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(text.count, 1)) { lowered in
            var at = 0
            while at < text.count {
                while at < text.count, text[at] <= 0x20 { at += 1 }
                let start = at
                var letters = 0
                var capitals = 0
                while at < text.count, text[at] > 0x20 {
                    let byte = text[at]
                    let low = Lexicon.lowered(byte)
                    if low != byte { capitals += 1 }
                    if low >= 0x61 && low <= 0x7A { letters += 1 }
                    if byte == 0x21 { sum.exclamations += 1 }
                    if byte == 0x3F { sum.questions += 1 }
                    lowered[at] = low
                    at += 1
                }
                guard at > start else { break }
                let shouted = capitals > 1 && capitals == letters
                if shouted { sum.shouted += 1 } else if letters > 1 { sum.spoken += 1 }
                take(UnsafeBufferPointer(rebasing: lowered[start..<at]), shouted: shouted, into: &sum)
            }
        }
        return sum.score
    }

    /// Bytes of one utterance that are looked at.
    static let textMax = 8_192

    /// Looks a token up whole (an emoticon is punctuation), then without the punctuation around it, then hyphen by hyphen.
    @inline(__always)
    private func take(_ token: UnsafeBufferPointer<UInt8>, shouted: Bool, into sum: inout Sum) {
        if let word = lexicon.find(token) {
            sum.add(word, shouted: shouted)
            if Self.endsClause(token[token.count - 1]) { sum.endClause() }
            return
        }
        var low = 0
        var high = token.count
        while low < high, !Self.isWord(token[low]) { low += 1 }
        while high > low, !Self.isWord(token[high - 1]) { high -= 1 }
        if low == high {  // punctuation alone
            if token.contains(where: Self.endsClause) { sum.endClause() }
            return
        }
        var part = low
        var at = low
        let whole = UnsafeBufferPointer(rebasing: token[low..<high])
        if low > 0 || high < token.count, let word = lexicon.find(whole) {
            sum.add(word, shouted: shouted)
        } else {
            while at <= high {  // "user-friendly", "great.but", "it...awful"
                if at == high || Self.joins(token[at]) {
                    if at > part {
                        let piece = UnsafeBufferPointer(rebasing: token[part..<at])
                        sum.add(piece.count == whole.count ? nil : lexicon.find(piece), shouted: shouted)
                    }
                    if at < high, Self.endsClause(token[at]) { sum.endClause() }
                    part = at + 1
                }
                at += 1
            }
        }
        if high < token.count, token[high...].contains(where: Self.endsClause) { sum.endClause() }
    }

    @inline(__always)
    private static func isWord(_ byte: UInt8) -> Bool {
        (byte >= 0x61 && byte <= 0x7A) || (byte >= 0x30 && byte <= 0x39) || byte >= 0x80
    }
    @inline(__always)
    private static func joins(_ byte: UInt8) -> Bool {
        byte == 0x2D || byte == 0x2E || byte == 0x2C || byte == 0x2F || byte == 0x21 || byte == 0x3F || byte == 0x3B
    }
    /// A full stop, `!`, `?` or `;` ends the reach of a negation.
    @inline(__always)
    private static func endsClause(_ byte: UInt8) -> Bool {
        byte == 0x2E || byte == 0x21 || byte == 0x3F || byte == 0x3B
    }
}

/// The running sum over one sentence.
private struct Sum {
    var exclamations = 0
    var questions = 0
    var shouted = 0
    var spoken = 0

    private var before = 0.0  // up to the last contrast word
    private var contrasted = false
    private var total = 0.0
    private var loudest = 0.0  // what the shouted words add if the rest is not shouted
    // The last three degree words (0 = none), newest first, and how many tokens ago a negation stood.
    private var degrees = (0.0, 0.0, 0.0)
    private var sinceNegation = Sum.far
    private static let far = 99

    /// Weight of a rated word in the reach of a negation: "not good" is a weak "bad".
    private static let negated = -0.55
    private static let negationReach = 4
    private static let capitals = 0.733
    private static let alpha = 15.0

    @inline(__always)
    mutating func add(_ word: Lexicon.Word?, shouted: Bool) {
        var degree = 0.0
        sinceNegation += 1
        switch word {
        case nil: break
        case .degree(let step)?: degree = step
        case .negation?: sinceNegation = 0
        case .contrast?:
            before += total
            total = 0
            contrasted = true
            sinceNegation = Self.far
        case .plain(let valence)?:
            let sign = valence < 0 ? -1.0 : 1.0
            var value = valence
            value += sign * (degrees.0 + 0.95 * degrees.1 + 0.9 * degrees.2)
            if sinceNegation < Self.negationReach { value *= Self.negated }
            if shouted { loudest += value < 0 ? -Self.capitals : Self.capitals }
            total += value
        }
        degrees = (degree, degrees.0, degrees.1)
    }

    @inline(__always)
    mutating func endClause() {
        sinceNegation = Self.far
        degrees = (0, 0, 0)
    }

    var score: Double {
        var sum = contrasted ? 0.7 * before + 1.2 * total : total
        if shouted > 0, spoken > 0 { sum += loudest }  // all capitals is a keyboard, not a voice
        guard sum != 0 else { return 0 }
        let stress = min(Double(exclamations), 4) * 0.292 + (questions > 1 ? min(Double(questions) * 0.18, 0.96) : 0)
        sum += sum > 0 ? stress : -stress
        return sum / (sum * sum + Self.alpha).squareRoot()
    }
}
