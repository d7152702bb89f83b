import Kafka
import Postgres
import Shared

/// The SQL of consuming.
public enum InboxStore {
    /// Claims events for this transaction; those that had their effect before are left out.
    static func claim(_ ids: [EventID], _ tx: borrowing Transaction) async throws -> Set<EventID> {
        let rows = try await tx.query(
            """
            INSERT INTO inbox (id) SELECT unnest(\(ids)::uuid[]) ON CONFLICT DO NOTHING RETURNING id
            """)
        return Set(try rows.map { try $0.decode("id", as: EventID.self) })
    }

    static func bury(_ envelope: Envelope, error: String, _ tx: borrowing Transaction) {
        let payload = envelope.payload.map { String(decoding: $0, as: UTF8.self) }
        tx.enqueue(
            """
            INSERT INTO dead_letters (id, topic, partition, record_offset, key, type, payload, trace, error)
            VALUES (\(envelope.id), \(envelope.topic), \(envelope.partition), \(envelope.offset), \(envelope.key),
                \(envelope.type), \(payload), \(envelope.trace?.traceparent), \(error))
            ON CONFLICT (id) DO UPDATE SET error = excluded.error, at = now()
            """)
        tx.enqueue(
            """
            INSERT INTO outbox (id, topic, key, type, payload, trace)
            VALUES (\(envelope.id), \(envelope.topic + ".dead"), \(envelope.key), \(envelope.type), \(payload),
                \(envelope.trace?.traceparent))
            """)
    }

    public struct Dead: Sendable {
        public var id: EventID
        public var topic: String
        public var key: String
        public var type: String
        public var error: String
        public var at: Instant
    }

    static func dead(limit: Int, _ database: Database) async throws -> [Dead] {
        try await database.query("SELECT id, topic, key, type, error, at FROM dead_letters ORDER BY at LIMIT \(limit)").map {
            Dead(
                id: try $0["id"], topic: try $0["topic"], key: try $0["key"], type: try $0["type"],
                error: try $0["error"], at: try $0["at"])
        }
    }

    /// The letters as records again, for handlers that have been mended meanwhile.
    static func letters(_ id: EventID?, _ database: Database) async throws -> [Record] {
        try await database.query(
            """
            SELECT id, topic, partition, record_offset, key, type, payload, trace FROM dead_letters
            WHERE \(id)::uuid IS NULL OR id = \(id)::uuid ORDER BY at
            """
        ).map { row in
            let id: EventID = try row["id"]
            let type: String = try row["type"]
            let payload: String? = try row["payload"]
            let key: String = try row["key"]
            return Record(
                topic: try row["topic"], key: Array(key.utf8), value: payload.map { Array($0.utf8) },
                headers: [("ce_id", Array(id.text.utf8)), ("ce_type", Array(type.utf8))],
                partition: try row["partition"], offset: try row["record_offset"])
        }
    }

    static func forget(_ id: EventID, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM dead_letters WHERE id = \(id)")
    }

    /// Takes back the claim of a buried event, so that it may have its effect after all.
    static func release(_ ids: [EventID], _ database: Database) async throws {
        _ = try await database.pipeline([
            "DELETE FROM inbox WHERE id = ANY (\(ids)::uuid[])", "DELETE FROM dead_letters WHERE id = ANY (\(ids)::uuid[])",
        ])
    }
}
