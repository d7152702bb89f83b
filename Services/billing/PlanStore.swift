import Postgres
import Shared

/// The SQL of plans.
enum PlanStore {
    private static let columns: Query = """
        id, slug, name, description, price_minor, currency, interval, call_limit, agent_limit, max_minutes, is_active,
        created_at, updated_at
        """

    /// Writes the free plan with the limits of the settings; existing subscriptions follow at once, and are told by
    /// ``Periods``.
    static func keep(_ free: FreePlan, _ database: Database) async throws {
        _ = try await database.execute(
            """
            INSERT INTO plans (slug, name, description, price_minor, call_limit, agent_limit, max_minutes)
            VALUES (\(FreePlan.slug), 'Free', 'Try Switchboard with real calls.', 0, \(free.callLimit),
                \(free.agentLimit), \(free.minutesMax))
            ON CONFLICT (slug) DO UPDATE SET call_limit = excluded.call_limit, agent_limit = excluded.agent_limit,
                max_minutes = excluded.max_minutes, version = plans.version + 1, updated_at = now()
            WHERE (plans.call_limit, plans.agent_limit, plans.max_minutes)
                IS DISTINCT FROM (excluded.call_limit, excluded.agent_limit, excluded.max_minutes)
            """)
    }

    static func page(size: Int, offset: Int, _ database: Database) async throws -> (plans: [Plan], total: Int64) {
        let results = try await database.pipeline([
            "SELECT \(fragment: columns) FROM plans WHERE is_active ORDER BY position, id LIMIT \(size) OFFSET \(offset)",
            "SELECT count(*) AS total FROM plans WHERE is_active",
        ])
        return (try results[0].map(plan), try results[1].first?.decode("total", as: Int64.self) ?? 0)
    }

    /// A plan by its id or its slug.
    static func find(_ name: String, _ database: Database) async throws -> Plan? {
        let row =
            if let id = PlanID(name) {
                try await database.queryOne("SELECT \(fragment: columns) FROM plans WHERE id = \(id)")
            } else {
                try await database.queryOne("SELECT \(fragment: columns) FROM plans WHERE slug = \(name)")
            }
        return try row.map(plan)
    }

    static func plan(_ row: Row) throws -> Plan {
        Plan(
            id: try row["id"], slug: try row["slug"], name: try row["name"], description: try row["description"],
            price: Money(minor: try row["price_minor"], currency: try row["currency"]), interval: try row["interval"],
            callLimit: try row["call_limit"], agentLimit: try row["agent_limit"], minutesMax: try row["max_minutes"],
            isActive: try row["is_active"], createdAt: try row["created_at"], updatedAt: try row["updated_at"])
    }
}
