import Shared

/// A question as it is looked up.
struct Question: Sendable {
    static let lengthMax = 1000
    static let limitDefault = 5
    static let limitMax = 20

    /// What people ramble beyond this adds work, not meaning.
    private static let wordsMax = 80
    /// A word is one way to say something; what it means counts more, and a phrase of several words is no accident.
    private static let wordWeight = 0.75
    private static let phraseWeight = 2.0

    /// Term → how much a passage gains that has it.
    private(set) var gains: [String: Double] = [:]
    /// How much all of them weigh that any passage has.
    private(set) var weight = 0.0

    init(_ text: String, _ counts: Counts) {
        let words = Array(Words.tokens(of: text).prefix(Self.wordsMax))
        var terms = Terms(words)
        gain(terms, counts)
        let corrected = words.map { Spelling.corrected($0, counts) ?? $0 }
        if corrected != words {
            terms = Terms(corrected)
            gain(terms, counts)
        }
        weight = gains.reduce(0) { sum, term in counts.knows(term.key) ? sum + term.value : sum }
        if weight == 0 { weight = gains.values.reduce(0, +) }
    }

    private mutating func gain(_ terms: Terms, _ counts: Counts) {
        for stem in terms.stems { raise(stem, to: Self.wordWeight * counts.rarity(of: stem)) }
        for (name, words) in terms.meanings {
            raise(name, to: (words > 1 ? Self.phraseWeight : 1) * counts.rarity(of: name))
        }
    }

    private mutating func raise(_ term: String, to gain: Double) { gains[term] = max(gains[term] ?? 0, gain) }
}

/// What a search found.
struct FoundPassage: Sendable, JSONWritable {
    var entryID: Int64
    var passageID: Int64
    /// From 0 within the entry.
    var position: Int
    var title: String
    var passage: String
    /// What stands above it in a document.
    var heading: String?
    var source: String?
    /// Of the document, from 1, where it tells.
    var page: Int?
    /// 0…1: see `Schemas.found`.
    var score: Double

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("entry_id", entryID)
            json.field("passage_id", passageID)
            json.field("position", position)
            json.field("title", title)
            json.field("passage", passage)
            json.field("heading", ifPresent: heading)
            json.field("source", ifPresent: source)
            json.field("page", ifPresent: page)
            json.field("score", score)
        }
    }
}
