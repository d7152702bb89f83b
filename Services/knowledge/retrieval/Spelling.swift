/// What a speech recognizer or a hurried hand meant: a word nobody knows is taken for the nearest known one.
enum Spelling {
    /// Short words have too many neighbours.
    private static let lengthLeast = 4
    /// From this length on two slips are forgiven.
    private static let longFrom = 8

    /// A word as others are compared with it.
    struct Known: Sendable {
        let word: String
        let letters: [UInt8]
        /// Which letters it has.
        let kinds: UInt32

        init(_ word: String) {
            self.word = word
            letters = Array(word.utf8)
            kinds = Spelling.kinds(letters)
        }
    }

    /// One bit for each letter, and one for all that is no letter.
    private static func kinds(_ letters: [UInt8]) -> UInt32 {
        letters.reduce(0) { $0 | 1 << ((0x61...0x7A).contains($1) ? UInt32($1) - 0x61 : 26) }
    }

    /// The stem of the word that was meant; nil where the word is known, or nothing is near.
    static func corrected(_ word: String, _ counts: Counts) -> String? {
        let stem = Words.stem(word)
        let letters = Array(stem.utf8)
        guard letters.count >= lengthLeast, letters.allSatisfy({ (0x61...0x7A).contains($0) }), counts.passages > 0,
            !Words.stopWords.contains(word), !counts.knows(stem), !Paraphrases.stems.contains(stem)
        else { return nil }
        let slipsMax = letters.count < longFrom ? 1 : 2
        let kinds = kinds(letters)
        var best: (slips: Int, passages: Int64, word: String)?
        for known in counts.vocabulary(letters[0]) {
            let other = known.letters
            // A slip takes one letter away and brings another at most. This alone passes over nearly all, of which a large
            // workspace knows thousands with each letter.
            guard other.count >= lengthLeast, abs(other.count - letters.count) <= slipsMax,
                (kinds ^ known.kinds).nonzeroBitCount <= 2 * slipsMax
            else { continue }
            let slips = distance(letters, other)
            guard slips <= slipsMax else { continue }
            let passages = counts.words[known.word] ?? 0
            if let best, (best.slips, -best.passages, best.word) <= (slips, -passages, known.word) { continue }
            best = (slips, passages, known.word)
        }
        return best?.word
    }

    /// Letters that are wrong, missing, too many or in the wrong order (optimal string alignment).
    static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            row.reserveCapacity(b.count + 1)
            for j in b.indices {
                var least = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, beforeLast[j - 1] + 1) }
                row.append(least)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
