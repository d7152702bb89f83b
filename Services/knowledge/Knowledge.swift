import Postgres
import Runtime

/// What the endpoints work with; each use case is an extension in a file of its own.
struct Knowledge: Sendable {
    let database: Database
    let embedder: Embedder
    let counts: WordCounts
    let log: Log

    init(database: Database, embedder: Embedder, log: Log) {
        self.database = database
        self.embedder = embedder
        self.log = log
        counts = WordCounts(database: database, log: log)
    }
}
