import Messaging
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Billing

@Suite struct CountAgentsTests {
    private func withBilling(
        agents limit: Int64, _ body: @escaping @Sendable (Database, WorkspaceID) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh(migrations: ["billing"], extra: MessagingSchema.migrations) { database in
            try await Self.keep(limit, database)
            let workspace = WorkspaceSnapshot(id: WorkspaceID(), name: "Test", ownerID: UserID())
            try await database.transaction { tx in try await onWorkspace(.created(workspace), .now(), tx) }
            try await body(database, workspace.id)
        }
    }

    private static func keep(_ agents: Int64, _ database: Database) async throws {
        try await PlanStore.keep(FreePlan(callLimit: 100, agentLimit: agents, minutesMax: 100), database)
    }

    private func tell(_ event: AgentEvent, _ database: Database) async throws {
        try await database.transaction { tx in try await onAgent(event, at: .now(), tx) }
    }

    private func changed(_ id: AgentID, _ workspace: WorkspaceID, version: Int64) -> AgentEvent {
        .aiChanged(
            AgentSnapshot(
                id: id, workspaceID: workspace, version: version, name: "Ada", status: "active", language: "en-US",
                createdAt: .now(), updatedAt: .now()))
    }

    private func used(_ workspace: WorkspaceID, _ database: Database) async throws -> Int64? {
        try await SubscriptionStore.current(workspace, database)?.agents
    }

    /// `reached 2/2` and `cleared`, in order.
    private func announced(_ database: Database) async throws -> [String] {
        try await database.query(
            """
            SELECT type, payload::jsonb->>'value' AS value, payload::jsonb->>'max' AS max FROM outbox
            WHERE payload::jsonb->>'limit' = 'agents' ORDER BY seq
            """
        ).map { row in
            let (value, max): (String?, String?) = (try row["value"], try row["max"])
            let type: String = try row["type"]
            return type == "billing.usage.limit_reached.v1" ? "reached \(value ?? "")/\(max ?? "")" : "cleared"
        }
    }

    @Test func `an agent counts once from its first event to its deletion, in whatever order they come`() async throws {
        try await withBilling(agents: 10) { database, workspace in
            let (one, two) = (AgentID(), AgentID())
            for version: Int64 in [1, 1, 3, 2] { try await tell(changed(one, workspace, version: version), database) }
            try await tell(changed(two, workspace, version: 1), database)
            #expect(try await used(workspace, database) == 2)
            let gone = AgentEvent.aiRemoved(id: one, workspaceID: workspace, version: 4)
            for _ in 0..<2 { try await tell(gone, database) }
            try await tell(changed(one, workspace, version: 3), database)
            try await tell(.aiRemoved(id: AgentID(), workspaceID: workspace, version: 2), database)
            #expect(try await used(workspace, database) == 1)
            let human = HumanAgentSnapshot(
                id: HumanAgentID(), workspaceID: workspace, name: "Hugo", email: "hugo@example.com", isAvailable: true,
                isActive: true, createdAt: .now(), updatedAt: .now())
            try await tell(.changed(human), database)
            #expect(try await used(workspace, database) == 1)
        }
    }

    @Test func `the limit is announced when it is reached and when there is room again, each once`() async throws {
        try await withBilling(agents: 2) { database, workspace in
            let agents = (0..<3).map { _ in AgentID() }
            for agent in agents { try await tell(changed(agent, workspace, version: 1), database) }
            #expect(try await announced(database) == ["reached 2/2"])
            for agent in agents.prefix(2) {
                try await tell(.aiRemoved(id: agent, workspaceID: workspace, version: 2), database)
            }
            #expect(try await announced(database) == ["reached 2/2", "cleared"])
        }
    }

    @Test func `a change of the plan is told to everyone who has it, and its limits are looked at anew`() async throws {
        try await withBilling(agents: 1) { database, workspace in
            let periods = Periods(
                FreePlan(callLimit: 100, agentLimit: 1, minutesMax: 100), database, Log(program: "test"))
            try await tell(changed(AgentID(), workspace, version: 1), database)
            #expect(try await periods.tellPlans(now: .now()) == 0, "the same limits are no news")
            try await Self.keep(5, database)
            #expect(try await periods.tellPlans(now: .now()) == 1)
            #expect(try await periods.tellPlans(now: .now()) == 0)
            let told = try await database.queryOne(
                """
                SELECT payload::jsonb->'limits'->>'agent_limit' AS agents, payload::jsonb->>'version' AS version
                FROM outbox WHERE type = 'billing.subscription.changed.v1'
                """)
            #expect(try told?.decode("agents", as: String.self) == "5")
            #expect(try told?.decode("version", as: String.self) == "2")
            #expect(try await announced(database) == ["reached 1/1", "cleared"])
            try await Self.keep(1, database)
            #expect(try await periods.tellPlans(now: .now()) == 1)
            #expect(try await announced(database) == ["reached 1/1", "cleared", "reached 1/1"])
        }
    }

    @Test func `nothing is left of an erased workspace`() async throws {
        try await withBilling(agents: 1) { database, workspace in
            try await tell(changed(AgentID(), workspace, version: 1), database)
            try await Leftovers.erase(.workspace(workspace), steps: ErasureStore.steps, program: "billing", database)
            let row = try await database.queryOne(
                "SELECT (SELECT count(*) FROM counted_agents) + (SELECT count(*) FROM agent_counts) AS n")
            #expect(try row?.decode("n", as: Int64.self) == 0)
        }
    }
}
