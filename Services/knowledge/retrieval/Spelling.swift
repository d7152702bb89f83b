/// What a speech recognizer or a hurried hand meant: a word nobody knows is taken for the nearest known one.
enum Spelling {
    /// Short words have too many neighbours.
    private static let lengthLeast = 4
    /// From this length on two slips are forgiven.
    private static let longFrom = 8

    /// The stem of the word that was meant; nil where the word is known, or nothing is near.
    static func corrected(_ word: String, _ counts: Counts) -> String? {
        let stem = Words.stem(word)
        let letters = Array(stem.utf8)
        guard letters.count >= lengthLeast, letters.allSatisfy({ (0x61...0x7A).contains($0) }), counts.passages > 0,
            !Words.stopWords.contains(word), !counts.knows(stem), !Paraphrases.stems.contains(stem)
        else { return nil }
        let slipsMax = letters.count < longFrom ? 1 : 2
        var best: (slips: Int, passages: Int64, word: String)?
        for known in counts.vocabulary(letters[0]) {
            let other = Array(known.utf8)
            guard other.count >= lengthLeast, abs(other.count - letters.count) <= slipsMax else { continue }
            let slips = distance(letters, other)
            guard slips <= slipsMax else { continue }
            let passages = counts.words[known] ?? 0
            if let best, (best.slips, -best.passages, best.word) <= (slips, -passages, known) { continue }
            best = (slips, passages, known)
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
