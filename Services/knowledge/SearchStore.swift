import Postgres
import Shared

/// The SQL of the search.
enum SearchStore {
    /// The words kept per workspace; the rarest beyond count as never seen.
    private static let wordsMax = 20_000
    /// Passages each of the two ways hands on.
    private static let candidatesMax = 100
    /// What an entry's second best passage adds, to its best one's 1.
    private static let secondWeight = 0.3

    /// The best passage of each entry, best first: one statement, one round trip.
    ///
    /// Passages are ranked by their terms. With a vector (`EMBEDDINGS_URL`) a second ranking by likeness joins in, fused by
    /// reciprocal rank (Cormack, Clarke and Büttcher 2009).
    static func find(
        _ question: Question, vector: [Float]?, model: String?, _ tenancy: Tenancy, business: BusinessID?, limit: Int,
        _ database: Database
    ) async throws -> [FoundPassage] {
        let owned: Query = tenancy.ids.map { "o.workspace_id = ANY (\($0))" } ?? "true"
        let shown: Query = shown(tenancy, business)
        let terms = question.gains.sorted { $0.key < $1.key }
        let byWords: Query = """
            WITH asked AS MATERIALIZED (
                SELECT term, gain FROM unnest(\(terms.map(\.key)), \(terms.map(\.value))) AS q (term, gain)
            ), hits AS (
                SELECT o.passage_id AS id, sum(q.gain * o.weight / (o.weight + \(FieldWeights.saturation)::float8)) AS gained,
                    sum(q.gain) AS present
                FROM asked q JOIN postings o ON o.term = q.term AND \(fragment: owned) GROUP BY o.passage_id
            ), by_words AS (
                SELECT p.id, p.entry_id, row_number() OVER (ORDER BY h.gained DESC, p.id) AS rank, h.gained,
                    h.present / nullif(\(question.weight)::float8, 0) AS likeness
                FROM hits h JOIN passages p ON p.id = h.id WHERE \(fragment: shown)
                ORDER BY rank LIMIT \(candidatesMax)
            )
            """
        let rows = try await database.query(
            ("""
            \(fragment: byWords), \(fragment: vector.map { fused($0, model, shown) } ?? wordsOnly), placed AS (
                SELECT *, row_number() OVER (PARTITION BY entry_id ORDER BY standing DESC, id) AS place FROM fused
            ), best AS (
                -- Two passages that fit say more than one.
                SELECT entry_id, min(id) FILTER (WHERE place = 1) AS id,
                    sum(standing * CASE place WHEN 1 THEN 1 ELSE \(secondWeight)::float8 END) AS standing,
                    max(likeness) FILTER (WHERE place = 1) AS likeness
                FROM placed WHERE place <= 2 GROUP BY entry_id
            )
            SELECT b.entry_id, b.id AS passage_id, p.position, e.title, p.body, p.heading, e.source, p.page_from,
                least(greatest(b.likeness, 0), 1)::float8 AS score
            FROM best b JOIN passages p ON p.id = b.id JOIN entries e ON e.id = b.entry_id
            ORDER BY b.standing DESC, b.entry_id LIMIT \(limit)
            """ as Query).named("passages.find"))
        return try rows.map { row in
            FoundPassage(
                entryID: try row["entry_id"], passageID: try row["passage_id"], position: try row["position"],
                title: try row["title"], passage: try row["body"], heading: try row["heading"],
                source: try row["source"], page: try row["page_from"], score: try row["score"])
        }
    }

    private static func shown(_ tenancy: Tenancy, _ business: BusinessID?) -> Query {
        let owners: Query = tenancy.ids.map { "p.workspace_id = ANY (\($0))" } ?? "true"
        return business.map { "\(fragment: owners) AND (p.business_id IS NULL OR p.business_id = \($0))" } ?? owners
    }

    private static let wordsOnly: Query = """
        fused AS (SELECT id, entry_id, gained AS standing, likeness FROM by_words)
        """

    private static func fused(_ vector: [Float], _ model: String?, _ shown: Query) -> Query {
        """
        near AS (
            SELECT p.id, p.entry_id, p.embedding <=> \(Embedder.text(vector))::vector AS distance FROM passages p
            WHERE \(fragment: shown) AND p.model = \(model)
            ORDER BY distance, p.id LIMIT \(candidatesMax)
        ), by_vectors AS (
            SELECT id, entry_id, row_number() OVER (ORDER BY distance, id) AS rank, 1 - distance AS likeness FROM near
            WHERE distance < 1
        ), fused AS (
            SELECT id, coalesce(w.entry_id, v.entry_id) AS entry_id,
                coalesce(1.0 / (60 + w.rank), 0) + coalesce(1.0 / (60 + v.rank), 0) AS standing,
                (coalesce(w.likeness, 0) + coalesce(v.likeness, 0)) / 2 AS likeness
            FROM by_words w FULL JOIN by_vectors v USING (id)
        )
        """
    }

    static func counts(of workspace: WorkspaceID, _ database: Database) async throws -> Counts {
        let rows = try await database.query(
            """
            SELECT word, passages FROM word_counts WHERE workspace_id = \(workspace) AND passages > 0
            ORDER BY passages DESC LIMIT \(wordsMax + 1)
            """)
        var words: [String: Int64] = [:]
        for row in rows { words[try row["word"]] = try row["passages"] }
        return Counts(words)
    }
}
