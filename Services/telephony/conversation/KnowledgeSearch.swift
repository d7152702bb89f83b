import HTTP
import Runtime
import Shared

/// Asks the knowledge base. A closure, so that tests and calls without one need no other program.
struct KnowledgeSearch: Sendable {
    var find: @Sendable (_ question: String, _ call: CallRef, _ limit: Int) async throws -> [Passage]

    static let none = KnowledgeSearch { _, _, _ in [] }
}

extension KnowledgeSearch {
    /// Over the knowledge programs' `/internal/search`. Tries the replicas in turn, within the caller's deadline.
    static func remote(_ urls: [String], client: Client) -> KnowledgeSearch {
        let turns = Turns(count: urls.count)
        return KnowledgeSearch { question, call, limit in
            guard !urls.isEmpty else { return [] }
            let url = urls[turns.next()]
            var pairs = [
                ("workspace_id", call.workspaceID.text), ("q", String(question.prefix(1000))), ("limit", String(limit)),
            ]
            if let business = call.businessID { pairs.append(("business_id", business.text)) }
            var request = ClientRequest.get("\(url)/internal/search?\(URLText.form(pairs))")
            request.timeout = .seconds(2)
            let response = try await client.send(request)
            guard response.isSuccess else { throw Unanswered(status: response.status) }
            return passages(try response.json())
        }
    }

    struct Unanswered: Error { let status: Int }

    /// `{"results":[{"entry_id","passage_id","title","passage","page","score","coverage"}]}`
    static func passages(_ json: JSON) -> [Passage] {
        (json["results"]?.array ?? []).compactMap { item in
            guard let entry = item["entry_id"]?.int64, let text = item["passage"]?.string else { return nil }
            return Passage(
                entry: entry, passage: item["passage_id"]?.int64, page: item["page"]?.int,
                title: item["title"]?.string ?? "", text: text, score: item["score"]?.double ?? 0,
                coverage: item["coverage"]?.double)
        }
    }

    /// `@unchecked Sendable`: guarded by the lock.
    private final class Turns: @unchecked Sendable {
        private let lock = Lock()
        private var last = 0
        private let count: Int
        init(count: Int) { self.count = max(count, 1) }
        func next() -> Int {
            lock.withLock {
                last = (last + 1) % count
                return last
            }
        }
    }
}
