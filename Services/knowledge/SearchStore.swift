import Postgres
import Shared

/// The SQL of the search.
enum SearchStore {
    /// The words kept per workspace; the rarest beyond count as never seen.
    private static let wordsMax = 20_000
    /// Passages each of the two ways hands on; by words, those that are most promising by the lists below. Only these are
    /// judged by all terms, also by those whose lists they are not in.
    private static let candidatesMax = 100
    /// Of each term no more passages than these are looked at, those it says most about: a word that stands everywhere makes
    /// no passage the best one. Written into the statement, so that its plan knows them.
    private static let listMax: Query = "1000"
    /// With a business, those of the others are passed over.
    private static let sharedListMax: Query = "2000"
    /// What an entry's second best passage adds, to its best one's 1.
    private static let secondWeight = 0.3

    /// The best passage of each entry, best first: one statement, one round trip.
    ///
    /// Passages are ranked by their terms: each term's best ones are found first, then the most promising of them judged by
    /// all terms, so that the work is bounded by the question and not by the workspace (decision 0026). With a vector
    /// (`EMBEDDINGS_URL`) a second ranking by likeness joins in, fused by reciprocal rank (Cormack, Clarke and Büttcher 2009).
    static func find(
        _ question: Question, vector: [Float]?, model: String?, _ tenancy: Tenancy, business: BusinessID?, limit: Int,
        _ database: Database
    ) async throws -> [FoundPassage] {
        let shown: Query = shown(tenancy, business)
        let terms = question.gains.sorted { $0.key < $1.key }
        let byWords: Query = """
            WITH asked AS MATERIALIZED (
                SELECT term, gain FROM unnest(\(terms.map(\.key)), \(terms.map(\.value))) AS q (term, gain)
            ), lists AS (
                \(fragment: lists(tenancy, business == nil ? listMax : sharedListMax))
            ), promising AS MATERIALIZED (
                \(fragment: promising(business == nil ? nil : shown))
            ), by_words AS (
                SELECT p.id, p.entry_id, row_number() OVER (ORDER BY h.gained DESC, p.id) AS rank, h.gained,
                    h.present / nullif(\(question.weight)::float8, 0) AS likeness
                FROM promising l CROSS JOIN LATERAL (
                    SELECT sum(q.gain * o.weight / (o.weight + \(FieldWeights.saturation)::float8)) AS gained,
                        sum(q.gain) AS present
                    FROM postings o JOIN asked q ON q.term = o.term
                    WHERE o.passage_id = l.id AND o.term = ANY (\(terms.map(\.key)))) AS h
                JOIN passages p ON p.id = l.id
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
                FROM placed WHERE place <= 2 GROUP BY entry_id ORDER BY standing DESC, entry_id LIMIT \(limit)
            )
            SELECT b.entry_id, b.id AS passage_id, p.position, e.title, p.body, p.heading, e.source, p.page_from,
                least(greatest(b.likeness, 0), 1)::float8 AS score,
                ARRAY(SELECT o.term FROM postings o WHERE o.passage_id = b.id AND o.term = ANY (\(terms.map(\.key)))) AS found
            FROM best b JOIN passages p ON p.id = b.id JOIN entries e ON e.id = b.entry_id
            ORDER BY b.standing DESC, b.entry_id
            """ as Query).named("passages.find"))
        return try rows.map { row in
            FoundPassage(
                entryID: try row["entry_id"], passageID: try row["passage_id"], position: try row["position"],
                title: try row["title"], passage: try row["body"], heading: try row["heading"],
                source: try row["source"], page: try row["page_from"], score: try row["score"],
                coverage: question.coverage(of: Set(try row.decode("found", as: [String].self))))
        }
    }

    /// The best passages of each term by itself, through `postings_by_worth`: as many rows as that, however large the
    /// workspace is.
    private static func lists(_ tenancy: Tenancy, _ max: Query) -> Query {
        guard let ids = tenancy.ids else {
            return """
                SELECT q.gain, t.passage_id, t.weight FROM asked q CROSS JOIN LATERAL (
                    SELECT o.passage_id, o.weight FROM postings o WHERE o.term = q.term
                    ORDER BY o.weight DESC LIMIT \(fragment: max)) AS t
                """
        }
        return """
            SELECT q.gain, t.passage_id, t.weight FROM asked q CROSS JOIN unnest(\(ids)) AS w (id) CROSS JOIN LATERAL (
                SELECT o.passage_id, o.weight FROM postings o WHERE o.term = q.term AND o.workspace_id = w.id
                ORDER BY o.weight DESC LIMIT \(fragment: max)) AS t
            """
    }

    /// Those that gain most by what the lists tell. Whoever asks sees all of the workspaces they come from; of one business
    /// they are chosen before they are counted.
    private static func promising(_ shown: Query?) -> Query {
        let gained: Query = "sum(l.gain * l.weight / (l.weight + \(FieldWeights.saturation)::float8))"
        guard let shown else {
            return """
                SELECT l.passage_id AS id FROM lists l GROUP BY l.passage_id
                ORDER BY \(fragment: gained) DESC, l.passage_id LIMIT \(candidatesMax)
                """
        }
        return """
            SELECT p.id FROM lists l JOIN passages p ON p.id = l.passage_id AND \(fragment: shown) GROUP BY p.id
            ORDER BY \(fragment: gained) DESC, p.id LIMIT \(candidatesMax)
            """
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
