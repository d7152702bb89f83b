import Kafka
import Postgres
import Shared

/// Events whose handler failed on their content, five times. They wait here until somebody has mended the handler.
public enum DeadLetters {
    public struct Letter: Sendable {
        public let id: EventID
        public let consumer: String
        public let topic: String
        public let key: String
        public let type: String
        /// Of the last attempt.
        public let error: String
        public let attempts: Int
        /// When it was put aside.
        public let at: Instant
        let source: String
        let time: Instant
        let payload: [UInt8]?
        let trace: String?
        let partition: Int32
        let offset: Int64

        /// The event as its handler saw it.
        var envelope: Envelope {
            var record = Record.event(
                id, topic: topic, key: key, type: type, source: Array(source.utf8), time: time, payload: payload,
                trace: trace, isRepublished: false)
            record.partition = partition
            record.offset = offset
            return Envelope(record, id: id, type: type)
        }
    }

    /// Oldest first, at most `limit`.
    public static func list(limit: Int = 1000, _ database: Database) async throws -> [Letter] {
        try await InboxStore.letters(nil, consumer: nil, limit: limit, database)
    }
}

/// Publishing again by hand: `<program> replay --since`.
public enum Replay {
    /// Has the running relay publish everything since then once more; consumers know what they have had. Returns how many
    /// events that are.
    public static func mark(since: Instant, _ database: Database) async throws -> Int64 {
        try await RelayStore.replay(since: since, database)
    }
}
