import HTTP
import Postgres
import Shared

/// The SQL of knowledge entries.
enum EntryStore {
    private static let columns: Query = """
        e.id, e.workspace_id, e.business_id, e.version, e.title, e.content, e.source, e.source_type, e.metadata,
        e.created_at, e.updated_at
        """

    /// Nobody pages through more; counting them all would cost every reader.
    private static let countMax = 100_000

    struct Found: Sendable {
        var entries: [Entry]
        var total: Total
        var hasMore: Bool
    }

    /// - Parameter before: the id of the last entry of the page before, instead of an offset.
    static func page(
        _ tenancy: Tenancy, business: BusinessID?, search: String?, before: Int64?, _ page: Page, _ database: Database
    ) async throws -> Found {
        let chosen = condition(tenancy, business, search)
        let place: Query = before.map { "AND e.id < \($0)" } ?? ""
        let list: Query = """
            SELECT \(fragment: columns) FROM entries e WHERE \(fragment: chosen) \(fragment: place)
            ORDER BY e.id DESC LIMIT \(page.size + 1) OFFSET \(page.offset)
            """
        let count: Query = """
            SELECT count(*) AS total FROM (SELECT FROM entries e WHERE \(fragment: chosen) LIMIT \(countMax + 1)) c
            """
        let results = try await database.pipeline(before == nil ? [list, count] : [list])
        let entries = try results[0].map(entry)
        var total = Total.uncounted
        if results.count > 1, let row = results[1].first {
            let count: Int = try row["total"]
            total = count > countMax ? .estimate(count) : .exact(count)
        }
        return Found(entries: Array(entries.prefix(page.size)), total: total, hasMore: entries.count > page.size)
    }

    private static func condition(_ tenancy: Tenancy, _ business: BusinessID?, _ search: String?) -> Query {
        let owners: Query = tenancy.ids.map { "e.workspace_id = ANY (\($0))" } ?? "true"
        let ofBusiness: Query = business.map { "AND e.business_id = \($0)" } ?? ""
        guard let search else { return "\(fragment: owners) \(fragment: ofBusiness)" }
        return """
            \(fragment: owners) \(fragment: ofBusiness) AND (
                strpos(lower(e.title), lower(\(search))) > 0 OR EXISTS (
                    SELECT FROM passages p WHERE p.entry_id = e.id AND p.words @@ plainto_tsquery('english', \(search))))
            """
    }

    /// - Parameter model: what made the passages' vectors.
    static func add(
        _ entry: NewEntry, _ passages: [IndexedPassage], model: String, _ tx: borrowing Transaction
    ) async throws -> Entry {
        let row = try await tx.queryOne(
            """
            INSERT INTO entries AS e (workspace_id, business_id, title, content, source, source_type, metadata)
            VALUES (\(entry.workspaceID), \(entry.businessID), \(entry.title), \(entry.content), \(entry.source),
                \(entry.sourceType), \(JSON.object(entry.metadata)))
            RETURNING \(fragment: columns)
            """)
        guard let row else { throw NoRow() }
        let stored = try self.entry(row)
        let models: [String?] = passages.map { $0.embedding == nil ? nil : model }
        // No word has a space, and arrays of different lengths cannot travel in one.
        tx.enqueue(
            """
            INSERT INTO passages (entry_id, workspace_id, business_id, position, body, words, terms, model, embedding)
            SELECT \(stored.about.id), \(entry.workspaceID), \(entry.businessID), p.place - 1, p.body,
                setweight(to_tsvector('english', \(entry.title)), 'A') || setweight(to_tsvector('english', p.body), 'B'),
                string_to_array(p.terms, ' '), p.model, p.embedding::vector
            FROM unnest(\(passages.map(\.body)), \(passages.map { $0.terms.joined(separator: " ") }), \(models),
                \(passages.map { $0.embedding.map(Embedder.text) })) WITH ORDINALITY
                AS p (body, terms, model, embedding, place)
            """)
        count(passages, of: entry.workspaceID, tx)
        return stored
    }

    /// Rows are taken in the order of the words, so that two who add at once wait for each other instead of failing.
    private static func count(
        _ passages: [IndexedPassage], of workspace: WorkspaceID, _ tx: borrowing Transaction
    ) {
        var counts: [String: Int] = ["": passages.count]
        for passage in passages { for term in passage.terms { counts[term, default: 0] += 1 } }
        let words = counts.sorted { $0.key < $1.key }
        tx.enqueue(
            """
            INSERT INTO word_counts (workspace_id, word, passages)
            SELECT \(workspace), w.word, w.count FROM unnest(\(words.map(\.key)), \(words.map(\.value))) AS w (word, count)
            ORDER BY w.word COLLATE "C"
            ON CONFLICT (workspace_id, word) DO UPDATE SET passages = word_counts.passages + excluded.passages
            """)
    }

    /// The entry's workspace; nil when there is none in these workspaces. Held until the transaction ends.
    static func lock(_ id: Int64, _ tenancy: Tenancy, _ tx: borrowing Transaction) async throws -> WorkspaceID? {
        let row = try await tx.queryOne("SELECT workspace_id FROM entries WHERE id = \(id) FOR UPDATE")
        guard let workspace: WorkspaceID = try row?["workspace_id"], tenancy.contains(workspace) else { return nil }
        return workspace
    }

    static func remove(_ id: Int64, of workspace: WorkspaceID, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            WITH gone AS (
                SELECT word, count(*) AS passages FROM passages, unnest(terms || ''::text) AS word
                WHERE entry_id = \(id) GROUP BY word
            ), held AS (
                SELECT c.word, gone.passages FROM word_counts c JOIN gone USING (word)
                WHERE c.workspace_id = \(workspace) ORDER BY c.word COLLATE "C" FOR UPDATE OF c
            )
            UPDATE word_counts c SET passages = greatest(c.passages - held.passages, 0) FROM held
            WHERE c.workspace_id = \(workspace) AND c.word = held.word
            """)
        tx.enqueue("DELETE FROM word_counts WHERE workspace_id = \(workspace) AND passages = 0 AND word <> ''")
        tx.enqueue("DELETE FROM entries WHERE id = \(id)")
    }

    /// The entries of some workspaces after `id`, oldest first.
    static func following(
        _ id: Int64, _ workspaces: [WorkspaceID], limit: Int, _ database: Database
    ) async throws -> [Entry] {
        try await database.query(
            """
            SELECT \(fragment: columns) FROM entries e
            WHERE e.workspace_id = ANY (\(workspaces)) AND e.id > \(id) ORDER BY e.id LIMIT \(limit)
            """
        ).map(entry)
    }

    private static func entry(_ row: Row) throws -> Entry {
        let metadata: JSON = try row["metadata"]
        let about = EntrySnapshot(
            id: try row["id"], workspaceID: try row["workspace_id"], version: try row["version"],
            businessID: try row["business_id"], title: try row["title"], source: try row["source"],
            sourceType: try row["source_type"], metadata: metadata.object ?? JSONObject(),
            createdAt: try row["created_at"], updatedAt: try row["updated_at"])
        return Entry(about: about, content: try row["content"])
    }

    /// `INSERT … RETURNING` returned nothing, which PostgreSQL does not do.
    struct NoRow: Error {}
}
