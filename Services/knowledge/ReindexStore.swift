import Postgres

/// The SQL of reindexing.
enum ReindexStore {
    struct Stale: Sendable {
        var entryID: Int64
        var title: String
        var passageIDs: [Int64]
        var bodies: [String]
    }

    static func batch(after last: Int64, model: String, _ database: Database) async throws -> [Stale] {
        let rows = try await database.query(
            """
            SELECT e.id, e.title, array_agg(p.id ORDER BY p.id) AS ids, array_agg(p.body ORDER BY p.id) AS bodies
            FROM entries e JOIN passages p ON p.entry_id = e.id
            WHERE e.id > \(last) AND p.model IS DISTINCT FROM \(model)
            GROUP BY e.id ORDER BY e.id LIMIT 20
            """)
        return try rows.map { row in
            Stale(
                entryID: try row["id"], title: try row["title"], passageIDs: try row["ids"], bodies: try row["bodies"])
        }
    }

    static func keep(_ entry: Stale, _ vectors: [[Float]], model: String, _ database: Database) async throws {
        _ = try await database.execute(
            """
            UPDATE passages p SET model = \(model), embedding = v.embedding::vector
            FROM unnest(\(entry.passageIDs), \(vectors.map(Embedder.text))) AS v (id, embedding) WHERE p.id = v.id
            """)
    }
}
