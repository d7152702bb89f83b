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
    /// Its words that carry meaning, each with all it could be found by, and how much it weighs.
    private var asked: [(terms: Set<String>, weight: Double)] = []
    /// No word weighs more than one that tells a hundred passages apart, or a slip of the tongue would outweigh all that was
    /// understood; and none less than this, or a handful of entries that all have a word would make nothing of it.
    private static let (askedLeast, askedMax) = (2.0, 5.0)

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
        note(words, corrected, counts)
    }

    private mutating func note(_ words: [String], _ corrected: [String], _ counts: Counts) {
        var found = Array(repeating: Set<String>(), count: words.count)
        for spelling in corrected == words ? [words] : [words, corrected] {
            let stems = spelling.map(Words.stem)
            for (at, stem) in stems.enumerated() { found[at].insert(stem) }
            for meaning in Paraphrases.found(in: spelling, stems) {
                for at in meaning.at..<meaning.at + meaning.words { found[at].insert(meaning.name) }
            }
        }
        asked = words.indices.filter { Words.carriesMeaning(words[$0]) }.map { at in
            (found[at], max(Self.askedLeast, min(Self.askedMax, counts.rarity(of: Words.stem(corrected[at])))))
        }
    }

    /// How much of what was asked a passage speaks to, 0…1: the share of the words, rare ones counting more, that it has or
    /// says otherwise. Words that nobody has written count as well, so this tells a question that is answered from one about
    /// something else, where `weight` only knows what the entries know.
    func coverage(of found: Set<String>) -> Double {
        let all = asked.reduce(0) { $0 + $1.weight }
        guard all > 0 else { return 0 }
        return asked.reduce(0) { $1.terms.isDisjoint(with: found) ? $0 : $0 + $1.weight } / all
    }

    private mutating func gain(_ terms: Terms, _ counts: Counts) {
        for stem in terms.stems { raise(stem, to: Self.wordWeight * counts.rarity(of: stem)) }
        for meaning in terms.meanings {
            raise(meaning.name, to: (meaning.words > 1 ? Self.phraseWeight : 1) * counts.rarity(of: meaning.name))
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
    /// 0…1: see `Question.coverage(of:)`.
    var coverage: Double

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
            json.field("coverage", coverage)
        }
    }
}
