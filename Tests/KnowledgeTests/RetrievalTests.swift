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

    @Test(.enabled(if: !data.isEmpty, "the guidelines are not on this machine"))
    func `questions find their entry`() async throws {
        #expect(Self.queries.count >= 40)
        try await Fixture.run { it in
            for item in Self.data {
                let (title, content) = (item["title"]?.string ?? "", item["content"]?.string ?? "")
                try await it.add(title, content)
            }
            var (first, five, reciprocal) = (0.0, 0.0, 0.0)
            var missed: [String] = []
            let began = ContinuousClock.now
            for query in Self.queries {
                let text = try #require(query["q"]?.string)
                let wanted = Set(query["titles"]?.array?.compactMap(\.string) ?? [])
                #expect(wanted.isSubset(of: Set(Self.data.compactMap { $0["title"]?.string })), "\(wanted)")
                let found = try await it.knowledge.search(
                    text, in: .only([it.workspace]), counted: it.workspace, business: nil, limit: 20)
                let rank = found.firstIndex { wanted.contains($0.title) }.map { $0 + 1 }
                if rank == 1 { first += 1 }
                if let rank, rank <= 5 { five += 1 }
                if let rank { reciprocal += 1 / Double(rank) }
                if rank != 1 { missed.append("\(rank ?? 0): \(text) -> \(found.first?.title ?? "nothing")") }
            }
            let count = Double(Self.queries.count)
            let took = began.duration(to: .now) / Self.queries.count
            let figures =
                "recall@1 \(first / count), recall@5 \(five / count), MRR \(reciprocal / count), \(took) each"
            print(figures)
            for line in missed { print(line) }
            #expect(first / count >= 0.45, "\(figures)")
            #expect(five / count >= 0.8, "\(figures)")
            #expect(reciprocal / count >= 0.58, "\(figures)")
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
