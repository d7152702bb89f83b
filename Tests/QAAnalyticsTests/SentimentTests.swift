import Glibc
import Testing

@testable import QAAnalytics

/// A few words of the real lexicon's kind; the real one is unpacked at build time and tested when it is there.
private let words = """
    good\t1.9
    great\t3.1
    bad\t-2.5
    love\t3.2
    terrible\t-2.1
    :)\t2.0
    """

@Suite struct SentimentTests {
    private func sentiment() throws -> Sentiment { Sentiment(lexicon: try Lexicon(text: Array(words.utf8))) }

    @Test(arguments: [
        ("it is good", "it is very good"), ("it is slightly good", "it is good"), ("it is good", "it is good!!!"),
        ("it is good", "it is GOOD"), ("the food was good but the room was bad", "the food was good"),
        ("it is not good", "it is good"), ("terrible", "bad but good"), ("nothing at all", "great"), ("bad!", "bad"),
        ("never ever good", "hello"),
    ])
    func `the second sentence feels better than the first`(_ worse: String, _ better: String) throws {
        let sentiment = try sentiment()
        #expect(sentiment.score(worse) < sentiment.score(better))
    }

    @Test(arguments: [
        "", "   ", "...", "the table stands there", "\u{0}\u{FFFD}", String(repeating: "x", count: 100_000),
    ])
    func `text without a rated word is neutral`(_ text: String) throws {
        #expect(try sentiment().score(text) == 0)
    }

    @Test func `an emoticon counts as it stands and capitals alone are no emphasis`() throws {
        let sentiment = try sentiment()
        #expect(sentiment.score("see you :)") > 0)
        #expect(sentiment.score("GOOD") == sentiment.score("good"))
    }

    @Test func `scores stay between minus one and one however long the rant`() throws {
        let rant = String(repeating: "terrible bad ", count: 500)
        #expect((-1...(-0.99)).contains(try sentiment().score(rant)))
    }

    @Test func `a lexicon line without a number is refused with its number`() {
        #expect(throws: Lexicon.Malformed.self) { try Lexicon(text: Array("good\t1.9\nbad".utf8)) }
    }

    @Test func `on the rated sentences the scorer agrees with people at least as well as promised`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        guard let lexicon = Files.read("/\(root)/.local/share/sentiment/vader_lexicon.txt"),
            let rated = Files.read("/\(root)/../shared/data/sentiment-dev.tsv")
        else { return }
        let sentiment = Sentiment(lexicon: try Lexicon(text: lexicon))
        var scores: [Double] = []
        var ratings: [Double] = []
        for line in rated.split(separator: 0x0A) {
            let fields = line.split(separator: 0x09, maxSplits: 2)
            guard fields.count == 3, let rating = Double(String(decoding: fields[1], as: UTF8.self)) else { continue }
            scores.append(sentiment.score(String(decoding: fields[2], as: UTF8.self)))
            ratings.append(rating)
        }
        #expect(scores.count > 3_000)
        #expect(correlation(scores, ratings) >= 0.59)
    }

    private func correlation(_ a: [Double], _ b: [Double]) -> Double {
        let n = Double(a.count)
        let (meanA, meanB) = (a.reduce(0, +) / n, b.reduce(0, +) / n)
        var (both, ofA, ofB) = (0.0, 0.0, 0.0)
        for (x, y) in zip(a, b) {
            both += (x - meanA) * (y - meanB)
            ofA += (x - meanA) * (x - meanA)
            ofB += (y - meanB) * (y - meanB)
        }
        return both / (ofA * ofB).squareRoot()
    }
}
