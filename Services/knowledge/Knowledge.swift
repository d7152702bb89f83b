import Postgres
import Runtime
import Shared

/// What the endpoints work with; each use case is an extension in a file of its own.
struct Knowledge: Sendable {
    struct Policy: Sendable {
        /// Bytes of an uploaded document.
        var uploadMax = 20 << 20
    }

    let database: Database
    /// nil: entries are found by their words.
    let embedder: Embedder?
    let parser: Parser
    /// Who else needs a business configuration.
    let users: ConfigUsers
    let policy: Policy
    let counts: WordCounts
    let log: Log
    /// For the terms of long texts.
    let indexing = Blocking(threads: 2, queueMax: 256)
    /// Rung when a document waits.
    let processing = Doorbell()

    init(
        database: Database, embedder: Embedder?, parser: Parser, users: ConfigUsers, policy: Policy = Policy(), log: Log
    ) {
        self.database = database
        self.embedder = embedder
        self.parser = parser
        self.users = users
        self.policy = policy
        self.log = log
        counts = WordCounts(database: database, log: log)
    }
}
