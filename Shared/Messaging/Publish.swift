import Postgres
import Runtime
import Shared

extension Transaction {
    /// Publishes the event if and only if this transaction commits. The row travels with COMMIT: no round trip of its own.
    ///
    /// Events with the same key arrive in the order they were published, over all transactions and replicas. Publish while
    /// holding what orders the changes of that key (the row just updated), as any write of it does anyway. An event above
    /// 900,000 bytes fails the transaction.
    public func publish<E: Event>(_ event: E) {
        enqueue(
            Outbox.insert(EventID(), topic: E.topic.rawValue, key: event.key, type: event.type, payload: event.jsonText)
        )
        onCommit { Relay.wakeAll() }
    }

    /// Publishes that there is nothing more under this key: a compacted topic forgets it, and readers get an envelope
    /// without a payload.
    public func publishTombstone(_ topic: Topic, key: String) {
        enqueue(
            Outbox.insert(
                EventID(), topic: topic.rawValue, key: key, type: "\(topic.rawValue).tombstone.v1", payload: nil))
        onCommit { Relay.wakeAll() }
    }
}

/// The SQL of publishing.
enum Outbox {
    static func insert(_ id: EventID, topic: String, key: String, type: String, payload: String?) -> Query {
        let trace = TraceContext.current?.traceparent
        return """
            INSERT INTO outbox (id, topic, key, type, payload, trace)
            VALUES (\(id), \(topic), \(key), \(type), \(payload), \(trace))
            """
    }
}
