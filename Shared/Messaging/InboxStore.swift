import Postgres
import Runtime
import Shared

/// The SQL of consuming.
enum InboxStore {
    /// Claims events for this transaction; those that had their effect before are left out. Waits for another
    /// transaction that is about to claim the same: only one of the two gets it.
    static func claim(_ ids: [EventID], consumer: String, _ tx: borrowing Transaction) async throws -> Set<EventID> {
        // Sorted: two members that claim the same events (one has just lost the partition) must not wait for each other.
        let rows = try await tx.query(
            """
            INSERT INTO inbox (event, consumer) SELECT id, \(consumer) FROM unnest(\(ids.sorted())::uuid[]) AS id
            ON CONFLICT DO NOTHING RETURNING event
            """)
        return Set(try rows.map { try $0.decode("event", as: EventID.self) })
    }

    /// Puts an event aside: out of the way of those behind it, kept here and on the topic's dead letters.
    static func bury(
        _ envelope: Envelope, consumer: String, error: String, attempts: Int, _ tx: borrowing Transaction
    ) {
        tx.enqueue(
            """
            INSERT INTO dead_letters
                (event, consumer, topic, partition, record_offset, key, type, source, time, payload, trace, error, attempts)
            VALUES (\(envelope.id), \(consumer), \(envelope.topic), \(envelope.partition), \(envelope.offset),
                \(envelope.key), \(envelope.type), \(envelope.source), \(envelope.time), \(envelope.payload),
                \(envelope.trace?.traceparent), \(error), \(attempts)::int)
            ON CONFLICT (event, consumer) DO UPDATE
                SET error = excluded.error, attempts = dead_letters.attempts + excluded.attempts, at = now()
            """)
        // Bytes that are no text stay in the table alone: a row of the outbox is text.
        let text = envelope.payload.flatMap { $0.contains(0) ? nil : String(validating: $0, as: UTF8.self) }
        tx.enqueue(
            Outbox.insert(
                EventID(), topic: envelope.topic + ".dead", key: envelope.key, type: envelope.type, payload: text))
    }

    /// Dead letters, oldest first.
    /// - Parameter id: nil for all.
    static func letters(_ id: EventID?, consumer: String?, limit: Int, _ database: Database) async throws
        -> [DeadLetters.Letter]
    {
        try await database.query(
            """
            SELECT event, consumer, topic, partition, record_offset, key, type, source, time, payload, trace, error,
                attempts, at
            FROM dead_letters
            WHERE (\(id)::uuid IS NULL OR event = \(id)::uuid) AND (\(consumer)::text IS NULL OR consumer = \(consumer)::text)
            ORDER BY at, event LIMIT \(limit)
            """
        ).map { row in
            DeadLetters.Letter(
                id: try row["event"], consumer: try row["consumer"], topic: try row["topic"], key: try row["key"],
                type: try row["type"], error: try row["error"], attempts: try row["attempts"], at: try row["at"],
                source: try row["source"], time: try row["time"], payload: try row["payload"], trace: try row["trace"],
                partition: try row["partition"], offset: try row["record_offset"])
        }
    }

    static func forget(_ letter: DeadLetters.Letter, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM dead_letters WHERE event = \(letter.id) AND consumer = \(letter.consumer)")
    }

    static func failedAgain(_ letter: DeadLetters.Letter, error: String, _ database: Database) async throws {
        _ = try await database.execute(
            """
            UPDATE dead_letters SET error = \(error), attempts = attempts + 1
            WHERE event = \(letter.id) AND consumer = \(letter.consumer)
            """)
    }
}
