import Postgres
import Shared

/// One thing asked of the carrier, committed before the carrier hears of it.
struct CarrierOrder: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable, PostgresValue {
        /// Call the customer.
        case dial
        /// Call the human an escalation is assigned to.
        case dialAgent = "dial_agent"
        case hangUp = "hang_up"
        /// Make the customer's call fetch its instructions again.
        case redirect

        /// Doing it twice would ring somebody twice.
        var mustNotRepeat: Bool { self == .dial || self == .dialAgent }
    }

    let id: Int64
    let kind: Kind
    let call: CallID
    var escalation: Int64?
    var agent: HumanAgentID?
    var from: String?
    var to: String?
    var sid: String?
    var attempts: Int
    var askedAt: Instant
    /// Asked before by somebody who never told what came of it.
    var isLeftover: Bool
}

enum OrderStore {
    static func dial(_ call: Call, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            INSERT INTO carrier_orders (kind, call_id, from_number, to_number)
            VALUES ('dial', \(call.id), \(call.from), \(call.to)) ON CONFLICT DO NOTHING
            """)
    }

    static func dial(
        _ agent: HumanAgentID, at number: String, from: String, for escalation: Escalation, _ tx: borrowing Transaction
    ) {
        tx.enqueue(
            """
            INSERT INTO carrier_orders (kind, call_id, escalation_id, agent_id, from_number, to_number)
            VALUES ('dial_agent', \(escalation.call), \(escalation.id), \(agent), \(from), \(number))
            ON CONFLICT DO NOTHING
            """)
    }

    static func hangUp(_ sid: String, call: CallID, _ tx: borrowing Transaction) {
        tx.enqueue("INSERT INTO carrier_orders (kind, call_id, sid) VALUES ('hang_up', \(call), \(sid))")
    }

    static func redirect(_ sid: String, call: CallID, _ tx: borrowing Transaction) {
        tx.enqueue("INSERT INTO carrier_orders (kind, call_id, sid) VALUES ('redirect', \(call), \(sid))")
    }

    /// Drops the dials of a call that are not under way yet, and hangs up on humans being rung for it.
    static func withdraw(_ call: CallID, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE carrier_orders SET state = 'failed', problem = 'withdrawn'
            WHERE call_id = \(call) AND state = 'pending' AND kind IN ('dial', 'dial_agent')
            """)
    }

    /// Calls no more humans for this escalation, and hangs up on those who were called.
    static func dismissAgents(of escalation: Escalation, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE carrier_orders SET state = 'failed', problem = 'withdrawn'
            WHERE call_id = \(escalation.call) AND kind = 'dial_agent' AND escalation_id = \(escalation.id)
              AND state = 'pending'
            """)
        tx.enqueue(
            """
            INSERT INTO carrier_orders (kind, call_id, sid)
            SELECT 'hang_up', call_id, sid FROM carrier_orders
            WHERE call_id = \(escalation.call) AND kind = 'dial_agent' AND escalation_id = \(escalation.id)
              AND state = 'done' AND sid IS NOT NULL
            """)
    }

    private static let columns: Query =
        "o.id, o.kind, o.call_id, o.escalation_id, o.agent_id, o.from_number, o.to_number, o.sid, o.attempts, o.asked_at"

    /// Takes orders to carry out now: new ones, and ones whose asker has gone silent since `leftBefore`.
    static func claim(max: Int, leftBefore: Instant, in database: Database) async throws -> [CarrierOrder] {
        let rows = try await database.query(
            """
            UPDATE carrier_orders o SET state = 'asked', attempts = o.attempts + 1,
                asked_at = CASE WHEN due.state = 'asked' THEN o.asked_at ELSE now() END,
                not_before = now()
            FROM (SELECT id, state FROM carrier_orders
                  WHERE state IN ('pending', 'asked') AND not_before <= now()
                    AND (state = 'pending' OR not_before < \(leftBefore))
                  ORDER BY not_before LIMIT \(max) FOR UPDATE SKIP LOCKED) AS due
            WHERE o.id = due.id RETURNING \(fragment: columns), due.state = 'asked' AS leftover
            """)
        return try rows.map { row in
            CarrierOrder(
                id: try row["id"], kind: try row["kind"], call: try row["call_id"],
                escalation: try row["escalation_id"], agent: try row["agent_id"], from: try row["from_number"],
                to: try row["to_number"], sid: try row["sid"], attempts: try row["attempts"],
                askedAt: try row["asked_at"], isLeftover: try row["leftover"])
        }
    }

    /// A leftover is about to be asked for again: from now on it is looked up from this moment.
    static func askAgain(_ id: Int64, in database: Database) async throws {
        _ = try await database.execute("UPDATE carrier_orders SET asked_at = now() WHERE id = \(id)")
    }

    static func finish(_ id: Int64, sid: String?, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE carrier_orders SET state = 'done', sid = coalesce(\(sid), sid) WHERE id = \(id)")
    }

    static func finish(_ id: Int64, in database: Database) async throws {
        _ = try await database.execute("UPDATE carrier_orders SET state = 'done' WHERE id = \(id)")
    }

    static func fail(_ id: Int64, _ problem: String, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE carrier_orders SET state = 'failed', problem = \(problem) WHERE id = \(id)")
    }

    /// Tries again later. Only for orders that certainly did nothing, or may be done twice.
    static func postpone(_ id: Int64, until: Instant, _ problem: String, in database: Database) async throws {
        _ = try await database.execute(
            """
            UPDATE carrier_orders SET state = 'pending', not_before = \(until), problem = \(problem)
            WHERE id = \(id) AND state = 'asked'
            """)
    }

    /// Remembers a leg's carrier id as soon as its webhook arrives, however the REST answer went.
    static func adopt(agentLeg sid: String, escalation: Int64, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE carrier_orders SET state = 'done', sid = \(sid)
            WHERE escalation_id = \(escalation) AND kind = 'dial_agent' AND state = 'asked' AND sid IS NULL
            """)
    }

    /// Whether this leg is that of the human the escalation is assigned to now, not of one who was tried before.
    static func isCurrentLeg(_ sid: String, of escalation: Escalation, _ tx: borrowing Transaction) async throws -> Bool
    {
        let row = try await tx.queryOne(
            """
            SELECT agent_id FROM carrier_orders
            WHERE escalation_id = \(escalation.id) AND kind = 'dial_agent' AND (sid = \(sid) OR sid IS NULL)
            ORDER BY (sid = \(sid)) IS TRUE DESC, id DESC LIMIT 1
            """)
        let agent: HumanAgentID? = try row?.decode("agent_id", as: HumanAgentID?.self)
        return agent != nil && agent == escalation.agent
    }

    /// Whether a carrier call belongs to us already.
    static func knows(sid: String, in database: Database) async throws -> Bool {
        try await database.queryOne(
            """
            SELECT 1 AS known FROM calls WHERE twilio_call_sid = \(sid)
            UNION ALL SELECT 1 FROM carrier_orders WHERE sid = \(sid) LIMIT 1
            """) != nil
    }

    /// Removes what nobody will look at again, in bites that never hold up the table.
    static func sweep(before: Instant, max: Int, in database: Database) async throws {
        _ = try await database.execute(
            """
            DELETE FROM carrier_callbacks WHERE key IN (
                SELECT key FROM carrier_callbacks WHERE received_at < \(before) ORDER BY received_at LIMIT \(max))
            """)
    }

    /// Notes a callback down. False when it was taken in before.
    static func claimCallback(_ keys: [String], _ tx: borrowing Transaction) async throws -> Bool {
        let claimed = try await tx.execute(
            "INSERT INTO carrier_callbacks (key) SELECT DISTINCT unnest(\(keys)) ON CONFLICT DO NOTHING")
        return claimed == Set(keys).count
    }
}
