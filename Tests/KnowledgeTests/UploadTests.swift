import Documents
import HTTP
import Postgres
import Runtime
import Shared
import Testing

@testable import Knowledge

@Suite struct UploadTests {
    static let text = Array("# Parking\n\nYou can park behind the building, the whole night too.\n".utf8)

    @Test func `a document is stored, processed, found by its page and deleted without a trace`() async throws {
        try await Fixture.run { it in
            let business = try await it.addConfig("Shop")
            let file = pdf([["Hello", "Nothing here."], ["Parking", "You can park behind the building, all night."]])
            let accepted = await it.upload(file, "docs/House rules.pdf", fields: [("business_id", business)])
            #expect(accepted.status == 202, "\(accepted.text)")
            let answer = try accepted.json()
            #expect(answer["processing_status"] == "processing")
            let entry = try #require(answer["entry"])
            let id = try #require(entry["id"]?.int64)
            #expect(entry["title"] == "House rules" && entry["source"] == "House rules.pdf")
            #expect(entry["source_type"] == "pdf" && entry["status"] == "processing" && entry["progress"] == 0)
            #expect(entry["business_id"]?.string == business && entry["content"] == "")
            #expect(entry["metadata"]?["file_size"]?.int == file.count)
            #expect(try await it.client.get("/api/v1/knowledge/search?q=parking").json()["results"] == [])

            #expect(try await Processing(it.knowledge).processNext())
            #expect(try await Processing(it.knowledge).processNext() == false)
            let ready = try #require(try await it.client.get("/api/v1/knowledge/\(id)").json()["entry"])
            #expect(ready["status"] == "ready" && ready["progress"] == 100)
            #expect(ready["content"]?.string?.contains("# Parking\nYou can park") == true)
            #expect(ready["metadata"]?["pages"] == 2)
            let found = try await it.client.get("/api/v1/knowledge/search?q=where+may+I+park+at+night").json()
            #expect(found["results"]?[0]?["entry_id"]?.int64 == id)
            #expect(found["results"]?[0]?["source"] == "House rules.pdf")
            let passages = try await it.client.get("/api/v1/knowledge/\(id)/passages").json()["passages"]
            #expect(passages?[0]?["page_from"] == 1 && passages?[0]?["page_to"] == 2)
            #expect(try await it.rows("(SELECT count(*) FROM uploads) + (SELECT count(*) FROM upload_chunks)") == 0)

            let updated = "knowledge.entry.updated.v1 \(id)"
            #expect(
                try await it.published().dropFirst() == ["knowledge.entry.added.v1 \(id)", updated, updated])
            #expect(await it.client.delete("/api/v1/knowledge/\(id)").status == 200)
            #expect(try await it.rows(SearchTests.leftovers) == 0)
        }
    }

    @Test func `progress is told while vectors are made`() async throws {
        let seen = Guarded<[Int]>([])
        let embedder = Embedder(
            model: "test", passages: { _, bodies in bodies.map { _ in [1] + Array(repeating: 0, count: 511) } },
            question: { _ in [1] + Array(repeating: 0, count: 511) })
        try await Fixture.run(embedder: embedder) { it in
            let long = (1...20_000).map { "word\($0)" }.joined(separator: " ")
            #expect(await it.upload(Array(long.utf8), "long.txt").status == 202)
            #expect(try await Processing(it.knowledge).processNext())
            for row in try await it.database.query("SELECT payload FROM outbox ORDER BY id") {
                let event = try JSON.parse(Array(row.decode("payload", as: String.self).utf8))
                seen.withLock { $0.append(event["progress"]?.int ?? 100) }
            }
            let steps = seen.withLock { $0 }
            #expect(steps.count > 3 && steps.first == 0 && steps.last == 100, "\(steps)")
            #expect(steps == steps.sorted())
            let ready = try await it.client.get("/api/v1/knowledge?search=word9").json()["entries"]?[0]
            #expect(ready?["status"] == "ready")
        }
    }

    @Test(
        arguments: [
            ([], "x.txt", "is empty"), ([0x7F, 0x45, 0x4C, 0x46, 0, 1], "x.pdf", "no PDF"),
            (Array("%PDF-1.7 broken".utf8), "x.pdf", "broken PDF"),
        ] as [([UInt8], String, String)])
    func `a file that cannot be read is refused and leaves nothing`(
        file: [UInt8], name: String, reason: String
    ) async throws {
        try await Fixture.run { it in
            let refused = await it.upload(file, name)
            #expect(refused.status == 400 && refused.code == "VALIDATION_ERROR")
            #expect(refused.text.contains(reason), "\(refused.text)")
            let (left, published) = (try await it.rows(SearchTests.leftovers), try await it.published())
            #expect(left == 0 && published == [])
        }
    }

    @Test func `a file that fails later says why and keeps nothing of the file`() async throws {
        let calls = Guarded(0)
        let parser = Parser { file, name, pages in
            if pages == nil { throw Unreadable("is broken on page 11") }
            calls.withLock { $0 += 1 }
            return try Documents.parse(file, name: name)
        }
        try await Fixture.run(parser: parser) { it in
            let id = try #require(try await it.upload(Self.text, "a.md").json()["entry"]?["id"]?.int64)
            #expect(try await Processing(it.knowledge).processNext())
            let failed = try #require(try await it.client.get("/api/v1/knowledge/\(id)").json()["entry"])
            #expect(failed["status"] == "failed" && failed["error"] == "The file is broken on page 11.")
            #expect(try await it.rows("(SELECT count(*) FROM uploads) + (SELECT count(*) FROM upload_chunks)") == 0)
            #expect(try await it.published() == ["knowledge.entry.added.v1 \(id)", "knowledge.entry.updated.v1 \(id)"])
            #expect(calls.withLock { $0 } == 1)
        }
    }

    @Test func `what a crash left is taken up, but not for ever`() async throws {
        try await Fixture.run { it in
            let id = try #require(try await it.upload(Self.text, "a.md").json()["entry"]?["id"]?.int64)
            // Taken by a program that is no more.
            #expect(try await UploadStore.claim(for: 60, it.database)?.attempts == 1)
            #expect(try await Processing(it.knowledge).processNext() == false)
            try await it.database.execute("UPDATE uploads SET held_until = now() - interval '1 second'")
            #expect(try await Processing(it.knowledge).processNext())
            #expect(try await it.client.get("/api/v1/knowledge/\(id)").json()["entry"]?["status"] == "ready")

            let other = try #require(try await it.upload(Self.text, "b.md").json()["entry"]?["id"]?.int64)
            try await it.database.execute("UPDATE uploads SET attempts = 3")
            #expect(try await Processing(it.knowledge).processNext())
            let failed = try await it.client.get("/api/v1/knowledge/\(other)").json()["entry"]
            #expect(failed?["status"] == "failed" && failed?["error"]?.string?.contains("3 attempts") == true)
        }
    }

    @Test func `a failure that is not the file's does not count against it`() async throws {
        struct Away: Error {}
        let parser = Parser { file, name, pages in
            if pages == nil { throw Away() }
            return try Documents.parse(file, name: name)
        }
        try await Fixture.run(parser: parser) { it in
            #expect(await it.upload(Self.text, "a.md").status == 202)
            for _ in 1...4 {
                await #expect(throws: Away.self) { try await Processing(it.knowledge).processNext() }
                try await it.database.execute("UPDATE uploads SET held_until = now() - interval '1 second'")
            }
            #expect(try await it.rows("(SELECT attempts FROM uploads)") == 0)
        }
    }

    @Test func `an entry that is deleted while it is processed stays deleted`() async throws {
        let gate = Guarded<Fixture?>(nil)
        let parser = Parser { file, name, pages in
            if pages == nil, let it = gate.withLock({ $0 }) {
                let id = try await it.client.get("/api/v1/knowledge").json()["entries"]?[0]?["id"]?.int64 ?? 0
                #expect(await it.client.delete("/api/v1/knowledge/\(id)").status == 200)
            }
            return try Documents.parse(file, name: name)
        }
        try await Fixture.run(parser: parser) { it in
            gate.withLock { $0 = it }
            #expect(await it.upload(Self.text, "a.md").status == 202)
            let didProcess = try await Processing(it.knowledge).processNext()
            let left = try await it.rows(SearchTests.leftovers)
            #expect(didProcess && left == 0)
        }
    }

    @Test func `fields, sizes and rights are checked`() async throws {
        try await Fixture.run(policy: Knowledge.Policy(uploadMax: 1000)) { it in
            let business = try await it.addConfig("Ours")
            #expect(await it.upload(Array(repeating: 65, count: 1001), "a.txt").status == 413)
            #expect(await it.upload(Array(repeating: 65, count: 200_000), "a.txt").status == 413)
            #expect(await it.upload(Self.text, "a.md", token: "vera").code == "FORBIDDEN")
            #expect(await it.upload(Self.text, "a.md", token: "stranger").status == 401)
            let foreign = await it.upload(Self.text, "a.md", fields: [("business_id", business)], token: "otto")
            #expect(foreign.status == 400 && foreign.text.contains("business_id"))
            let bad = await it.upload(Self.text, "a.md", fields: [("business_id", "7")])
            #expect(bad.status == 400 && bad.text.contains("business_id"))
            let long = await it.upload(Self.text, "a.md", fields: [("title", String(repeating: "x", count: 301))])
            #expect(long.status == 400 && long.text.contains("title"))
            #expect(await it.client.post("/api/v1/knowledge/upload", json: [:]).status == 415)
            let named = try await it.upload(Self.text, "../../etc/a.md", fields: [("title", "Mine")]).json()["entry"]
            #expect(named?["title"] == "Mine" && named?["source"] == "a.md")
            let untitled = try await it.upload(Self.text, "a.md", fields: [("title", "")]).json()["entry"]
            #expect(untitled?["title"] == "Parking")
        }
    }
}
