import Documents
import HTTP
import Postgres
import Shared

/// The SQL of knowledge entries.
enum EntryStore {
    private static let columns: Query = """
        e.id, e.workspace_id, e.business_id, e.version, e.title, e.source, e.source_type, e.metadata, e.status, e.progress,
        e.error, e.created_at, e.updated_at
        """
    private static let whole: Query = "\(fragment: columns), e.content, false AS is_cut"
    /// A page of a hundred books would be too much for both sides.
    private static let cut: Query = """
        \(fragment: columns), left(e.content, \(Entry.contentMax)::int) AS content, length(e.content) > \(Entry.contentMax) AS is_cut
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
            SELECT \(fragment: cut) FROM entries e WHERE \(fragment: chosen) \(fragment: place)
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

    /// One entry, with all its text.
    static func find(_ id: Int64, _ tenancy: Tenancy, _ database: Database) async throws -> Entry? {
        let row = try await database.queryOne("SELECT \(fragment: whole) FROM entries e WHERE e.id = \(id)")
        return try row.map(entry).flatMap { tenancy.contains($0.about.workspaceID) ? $0 : nil }
    }

    static func insert(
        _ entry: NewEntry, status: EntrySnapshot.Status, _ tx: borrowing Transaction
    ) async throws -> Entry {
        let progress = status == .ready ? 100 : 0
        let row = try await tx.queryOne(
            """
            INSERT INTO entries AS e (workspace_id, business_id, title, content, source, source_type, metadata, status,
                progress, terms_version)
            VALUES (\(entry.workspaceID), \(entry.businessID), \(entry.title), \(entry.content), \(entry.source),
                \(entry.sourceType), \(JSON.object(entry.metadata)), \(status.rawValue), \(progress), \(Terms.version))
            RETURNING \(fragment: whole)
            """)
        guard let row else { throw NoRow() }
        return try self.entry(row)
    }

    // MARK: Processing

    /// The entry, held until the transaction ends.
    static func lockWhole(_ id: Int64, _ tx: borrowing Transaction) async throws -> Entry? {
        try await tx.queryOne("SELECT \(fragment: whole) FROM entries e WHERE id = \(id) FOR UPDATE").map(entry)
    }

    /// nil when it is not being processed any more, or further already.
    static func advance(_ id: Int64, to progress: Int, _ tx: borrowing Transaction) async throws -> Entry? {
        try await tx.queryOne(
            """
            UPDATE entries e SET progress = \(progress), version = version + 1, updated_at = greatest(now(), updated_at)
            WHERE id = \(id) AND status = 'processing' AND progress < \(progress) RETURNING \(fragment: whole)
            """
        ).map(entry)
    }

    /// What became of a document.
    static func finish(_ entry: Entry, _ blocks: [Block]?, _ tx: borrowing Transaction) async throws -> Entry {
        let blocks = blocks.map { JSON.array($0.map(\.json)) }
        let row = try await tx.queryOne(
            """
            UPDATE entries e SET content = \(entry.content), metadata = \(JSON.object(entry.about.metadata)),
                status = \(entry.about.status.rawValue), progress = \(entry.about.progress), error = \(entry.about.error),
                blocks = \(blocks), terms_version = \(Terms.version), version = version + 1,
                updated_at = greatest(now(), updated_at)
            WHERE id = \(entry.about.id) RETURNING \(fragment: whole)
            """)
        guard let row else { throw NoRow() }
        return try self.entry(row)
    }

    /// An entry whose terms were made by older rules, and its blocks if it was a document.
    static func stale(_ database: Database) async throws -> (entry: Entry, blocks: [Block]?)? {
        let row = try await database.queryOne(
            """
            SELECT \(fragment: whole), e.blocks FROM entries e
            WHERE e.terms_version < \(Terms.version) AND e.status = 'ready' ORDER BY e.terms_version, e.id LIMIT 1
            """)
        guard let row else { return nil }
        let blocks: JSON? = try row["blocks"]
        return (try entry(row), blocks?.array?.compactMap { Block($0) })
    }

    /// False when it has changed meanwhile, or somebody else has done it.
    static func lockStale(_ entry: EntrySnapshot, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.execute(
            """
            UPDATE entries SET terms_version = \(Terms.version)
            WHERE id = \(entry.id) AND version = \(entry.version) AND terms_version < \(Terms.version)
            """) == 1
    }

    // MARK: Passages

    /// - Parameter after: the position of the last one of the page before, instead of an offset.
    static func passages(
        of entry: Int64, after: Int64?, _ page: Page, _ database: Database
    ) async throws -> (passages: [StoredPassage], total: Int, hasMore: Bool) {
        let place: Query = after.map { "AND position > \($0)" } ?? ""
        let results = try await database.pipeline([
            """
            SELECT id, position, body, heading, page_from, page_to FROM passages
            WHERE entry_id = \(entry) \(fragment: place) ORDER BY position LIMIT \(page.size + 1) OFFSET \(page.offset)
            """,
            "SELECT count(*) AS total FROM passages WHERE entry_id = \(entry)",
        ])
        let found = try results[0].map { row in
            StoredPassage(
                id: try row["id"], position: try row["position"],
                passage: Passage(
                    body: try row["body"], heading: try row["heading"], pageFrom: try row["page_from"],
                    pageTo: try row["page_to"]))
        }
        return (
            Array(found.prefix(page.size)), try results[1].first?.decode("total", as: Int.self) ?? 0,
            found.count > page.size
        )
    }

    /// Rows of one statement; what more there is comes in the next, in the same transaction.
    private static let passagesAtOnce = 200

    /// - Parameter model: what made the passages' vectors.
    static func addPassages(
        _ passages: [IndexedPassage], to entry: EntrySnapshot, model: String?, _ tx: borrowing Transaction
    ) {
        for start in stride(from: 0, to: passages.count, by: passagesAtOnce) {
            let batch = Array(passages[start..<min(start + passagesAtOnce, passages.count)])
            insert(batch, from: start, of: entry, model, tx)
            weigh(batch, from: start, of: entry, tx)
        }
        count(passages, of: entry.workspaceID, tx)
    }

    private static func insert(
        _ passages: [IndexedPassage], from start: Int, of entry: EntrySnapshot, _ model: String?,
        _ tx: borrowing Transaction
    ) {
        let models: [String?] = passages.map { $0.embedding == nil ? nil : model }
        // No word has a space, and arrays of different lengths cannot travel in one.
        tx.enqueue(
            """
            INSERT INTO passages (entry_id, workspace_id, business_id, position, body, heading, page_from, page_to, words,
                terms, model, embedding)
            SELECT \(entry.id), \(entry.workspaceID), \(entry.businessID), \(start)::int + p.place - 1, p.body, p.heading,
                p.page_from, p.page_to,
                setweight(to_tsvector('english', \(entry.title)), 'A') || setweight(to_tsvector('english', p.body), 'B'),
                string_to_array(p.terms, ' '), p.model, p.embedding::vector
            FROM unnest(\(passages.map(\.passage.body)), \(passages.map(\.passage.heading)),
                \(passages.map(\.passage.pageFrom)), \(passages.map(\.passage.pageTo)),
                \(passages.map { $0.weights.keys.sorted().joined(separator: " ") }), \(models),
                \(passages.map { $0.embedding.map(Embedder.text) })) WITH ORDINALITY
                AS p (body, heading, page_from, page_to, terms, model, embedding, place)
            """)
    }

    private static func weigh(
        _ passages: [IndexedPassage], from start: Int, of entry: EntrySnapshot, _ tx: borrowing Transaction
    ) {
        var (positions, terms, weights): ([Int], [String], [Double]) = ([], [], [])
        for (place, passage) in passages.enumerated() {
            for (term, weight) in passage.weights.sorted(by: { $0.key < $1.key }) {
                positions.append(start + place)
                terms.append(term)
                weights.append(weight)
            }
        }
        tx.enqueue(
            """
            INSERT INTO postings (passage_id, term, workspace_id, weight)
            SELECT p.id, t.term, p.workspace_id, t.weight
            FROM unnest(\(positions), \(terms), \(weights)) AS t (position, term, weight)
            JOIN passages p ON p.entry_id = \(entry.id) AND p.position = t.position
            """)
    }

    /// Rows are taken in the order of the words, so that two who add at once wait for each other instead of failing.
    private static func count(
        _ passages: [IndexedPassage], of workspace: WorkspaceID, _ tx: borrowing Transaction
    ) {
        var counts: [String: Int] = ["": passages.count]
        for passage in passages { for term in passage.weights.keys { counts[term, default: 0] += 1 } }
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

    /// With its passages, their vectors, and its file if it is still being processed.
    static func remove(_ id: Int64, of workspace: WorkspaceID, _ tx: borrowing Transaction) {
        removePassages(of: id, of: workspace, tx)
        tx.enqueue("DELETE FROM entries WHERE id = \(id)")
    }

    static func removePassages(of id: Int64, of workspace: WorkspaceID, _ tx: borrowing Transaction) {
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
        tx.enqueue("DELETE FROM passages WHERE entry_id = \(id)")
    }

    /// The entries of some workspaces after `id`, oldest first.
    static func following(
        _ id: Int64, _ workspaces: [WorkspaceID], limit: Int, _ database: Database
    ) async throws -> [Entry] {
        try await database.query(
            """
            SELECT \(fragment: whole) FROM entries e
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
            status: try row.decode("status", as: EntrySnapshot.Status.self),
            progress: try row.decode("progress", as: Int.self), error: try row["error"],
            createdAt: try row["created_at"], updatedAt: try row["updated_at"])
        return Entry(about: about, content: try row["content"], isCut: try row["is_cut"])
    }

    /// `INSERT … RETURNING` returned nothing, which PostgreSQL does not do.
    struct NoRow: Error {}
}

extension EntrySnapshot.Status: PostgresValue {}
