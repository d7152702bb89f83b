import Postgres
import Shared

/// Sending again by hand what was published: `<program> replay --since`.
public enum Replay {
    /// Marks every event since then; the running relay sends them. Returns how many.
    /// - Parameter topics: nil for all.
    public static func mark(since: Instant, topics: [Topic]? = nil, _ database: Database) async throws -> Int64 {
        try await database.transaction { tx in
            try await RelayStore.replay(since: since, topics: topics?.map(\.rawValue), tx)
        }
    }
}

/// Events whose handler failed on their content.
public enum DeadLetters {
    public typealias Letter = InboxStore.Dead

    /// Oldest first, at most `limit`.
    public static func list(limit: Int = 1_000, _ database: Database) async throws -> [Letter] {
        try await InboxStore.dead(limit: limit, database)
    }
}
