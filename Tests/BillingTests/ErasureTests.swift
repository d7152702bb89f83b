import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Billing

@Suite struct ErasureTests {
    private static func fill(_ workspace: WorkspaceID, _ owner: UserID, _ database: Database) async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            try await onWorkspace(
                .created(WorkspaceSnapshot(id: workspace, name: "Somewhere", ownerID: owner)), .now(), tx)
        }
        for number in 0..<3 {
            _ = try await database.execute(
                """
                INSERT INTO metered_calls (call_id, workspace_id, period_start, seconds, version)
                VALUES (gen_random_uuid(), \(workspace), now(), \(number), 1)
                """)
        }
        _ = try await database.execute("INSERT INTO usage (workspace_id, period_start) VALUES (\(workspace), now())")
    }

    private func withPlan(_ body: @escaping @Sendable (Database) async throws -> Void) async throws {
        try await TestDatabase.fresh(migrations: ["billing"], extra: MessagingSchema.migrations) { database in
            try await PlanStore.keep(FreePlan(callLimit: 100, agentLimit: 1, minutesMax: 100), database)
            try await body(database)
        }
    }

    @Test func `a workspace leaves nothing, and a call told of late brings nothing back`() async throws {
        try await withPlan { database in
            let (mine, other, owner) = (WorkspaceID(), WorkspaceID(), UserID())
            try await Self.fill(mine, owner, database)
            try await Self.fill(other, owner, database)
            let before = try await Leftovers.tables(holding: mine.text, database)
            #expect(before.count >= 4)
            try await Leftovers.erase(.workspace(mine), steps: ErasureStore.steps, program: "billing", database)
            let call = CallSnapshot.late(in: mine)
            try await database.transaction { (tx: borrowing Transaction) in
                try await MeterCalls().onCall(.ended(call), tx)
                try await onWorkspace(.created(WorkspaceSnapshot(id: mine, name: "Again", ownerID: owner)), .now(), tx)
            }
            let left = try await Leftovers.tables(holding: mine.text, database)
            #expect(left.filter { !$0.key.hasPrefix("outbox") }.isEmpty, "\(left)")
            let others = try await database.query("SELECT 1 AS x FROM metered_calls WHERE workspace_id = \(other)")
            #expect(others.count == 3)
        }
    }

    @Test func `a person is no longer named in workspaces that stay`() async throws {
        try await withPlan { database in
            let (workspace, person) = (WorkspaceID(), UserID())
            try await Self.fill(workspace, person, database)
            try await Leftovers.erase(.user(person), steps: ErasureStore.steps, program: "billing", database)
            let left = try await Leftovers.tables(holding: person.text, database)
            #expect(left.filter { !$0.key.hasPrefix("outbox") }.isEmpty, "\(left)")
            let kept = try await database.query("SELECT 1 AS x FROM subscriptions")
            #expect(kept.count == 1)
        }
    }
}

extension CallSnapshot {
    /// A call whose end arrives after everything else.
    fileprivate static func late(in workspace: WorkspaceID) -> CallSnapshot {
        let now = Instant.now()
        return CallSnapshot(
            id: CallID(), workspaceID: workspace, version: 9, direction: .inbound, status: .completed,
            fromNumber: "+14155550101", toNumber: "+14155550102", startedAt: now, endedAt: now, durationSeconds: 60,
            createdAt: now, updatedAt: now)
    }
}
