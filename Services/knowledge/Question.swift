import Shared

/// A question as it is looked up.
struct Question: Sendable {
    static let lengthMax = 1000
    static let limitDefault = 5
    static let limitMax = 20

    /// One word to look for in the text.
    struct Word: Sendable {
        var text: String
        /// How much a passage gains that has it.
        var weight: Double
        /// Which of the question's words it stands for, itself or as a synonym.
        var place: Int
    }

    /// A synonym is a guess.
    private static let synonymWeight = 0.5
    /// What people ramble beyond this adds work, not meaning.
    private static let wordsMax = 40

    var words: [Word]
    /// How much all the question's own words weigh.
    var weight: Double

    init(_ content: [String], _ counts: Counts) {
        var seen: Set<String> = []
        words = []
        weight = 0
        for (place, word) in content.filter({ seen.insert($0).inserted }).prefix(Self.wordsMax).enumerated() {
            let rarity = counts.rarity(of: Words.term(word))
            weight += rarity
            words.append(Word(text: word, weight: rarity, place: place))
            for other in Synonyms.others(for: word) where !Words.stopWords.contains(other) {
                words.append(Word(text: other, weight: rarity * Self.synonymWeight, place: place))
            }
        }
    }
}

/// What a search found.
struct FoundPassage: Sendable, JSONWritable {
    var entryID: Int64
    var title: String
    var passage: String
    /// 0…1: see `Schemas.found`.
    var score: Double

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("entry_id", entryID)
            json.field("title", title)
            json.field("passage", passage)
            json.field("score", score)
        }
    }
}
