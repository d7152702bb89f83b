import Glibc

/// What a text is looked up by: the stems of its words, and what their phrases mean (`Paraphrases`).
struct Terms: Sendable {
    /// Stored with each entry, whose passages are indexed again when it is another.
    static let version = 1

    /// With repetitions.
    let stems: [String]
    let meanings: [Paraphrases.Meaning]

    init(_ text: String) { self.init(Words.tokens(of: text)) }

    init(_ words: [String]) {
        let all = words.map(Words.stem)
        stems = zip(words, all).filter { Words.carriesMeaning($0.0) }.map(\.1)
        meanings = Paraphrases.found(in: words, all)
    }

    var all: [String] { stems + meanings.map(\.name) }
}

/// How much each term says about a passage: how often it occurs in its fields, the fields weighted and their lengths
/// evened out (BM25F: Robertson, Zaragoza and Taylor 2004). Saturation and rarity come in when a question is asked.
/// The figures are measured: docs/retrieval.md.
enum FieldWeights {
    private struct Field {
        let weight: Double
        /// 0: long fields are worth as much as short ones; 1: half as much when twice as long.
        let evening: Double
        /// Terms of a usual one. Fixed, so that no weight changes when other entries come and go.
        let usual: Double
    }

    private static let title = Field(weight: 3, evening: 0.3, usual: 10)
    /// The first paragraph of an entry, or the headings above a passage of a document: what it is about.
    private static let lead = Field(weight: 1, evening: 0.3, usual: 30)
    private static let body = Field(weight: 0.3, evening: 0.5, usual: 150)
    /// Where half of a term's worth is reached.
    static let saturation = 2.0

    static func of(title: Terms, lead: Terms, body: Terms) -> [String: Double] {
        var weights: [String: Double] = [:]
        for (terms, field) in [(title.all, Self.title), (lead.all, Self.lead), (body.all, Self.body)] {
            let length = 1 - field.evening + field.evening * Double(terms.count) / field.usual
            for term in terms { weights[term, default: 0] += field.weight / length }
        }
        return weights
    }
}
