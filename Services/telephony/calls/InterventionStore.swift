import Messaging
import Postgres
import Shared

/// A manager's order on its way to the conversation. Its row is removed by whoever decides its fate, so it is either taken
/// by one conversation or given up by the request, never both.
struct Order: Sendable {
    let id: EventID
    let action: CommandEvent.Action
    let message: String?
    let by: UserID?
}

enum InterventionStore {
    /// What an earlier request has left behind is nobody's wish any more.
    private static let freshWithin = Duration.seconds(15)

    static func insert(_ order: Order, for call: CallID, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO interventions (id, call_id, action, message, by)
            VALUES (\(order.id), \(call), \(order.action.rawValue), \(order.message), \(order.by))
            """)
    }

    /// Takes one order for the conversation of this epoch and tells whoever waits. False when it is not to be had: it was
    /// given up, another socket took it, or a newer one will.
    static func take(_ id: EventID, of call: CallID, epoch: Int, _ tx: borrowing Transaction) async throws -> Bool {
        let row = try await tx.queryOne(
            """
            DELETE FROM interventions i USING calls c
            WHERE i.id = \(id) AND c.id = i.call_id AND c.relay_epoch = \(epoch) RETURNING i.id
            """)
        guard row != nil else { return false }
        tx.publish(CommandEvent(callID: call, action: .taken, answers: id))
        return true
    }

    /// Takes all that waits for a call whose new socket opens; the call's row is locked.
    static func takeAll(of call: CallID, _ tx: borrowing Transaction) async throws -> [Order] {
        let rows = try await tx.query(
            """
            WITH taken AS (DELETE FROM interventions WHERE call_id = \(call) RETURNING *)
            SELECT id, action, message, by FROM taken
            WHERE asked_at > now() - make_interval(secs => \(freshWithin.inSeconds)) ORDER BY asked_at, id
            """)
        var orders: [Order] = []
        for row in rows {
            guard let action = CommandEvent.Action(rawValue: try row["action"]) else { continue }
            orders.append(Order(id: try row["id"], action: action, message: try row["message"], by: try row["by"]))
            tx.publish(CommandEvent(callID: call, action: .taken, answers: try row["id"]))
        }
        return orders
    }

    /// Gives an order up. False when a conversation has taken it after all.
    static func withdraw(_ id: EventID, in database: Database) async throws -> Bool {
        try await database.execute("DELETE FROM interventions WHERE id = \(id)") == 1
    }

    /// Removes what requests that died have left behind.
    static func sweep(before: Instant, in database: Database) async throws {
        _ = try await database.execute("DELETE FROM interventions WHERE asked_at < \(before)")
    }
}
