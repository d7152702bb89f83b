import HTTP
import Postgres
import Shared
import Testing

@testable import Knowledge

@Suite struct EntryTests {
    @Test func `an entry is added, listed and deleted, and each change is published`() async throws {
        try await Fixture.run { it in
            let added = await it.client.post(
                "/api/v1/knowledge",
                json: [
                    "title": "Opening hours", "content": "We open at nine.", "source": "web", "metadata": ["page": 4],
                ])
            #expect(added.status == 201)
            let entry = try #require(try added.json()["entry"])
            #expect(entry["title"] == "Opening hours" && entry["content"] == "We open at nine.")
            #expect(entry["metadata"] == ["page": 4] && entry["source"] == "web" && entry["business_id"] == nil)
            let id = try #require(entry["id"]?.int64)

            let list = try await it.client.get("/api/v1/knowledge").json()
            #expect(list["entries"]?.array?.map { $0["id"]?.int64 } == [id])
            #expect(list["pagination"]?["total"] == 1)

            let removed = await it.client.delete("/api/v1/knowledge/\(id)")
            #expect(removed.status == 200)
            #expect(try removed.json()["success"] == true)
            #expect(await it.client.delete("/api/v1/knowledge/\(id)").code == "ENTRY_NOT_FOUND")
            #expect(try await it.published() == ["knowledge.entry.added.v1 \(id)", "knowledge.entry.removed.v1 \(id)"])
            let left = try await it.database.queryOne(
                "SELECT (SELECT count(*) FROM passages) + (SELECT coalesce(sum(passages), 0) FROM word_counts) AS n")
            #expect(try left?.decode("n", as: Int.self) == 0)
        }
    }

    @Test func `pages follow each other by number and by cursor`() async throws {
        try await Fixture.run { it in
            var ids: [Int64] = []
            for number in 1...5 { ids.insert(try await it.add("Entry \(number)", "Text \(number)"), at: 0) }
            let second = try await it.client.get("/api/v1/knowledge?page=2&limit=2").json()
            #expect(second["entries"]?.array?.compactMap { $0["id"]?.int64 } == Array(ids[2...3]))
            #expect(second["pagination"]?["total_pages"] == 3)
            var seen: [Int64] = []
            var target = "/api/v1/knowledge?limit=2"
            while true {
                let page = try await it.client.get(target).json()
                seen += page["entries"]?.array?.compactMap { $0["id"]?.int64 } ?? []
                guard let next = page["pagination"]?["next_cursor"]?.string else { break }
                target = "/api/v1/knowledge?limit=2&cursor=\(next)"
            }
            #expect(seen == ids)
        }
    }

    @Test func `search and business narrow the list`() async throws {
        try await Fixture.run { it in
            let business = try await it.addConfig("Shoes")
            try await it.add("Boots", "They are waterproof.", business: business)
            try await it.add("Parking", "Behind the house.")
            func titles(_ query: String) async throws -> [String] {
                try await it.client.get("/api/v1/knowledge?\(query)").json()["entries"]?.array?
                    .compactMap { $0["title"]?.string } ?? []
            }
            #expect(try await titles("search=park") == ["Parking"])
            #expect(try await titles("search=waterproof") == ["Boots"])
            #expect(try await titles("search=100%25") == [])
            #expect(try await titles("business_id=\(business)") == ["Boots"])
            #expect(await it.client.get("/api/v1/knowledge?colour=red").code == "VALIDATION_ERROR")
            #expect(await it.client.get("/api/v1/knowledge?limit=101").code == "VALIDATION_ERROR")
        }
    }

    @Test func `nobody reaches into another workspace`() async throws {
        try await Fixture.run { it in
            let business = try await it.addConfig("Ours")
            let id = try await it.add("Secret", "The code is 4711.")
            #expect(try await it.client.get("/api/v1/knowledge", token: "otto").json()["entries"] == [])
            #expect(await it.client.delete("/api/v1/knowledge/\(id)", token: "otto").code == "ENTRY_NOT_FOUND")
            #expect(await it.client.delete("/api/v1/knowledge/one").code == "ENTRY_NOT_FOUND")
            let search = await it.client.get("/api/v1/knowledge/search?q=secret+code", token: "otto")
            #expect(try search.json()["results"] == [])
            let foreign = await it.client.post(
                "/api/v1/knowledge", json: ["title": "a", "content": "b", "business_id": .string(business)],
                token: "otto")
            #expect(foreign.status == 400)
            #expect(foreign.text.contains("business_id"))
            let named = await it.client.post(
                "/api/v1/knowledge",
                json: ["title": "a", "content": "b", "workspace_id": .string(it.workspace.text)], token: "otto")
            #expect(named.code == "WORKSPACE_NOT_FOUND")
            // An admin sees everything.
            #expect(try await it.client.get("/api/v1/knowledge", token: "admin").json()["entries"]?.array?.count == 1)
        }
    }

    @Test func `viewers read and only managers and owners write`() async throws {
        try await Fixture.run { it in
            let id = try await it.add("Hours", "Nine to five.", token: "max")
            #expect(await it.client.get("/api/v1/knowledge", token: "vera").status == 200)
            #expect(await it.client.delete("/api/v1/knowledge/\(id)", token: "vera").code == "FORBIDDEN")
            let write = await it.client.post("/api/v1/knowledge", json: ["title": "a", "content": "b"], token: "vera")
            #expect(write.code == "FORBIDDEN")
            #expect(await it.client.get("/api/v1/knowledge", token: "stranger").status == 401)
        }
    }

    @Test(
        arguments: [
            ["content": "b"], ["title": "a"], ["title": " ", "content": "b"], ["title": 1, "content": "b"],
            ["title": "a", "content": "b", "metadata": []], ["title": "a", "content": "b", "business_id": "7"],
            ["title": .string(String(repeating: "a", count: 301)), "content": "b"],
            ["title": "a", "content": .string(String(repeating: "a", count: 200_001))],
        ] as [JSON])
    func `a bad entry is refused`(body: JSON) async throws {
        try await Fixture.run { it in
            let response = await it.client.post("/api/v1/knowledge", json: body)
            #expect(response.status == 400)
            #expect(response.code == "VALIDATION_ERROR")
        }
    }
}
