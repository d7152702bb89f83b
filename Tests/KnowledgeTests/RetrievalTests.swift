import Glibc
import HTTP
import Shared
import Testing

@testable import Knowledge

/// How well questions as callers ask them find the entry that answers, over a call centre's own guidelines.
@Suite struct RetrievalTests {
    static let queries: [JSON] = read(here + "/queries.json")?.array ?? []
    /// Not part of the repository; `KNOWLEDGE_DATA` names it elsewhere.
    static let data: [JSON] = {
        let path = getenv("KNOWLEDGE_DATA").map { String(cString: $0) } ?? here + "/../../../shared/data/knowledge.json"
        return read(path)?.array ?? []
    }()

    /// `plain` says it nearly as the guidelines do. The others tell the situation in other words; the search was tuned with
    /// `tuned`, and `held` was only looked at.
    @Test(.enabled(if: !data.isEmpty, "the guidelines are not on this machine"))
    func `questions find their entry`() async throws {
        #expect(Self.queries.filter { $0["set"] == "held" }.count >= 50)
        try await Fixture.run { it in
            for item in Self.data { try await it.add(item["title"]?.string ?? "", item["content"]?.string ?? "") }
            for set in ["plain", "tuned", "held"] {
                let queries = Self.queries.filter { $0["set"]?.string == set }
                let (first, five, reciprocal) = try await it.measure(queries)
                let figures = "\(set): recall@1 \(first), recall@5 \(five), MRR \(reciprocal)"
                print(figures)
                #expect(first >= 0.45 && five >= 0.8 && reciprocal >= 0.58, "\(figures)")
            }
        }
    }

    private static let here: String = {
        let path: String = #filePath
        return String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
    }()

    private static func read(_ path: String) -> JSON? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return try? JSON.parse(bytes)
    }
}

extension Fixture {
    fileprivate func measure(_ queries: [JSON]) async throws -> (first: Double, five: Double, reciprocal: Double) {
        var (first, five, reciprocal) = (0.0, 0.0, 0.0)
        for query in queries {
            let text = try #require(query["q"]?.string)
            let wanted = Set(query["titles"]?.array?.compactMap(\.string) ?? [])
            let found = try await knowledge.search(
                text, in: .only([workspace]), counted: workspace, business: nil, limit: 20)
            guard let place = found.firstIndex(where: { wanted.contains($0.title) }) else { continue }
            if place == 0 { first += 1 }
            if place < 5 { five += 1 }
            reciprocal += 1 / Double(place + 1)
        }
        let count = Double(max(queries.count, 1))
        return (first / count, five / count, reciprocal / count)
    }
}
