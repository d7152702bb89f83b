/// Words and emoticons with the valence people gave them, −4 (most negative) … 4 (most positive).
///
/// The text is the tab-separated file of the `vaderSentiment` package (MIT, Hutto & Gilbert 2014): token, mean valence,
/// and columns we do not need. It is read once at start; look-ups afterwards allocate nothing.
struct Lexicon: Sendable {
    /// Open addressing, power of two, at most half full: a miss, the common case, ends on the first empty slot.
    private var slots: [Slot]
    private let mask: Int
    private(set) var count = 0

    private struct Slot: Sendable {
        var hash: UInt64 = 0
        var length: Int32 = 0  // 0 = empty
        var word = Word.plain(0)
    }

    /// What a token does to the sentence it stands in.
    enum Word: Sendable, Equatable {
        case plain(Double)
        /// Strengthens (positive) or weakens (negative) the feeling that follows: "very", "slightly".
        case degree(Double)
        /// Turns what follows around: "not", "never".
        case negation
        /// What follows outweighs what came before: "but", "however".
        case contrast
    }

    struct Malformed: Error, CustomStringConvertible {
        let line: Int
        var description: String { "lexicon line \(line): expected a token, a tab and a number" }
    }

    /// - Throws: ``Malformed`` with the line that is not `token<TAB>valence`.
    init(text: [UInt8]) throws(Malformed) {
        slots = Array(repeating: Slot(), count: 32_768)
        mask = slots.count - 1
        for (number, line) in text.split(separator: 0x0A).enumerated() {
            let fields = line.split(separator: 0x09, maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count >= 2, let valence = Double(String(decoding: fields[1], as: UTF8.self)) else {
                throw Malformed(line: number + 1)
            }
            insert(Array(fields[0]).map(Self.lowered), .plain(valence))
        }
        for (word, step) in Self.degrees { insert(Array(word.utf8), .degree(step)) }
        for word in Self.negations { insert(Array(word.utf8), .negation) }
        for word in Self.contrasts { insert(Array(word.utf8), .contrast) }
        // Call-centre language the general lexicon does not rate, or rates for another meaning.
        for (word, valence) in Self.callCentre { insert(Array(word.utf8), .plain(valence)) }
    }

    /// The word of these bytes, which must already be lower case.
    @inline(__always)
    func find(_ token: UnsafeBufferPointer<UInt8>) -> Word? {
        let hash = Self.hash(token)
        var at = Int(truncatingIfNeeded: hash) & mask
        return slots.withUnsafeBufferPointer { slots in
            while slots[at].length != 0 {
                if slots[at].hash == hash, Int(slots[at].length) == token.count { return slots[at].word }
                at = (at + 1) & mask
            }
            return nil
        }
    }

    private mutating func insert(_ token: [UInt8], _ word: Word) {
        guard !token.isEmpty, count < slots.count / 2 else { return }
        let hash = token.withUnsafeBufferPointer(Self.hash)
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at].length != 0, !(slots[at].hash == hash && Int(slots[at].length) == token.count) {
            at = (at + 1) & mask
        }
        if slots[at].length == 0 { count += 1 }
        slots[at] = Slot(hash: hash, length: Int32(token.count), word: word)
    }

    /// FNV-1a, 64 bits: with 7,600 known tokens two of equal length share a hash about once in 10¹².
    @inline(__always)
    private static func hash(_ token: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in token { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash ^ (hash >> 29)
    }

    @inline(__always)
    static func lowered(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

    private static let strong = 0.293
    private static let degrees: [(String, Double)] =
        [
            "absolutely", "amazingly", "awfully", "completely", "considerably", "decidedly", "deeply", "enormously",
            "entirely", "especially", "exceptionally", "extremely", "fully", "greatly", "highly", "hugely",
            "incredibly", "intensely", "majorly", "more", "most", "particularly", "purely", "quite", "really",
            "remarkably", "so", "substantially", "super", "thoroughly", "totally", "tremendously", "truly",
            "unbelievably", "unusually", "utterly", "very", "way", "too",
        ].map { ($0, strong) }
        + [
            "almost", "barely", "hardly", "kinda", "less", "little", "marginally", "mildly", "occasionally", "partly",
            "scarcely", "slightly", "somewhat", "sorta", "fairly", "moderately",
        ].map { ($0, -strong) }

    private static let negations = [
        "aint", "ain't", "arent", "aren't", "cannot", "cant", "can't", "couldnt", "couldn't", "didnt", "didn't",
        "doesnt", "doesn't", "dont", "don't", "hadnt", "hadn't", "hasnt", "hasn't", "havent", "haven't", "isnt",
        "isn't",
        "mightnt", "mightn't", "mustnt", "mustn't", "neither", "never", "none", "nope", "nor", "not", "nothing",
        "nowhere", "shouldnt", "shouldn't", "wasnt", "wasn't", "werent", "weren't", "without", "wont", "won't",
        "wouldnt", "wouldn't", "rarely", "seldom", "despite", "no", "nobody", "lacks", "lacking",
    ]
    private static let contrasts = ["but", "however"]

    private static let callCentre: [(String, Double)] = [
        ("refund", -0.4), ("cancel", -0.6), ("cancelling", -0.8), ("unacceptable", -2.4), ("unhelpful", -2.0),
        ("overcharged", -2.2), ("hold", 0), ("waiting", -0.6), ("ridiculous", -2.0), ("scam", -2.7), ("rude", -2.0),
        ("resolved", 1.4), ("sorted", 1.2), ("helpful", 1.8), ("flawless", 2.6), ("flawlessly", 2.6), ("crisp", 1.2),
        ("durable", 1.6), ("sturdy", 1.5), ("reliable", 1.9), ("unreliable", -1.9), ("intuitive", 1.6), ("bulky", -1.2),
        ("flimsy", -1.8), ("defective", -2.2), ("faulty", -2.0), ("broke", -1.6), ("breaks", -1.4), ("returned", -0.9),
        ("useless", -2.0), ("crashes", -1.8), ("freezes", -1.5), ("overpriced", -1.7), ("affordable", 1.4),
    ]
}
