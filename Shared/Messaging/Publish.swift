import Postgres
import Runtime
import Shared

extension Transaction {
    /// Publishes the event if and only if this transaction commits. The row travels with COMMIT: no round trip of its
    /// own.
    public func publish(_ event: some Event) {
        enqueue(Outbox.insert(event))
        onCommit { Relay.wakeAll() }
    }
}

/// The SQL of publishing.
enum Outbox {
    static func insert<E: Event>(_ event: E) -> Query {
        let trace = TraceContext.current?.traceparent
        return """
            INSERT INTO outbox (id, topic, key, type, payload, trace)
            VALUES (\(EventID()), \(E.topic.rawValue), \(event.key), \(event.type), \(event.jsonText), \(trace))
            """
    }
}
