import Documents
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
            let close = try await it.client.get("/api/v1/knowledge/search?q=buidling").json()
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

    @Test func `without vectors the words alone are searched, and vectors are made later`() async throws {
        struct Down: Error {}
        let broken = Embedder(
            model: "broken", passages: { _, _ in throw Down() }, question: { _ in throw Down() })
        let mended = Embedder(
            model: "mended", passages: { _, bodies in bodies.map { _ in Self.vector(1) } },
            question: { _ in Self.vector(1) })
        try await Fixture.run(embedder: broken) { it in
            try await it.add("Parking", "You can park behind the building.")
            let found = try await it.client.get("/api/v1/knowledge/search?q=where+can+I+park").json()
            #expect(found["results"]?[0]?["title"] == "Parking")
            #expect(try await Reindexing(database: it.database, embedder: mended).run() == 1)
            #expect(try await Reindexing(database: it.database, embedder: mended).run() == 0)
            let row = try await it.database.queryOne("SELECT model FROM passages WHERE embedding IS NOT NULL")
            #expect(try row?.decode("model", as: String.self) == "mended")
        }
    }

    private static func vector(_ first: Float) -> [Float] { [first] + Array(repeating: 0, count: 511) }

    @Test func `with vectors what is alike is found though no word is`() async throws {
        let both = Embedder(
            model: "test",
            passages: { title, bodies in bodies.map { _ in Self.vector(title == "Parking" ? 1 : -1) } },
            question: { _ in Self.vector(1) })
        try await Fixture.run(embedder: both) { it in
            try await it.add("Parking", "You can park behind the building.")
            try await it.add("Lunch", "Served at noon.")
            let found = try await it.client.get("/api/v1/knowledge/search?q=zzgl").json()
            #expect(found["results"]?.array?.map { $0["title"] } == ["Parking"])
            // Words and vectors disagree: both are found, and the one with both is first.
            let fused = try await it.client.get("/api/v1/knowledge/search?q=park+lunch").json()
            #expect(fused["results"]?.array?.map { $0["title"] } == ["Parking", "Lunch"])
        }
    }

    @Test func `a result names the passage, and the passage can be read`() async throws {
        try await Fixture.run { it in
            let text = (1...60).map { "Sentence number \($0) tells about topic \($0 * 1000)." }.joined(separator: " ")
            let entry = try await it.add("Topics", text)
            let result = try #require(
                try await it.client.get("/api/v1/knowledge/search?q=topic+57000").json()["results"]?[0])
            let (id, position) = (try #require(result["passage_id"]), try #require(result["position"]?.int))
            #expect(result["passage"]?.string?.contains("topic 57000") == true && position > 0)
            let passages =
                try await it.client.get("/api/v1/knowledge/\(entry)/passages").json()["passages"]?.array ?? []
            #expect(passages[position]["id"] == id)
            #expect(passages[position]["passage"] == result["passage"])
            #expect(passages.map { $0["position"]?.int } == Array(0..<passages.count))
            #expect(await it.client.get("/api/v1/knowledge/\(entry)/passages", token: "otto").code == "ENTRY_NOT_FOUND")
        }
    }

    @Test func `what older rules have indexed is indexed again, once, and counted right`() async throws {
        try await Fixture.run { it in
            let entry = try await it.add("Parking", "You can park behind the building.")
            try await it.database.execute("UPDATE entries SET terms_version = 0")
            try await it.database.execute("DELETE FROM postings")
            #expect(try await it.knowledge.renewNext())
            #expect(try await it.knowledge.renewNext() == false)
            #expect(
                try await it.client.get("/api/v1/knowledge/search?q=parking").json()["results"]?[0]?["title"]
                    == "Parking")
            #expect(try await it.rows("(SELECT passages FROM word_counts WHERE word = 'park')") == 1)
            _ = await it.client.delete("/api/v1/knowledge/\(entry)")
            #expect(try await it.rows(Self.leftovers) == 0)
        }
    }

    static let leftovers: Query = """
        (SELECT count(*) FROM entries) + (SELECT count(*) FROM passages) + (SELECT count(*) FROM postings)
            + (SELECT coalesce(sum(passages), 0) FROM word_counts) + (SELECT count(*) FROM uploads)
            + (SELECT count(*) FROM upload_chunks)
        """

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

    @Test func `a negation is a word of its own`() {
        #expect(
            Words.tokens(of: "I can\u{2019}t, don't and won't; it's Joe's") == [
                "i", "can", "not", "do", "not", "and", "will", "not", "it", "joe",
            ])
    }

    @Test(arguments: [
        ("deliveries", "delivery"), ("cancelling", "cancelled"), ("charges", "charging"), ("shipped", "shipping"),
        ("boxes", "box"),
    ])
    func `forms of a word have one stem`(a: String, b: String) {
        #expect(Words.stem(a) == Words.stem(b))
    }

    @Test func `different words stay different`() {
        #expect(Words.stem("refund") != Words.stem("return"))
        #expect(Words.stem("bus") == "bus")
        #expect(Words.stem("addresses") != Words.stem("dress"))
    }

    @Test(arguments: [
        ("I want my money back", "@refund"), ("it never turned up", "@unreceived"), ("I can't sign in", "@access"),
        ("I have moved house", "@address"), ("the colour is wrong", "@color"), ("you have sold out of it", "@stock"),
    ])
    func `a phrase has the meaning of its line`(phrase: String, meaning: String) {
        #expect(Terms(phrase).meanings.contains { $0.name == meaning })
    }

    @Test func `a stop word alone means nothing`() {
        #expect(Terms("up and down, again and again").meanings.isEmpty)
    }

    @Test func `a word nobody knows is taken for the nearest known one`() {
        let counts = Counts(["": 3, "delivery": 2, "park": 1])
        #expect(Spelling.corrected("recieve", Counts(["": 1, "receiv": 1])) == "receiv")
        #expect(Spelling.corrected("parkk", counts) == "park")
        #expect(Spelling.corrected("park", counts) == nil)
        #expect(Spelling.corrected("zebra", counts) == nil)
        #expect(Spelling.corrected("4711", counts) == nil)
        #expect(Spelling.distance(Array("abcd".utf8), Array("abdc".utf8)) == 1)
        #expect(Spelling.distance(Array("abc".utf8), Array("abcd".utf8)) == 1)
        #expect(Spelling.distance(Array("".utf8), Array("ab".utf8)) == 2)
    }

    @Test func `the title weighs more than the lead, and the lead more than the body`() {
        let weights = FieldWeights.of(title: Terms("alpha"), lead: Terms("bravo words"), body: Terms("charlie delta"))
        let (title, lead, body) = (weights["alpha"] ?? 0, weights["bravo"] ?? 0, weights["delta"] ?? 0)
        #expect(title > body && lead > body && body > 0)
    }

    @Test func `long texts are cut into passages with a sentence in common`() throws {
        let sentences = (1...60).map { "Sentence number \($0) has a few words in it." }
        let passages = Passages.split(sentences.joined(separator: " "))
        #expect(passages.count > 4)
        #expect(passages.allSatisfy { $0.body.split(whereSeparator: \.isWhitespace).count <= Passages.wordsMax })
        for number in 1...60 { #expect(passages.contains { $0.body.contains("number \(number) has") }) }
        for (passage, next) in zip(passages, passages.dropFirst()) {
            let last = try #require(passage.body.split(separator: ".").last)
            #expect(next.body.hasPrefix(last.drop { $0 == " " }), "\(next)")
        }
        #expect(Passages.split(" \n \n") == [])
        #expect(
            Passages.split(String(repeating: "word ", count: 500)).allSatisfy {
                $0.body.split(separator: " ").count <= 120
            })
    }

    @Test func `a heading opens a passage`() {
        let filler = String(repeating: "some words of the text here ", count: 9)
        let passages = Passages.split("# One\n\(filler)\n# Two\n\(filler)")
        #expect(passages.count == 2)
        #expect(passages.last?.body.hasPrefix("# Two") == true)
    }

    @Test func `a document's passages know their headings and pages`() {
        let filler = String(repeating: "some words of the text here ", count: 9)
        let passages = Passages.split([
            Block(.heading, "Manual", level: 1, page: 1), Block(.heading, "Returns", level: 2, page: 1),
            Block(.paragraph, filler, page: 1), Block(.paragraph, filler, page: 2),
            Block(.heading, "Money", level: 2, page: 3), Block(.item, filler, page: 3),
        ])
        #expect(passages.map(\.heading) == ["Manual › Returns", "Manual › Money"])
        #expect(passages.map(\.pageFrom) == [1, 3])
        #expect(passages.map(\.pageTo) == [2, 3])
    }
}
