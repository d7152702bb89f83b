import Postgres
import Shared

/// `knowledge reindex`: makes the vectors that are missing or were made by another model, for after a change of
/// `EMBEDDINGS_URL` or a time when the endpoint was down. Runs beside the program; an interrupted run goes on later.
struct Reindexing: Sendable {
    let database: Database
    let embedder: Embedder

    /// How many passages have got a new vector.
    func run() async throws -> Int {
        var done = 0
        var last: Int64 = 0
        while true {
            let batch = try await ReindexStore.batch(after: last, model: embedder.model, database)
            guard let end = batch.last?.entryID else { return done }
            for entry in batch {
                let vectors = try await embedder.passages(entry.title, entry.bodies)
                try await ReindexStore.keep(entry, vectors, model: embedder.model, database)
                done += entry.passageIDs.count
            }
            last = end
        }
    }
}
