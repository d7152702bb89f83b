import Postgres
import Shared

/// The SQL of the search.
enum SearchStore {
    /// The words kept per workspace; the rarest beyond count as never seen.
    private static let wordsMax = 20_000
    /// Passages each of the two ways hands on.
    private static let candidatesMax = 50

    /// Two rankings of passages, by words and by vectors, fused by reciprocal rank (Cormack, Clarke and Büttcher 2009), and
    /// the best passage of each entry: one statement, one round trip.
    static func find(
        _ question: Question, vector: [Float]?, model: String, _ tenancy: Tenancy, business: BusinessID?, limit: Int,
        _ database: Database
    ) async throws -> [FoundPassage] {
        let owners: Query = tenancy.ids.map { "p.workspace_id = ANY (\($0))" } ?? "true"
        let shown: Query =
            business.map { "\(fragment: owners) AND (p.business_id IS NULL OR p.business_id = \($0))" } ?? owners
        let rows = try await database.query(
            ("""
            WITH asked AS MATERIALIZED (
                SELECT to_tsquery('english', word) AS word, weight, place
                FROM unnest(\(question.words.map(\.text)), \(question.words.map(\.weight)),
                    \(question.words.map(\.place))) AS q (word, weight, place)
            ), hits AS (
                -- A word and its synonyms count once, by the best of them.
                SELECT p.id, q.place, max(q.weight * ts_rank('{0, 0, 0.4, 1}', p.words, q.word)) AS gain,
                    max(q.weight) AS weight
                FROM asked q JOIN passages p ON p.words @@ q.word
                WHERE \(fragment: shown) GROUP BY p.id, q.place
            ), by_words AS (
                SELECT id, row_number() OVER (ORDER BY sum(gain) DESC, id) AS rank,
                    sum(weight) / nullif(\(question.weight)::float8, 0) AS likeness
                FROM hits GROUP BY id ORDER BY rank LIMIT \(candidatesMax)
            ), near AS (
                SELECT p.id, p.embedding <=> \(vector.map(Embedder.text))::vector AS distance FROM passages p
                WHERE \(fragment: shown) AND p.model = \(vector == nil ? nil : model)
                ORDER BY distance, p.id LIMIT \(candidatesMax)
            ), by_vectors AS (
                SELECT id, row_number() OVER (ORDER BY distance, id) AS rank, 1 - distance AS likeness FROM near
                WHERE distance < 1
            ), fused AS (
                SELECT id, coalesce(1.0 / (60 + w.rank), 0) + coalesce(1.0 / (60 + v.rank), 0) AS standing,
                    (coalesce(w.likeness, 0) + CASE WHEN \(vector == nil) THEN coalesce(w.likeness, 0)
                        ELSE coalesce(v.likeness, 0) END) / 2 AS likeness
                FROM by_words w FULL JOIN by_vectors v USING (id)
            ), best AS (
                SELECT DISTINCT ON (p.entry_id) p.entry_id, p.body, f.standing, f.likeness
                FROM fused f JOIN passages p ON p.id = f.id ORDER BY p.entry_id, f.standing DESC, p.id
            )
            SELECT b.entry_id, e.title, b.body, least(greatest(b.likeness, 0), 1)::float8 AS score
            FROM best b JOIN entries e ON e.id = b.entry_id ORDER BY b.standing DESC, b.entry_id LIMIT \(limit)
            """ as Query).named("passages.find"))
        return try rows.map { row in
            FoundPassage(
                entryID: try row["entry_id"], title: try row["title"], passage: try row["body"], score: try row["score"]
            )
        }
    }

    static func counts(of workspace: WorkspaceID, _ database: Database) async throws -> Counts {
        let rows = try await database.query(
            """
            SELECT word, passages FROM word_counts WHERE workspace_id = \(workspace)
            ORDER BY passages DESC LIMIT \(wordsMax + 1)
            """)
        var counts = Counts()
        for row in rows {
            let word: String = try row["word"]
            let passages: Int64 = try row["passages"]
            if word.isEmpty { counts.passages = passages } else { counts.words[word] = passages }
        }
        return counts
    }
}
