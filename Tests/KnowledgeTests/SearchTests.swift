import HTTP
import Postgres
import Runtime
import Shared
import Synchronization
import Testing

@testable import Knowledge

@Suite struct SearchTests {
    @Test func `the passage that answers is found by other words than its own`() async throws {
        try await Fixture.run { it in
            try await it.add("Refunds", "Money is paid back within ten days. Ask for the order number.")
            try await it.add("Parking", "You can park behind the building.")
            let right = try await it.client.get("/api/v1/knowledge/search?q=I+want+to+be+reimbursed&limit=1").json()
            let result = try #require(right["results"]?[0])
            #expect(result["title"] == "Refunds")
            #expect(result["passage"]?.string?.contains("ten days") == true)
            let score = try #require(result["score"]?.double)
            #expect(score > 0 && score <= 1)
            // A slip of the tongue of the speech recognizer.
            let close = try await it.client.get("/api/v1/knowledge/search?q=parkin").json()
            #expect(close["results"]?[0]?["title"] == "Parking")
            #expect(try await it.client.get("/api/v1/knowledge/search?q=%3F!").json()["results"] == [])
            #expect(await it.client.get("/api/v1/knowledge/search").code == "VALIDATION_ERROR")
        }
    }

    @Test func `what was just added slows no search down`() async throws {
        try await Fixture.run { fixture in
            for number in 0..<3 { try await fixture.add("Entry \(number)", "Parcels leave the house at noon.") }
            let row = try await fixture.database.queryOne("SELECT gin_clean_pending_list('passages_words') AS pages")
            #expect(try row?.decode("pages", as: Int64.self) == 0, "no list for every search to read")
        }
    }

    @Test func `telephony asks for one workspace and one business`() async throws {
        try await Fixture.run { it in
            let shoes = try await it.addConfig("Shoes")
            let hats = try await it.addConfig("Hats")
            try await it.add("Shoe returns", "Return shoes within a month.", business: shoes)
            try await it.add("Hat returns", "Hats cannot be returned.", business: hats)
            try await it.add("Returns desk", "The returns desk is on the first floor.")
            try await it.add("Returns", "Other people's returns.", token: "otto")
            func titles(_ more: String) async throws -> Set<String> {
                let target = "/internal/search?workspace_id=\(it.workspace.text)&q=returns&limit=5\(more)"
                let found = try await it.client.send(.get, target).json()["results"]?.array ?? []
                return Set(found.compactMap { $0["title"]?.string })
            }
            #expect(try await titles("&business_id=\(shoes)") == ["Shoe returns", "Returns desk"])
            #expect(try await titles("") == ["Shoe returns", "Hat returns", "Returns desk"])
        }
    }

    @Test func `without vectors the words alone are searched`() async throws {
        struct Down: Error {}
        let broken = Embedder(
            model: "broken", passages: { _, _ in throw Down() }, question: { _, _, _ in throw Down() })
        try await Fixture.run(embedder: broken) { it in
            try await it.add("Parking", "You can park behind the building.")
            let found = try await it.client.get("/api/v1/knowledge/search?q=where+can+I+park").json()
            #expect(found["results"]?[0]?["title"] == "Parking")
            // Once the endpoint is back, or another is used, the vectors are made.
            #expect(try await Reindexing(database: it.database, embedder: .builtIn).run() == 1)
            #expect(try await Reindexing(database: it.database, embedder: .builtIn).run() == 0)
            let row = try await it.database.queryOne("SELECT model FROM passages WHERE embedding IS NOT NULL")
            #expect(try row?.decode("model", as: String.self) == Embedder.builtIn.model)
        }
    }

    @Test func `a remote endpoint's answer is read by index and checked`() throws {
        func vector(_ first: Double) -> JSON { .array([.double(first)] + Array(repeating: .double(0), count: 511)) }
        let answer: JSON = [
            "data": [["index": 1, "embedding": vector(2)], ["index": 0, "embedding": vector(1)]]
        ]
        #expect(try Embedder.read(answer, count: 2).map { $0[0] } == [1, 2])
        #expect(throws: Embedder.Refused.self) { try Embedder.read(answer, count: 3) }
        #expect(throws: Embedder.Refused.self) { try Embedder.read(["data": [["embedding": [1, 2]]]], count: 1) }
    }
}

@Suite struct WordsTests {
    @Test func `a text is reduced to the words that carry meaning`() {
        #expect(Words.content(of: "Hi, I'd like to know: where's the customer's REFUND?") == ["customer", "refund"])
        #expect(Words.content(of: "a | b & !c:* 'x' \\") == [])
        #expect(Words.content(of: "Überweisung 4711") == ["überweisung", "4711"])
    }

    @Test(arguments: [
        ("deliveries", "delivery"), ("cancelling", "cancelled"), ("charges", "charging"), ("shipped", "shipping"),
        ("refunds", "reimburse"), ("boxes", "box"), ("colour", "colors"),
    ])
    func `forms of a word and synonyms have one term`(a: String, b: String) {
        #expect(Words.term(a) == Words.term(b))
    }

    @Test func `different words stay different`() {
        #expect(Words.term("refund") != Words.term("return"))
        #expect(Words.term("bus") == "bus")
        #expect(Words.term("addresses") != Words.term("dress"))
    }

    @Test func `long texts are cut into passages with a sentence in common`() throws {
        let sentences = (1...60).map { "Sentence number \($0) has a few words in it." }
        let passages = Passages.split(sentences.joined(separator: " "))
        #expect(passages.count > 4)
        #expect(passages.allSatisfy { $0.split(whereSeparator: \.isWhitespace).count <= Passages.wordsMax })
        for number in 1...60 { #expect(passages.contains { $0.contains("number \(number) has") }) }
        for (passage, next) in zip(passages, passages.dropFirst()) {
            let last = try #require(passage.split(separator: ".").last)
            #expect(next.hasPrefix(last.drop { $0 == " " }), "\(next)")
        }
        #expect(Passages.split(" \n \n") == [])
        #expect(
            Passages.split(String(repeating: "word ", count: 500)).allSatisfy { $0.split(separator: " ").count <= 120 })
    }

    @Test func `a heading opens a passage`() {
        let filler = String(repeating: "some words of the text here ", count: 9)
        let passages = Passages.split("# One\n\(filler)\n# Two\n\(filler)")
        #expect(passages.count == 2)
        #expect(passages.last?.hasPrefix("# Two") == true)
    }

    @Test func `vectors are unit vectors and the same on every machine`() {
        let vector = WordVector.passage(title: ["refund"], body: ["order", "number", "order"])
        #expect(vector == WordVector.passage(title: ["refund"], body: ["number", "order", "order"]))
        #expect(vector.count == 512)
        #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        // Stored vectors depend on it: another value needs another model name.
        let known = WordVector.question(["refund"], Counts())
        let strongest = known.indices.max { abs(known[$0]) < abs(known[$1]) }
        #expect(strongest == 282)
        func likeness(_ a: [String], _ b: [String]) -> Float {
            zip(WordVector.question(a, Counts()), WordVector.passage(title: [], body: b)).reduce(0) { $0 + $1.0 * $1.1 }
        }
        #expect(likeness(["passwrod"], ["password"]) > likeness(["passwrod"], ["delivery"]))
        #expect(likeness(["reimburse"], ["refund"]) > 0.7)
    }
}
