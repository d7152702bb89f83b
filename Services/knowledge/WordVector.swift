import Glibc

/// The vectors made here: hashed words and their n-grams. Two texts with the same words, word forms or synonyms point in
/// nearly the same direction; n-grams bring misspelt and compound words near each other. Deterministic, so they are
/// comparable across processes and machines; change anything and `Embedder.builtIn.model` must change too.
enum WordVector {
    static let dimensions = 512
    /// Words have dimensions of their own, so that the many n-grams cannot drown them.
    private static let wordDimensions = 384
    private static let gramWeight: Float = 0.35
    private static let titleWeight: Float = 2

    /// Of a passage. Words count by how often they occur, and every word alike: how rare one is, only the question weighs,
    /// so that no vector has to be made again when more is known (lnc.ltc in Salton's notation).
    static func passage(title: [String], body: [String]) -> [Float] {
        var counts: [String: Float] = [:]
        for word in title { counts[word, default: 0] += titleWeight }
        for word in body { counts[word, default: 0] += 1 }
        var vector = [Float](repeating: 0, count: dimensions)
        // Floating point sums depend on the order.
        for (word, count) in counts.sorted(by: { $0.key < $1.key }) { add(word, 1 + logf(count), to: &vector) }
        return normalized(vector)
    }

    /// Of a question.
    static func question(_ words: [String], _ counts: Counts) -> [Float] {
        var vector = [Float](repeating: 0, count: dimensions)
        for word in Set(words).sorted() { add(word, Float(counts.rarity(of: Words.term(word))), to: &vector) }
        return normalized(vector)
    }

    private static func add(_ word: String, _ weight: Float, to vector: inout [Float]) {
        var hash = FNV()
        hash.add(Words.term(word).utf8)
        put(hash.value, weight, in: 0..<wordDimensions, of: &vector)
        let letters = Array("<\(word)>".utf8)
        let grams = (3...5).reduce(0) { $0 + max(0, letters.count - $1 + 1) }
        guard grams > 0 else { return }
        let share = gramWeight * weight / sqrtf(Float(grams))
        for length in 3...5 where letters.count >= length {
            for start in 0...(letters.count - length) {
                var hash = FNV()
                hash.add(letters[start..<start + length])
                put(hash.value, share, in: wordDimensions..<dimensions, of: &vector)
            }
        }
    }

    /// The sign makes collisions cancel out on average instead of adding up.
    private static func put(_ hash: UInt64, _ weight: Float, in range: Range<Int>, of vector: inout [Float]) {
        let place = range.lowerBound + Int(hash % UInt64(range.count))
        vector[place] += hash >> 63 == 0 ? weight : -weight
    }

    private static func normalized(_ vector: [Float]) -> [Float] {
        let length = sqrtf(vector.reduce(0) { $0 + $1 * $1 })
        return length > 0 ? vector.map { $0 / length } : vector
    }

    /// Fowler, Noll and Vo's hash (FNV-1a, 64 bits), mixed at the end because its high bits are weak for short texts.
    private struct FNV {
        private var state: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(_ bytes: some Sequence<UInt8>) {
            for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }

        var value: UInt64 {
            let mixed = (state ^ (state >> 33)) &* 0xFF51_AFD7_ED55_8CCD
            return mixed ^ (mixed >> 33)
        }
    }
}
