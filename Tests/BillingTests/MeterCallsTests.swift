import Messaging
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Billing

@Suite struct MeterCallsTests {
    private func withBilling(
        calls: Int64 = 100, minutes: Int64 = 100,
        _ body: @escaping @Sendable (Database, WorkspaceID) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh(migrations: ["billing"], extra: MessagingSchema.migrations) { database in
            try await PlanStore.keep(FreePlan(callLimit: calls, agentLimit: 1, minutesMax: minutes), database)
            let workspace = WorkspaceSnapshot(id: WorkspaceID(), name: "Test", ownerID: UserID())
            try await database.transaction { tx in try await onWorkspace(.created(workspace), .now(), tx) }
            try await body(database, workspace.id)
        }
    }

    private func call(_ workspace: WorkspaceID, seconds: Int? = nil, version: Int64 = 1) -> CallSnapshot {
        let now = Instant.now()
        return CallSnapshot(
            id: CallID(), workspaceID: workspace, version: version, direction: .inbound,
            status: seconds == nil ? .initiated : .completed, fromNumber: "+14155550101", toNumber: "+14155550100",
            startedAt: now, endedAt: seconds == nil ? nil : now, durationSeconds: seconds, createdAt: now,
            updatedAt: now)
    }

    @Test func `a call is metered once, and a correction changes it by the difference`() async throws {
        try await withBilling { database, workspace in
            var one = call(workspace)
            let meter = MeterCalls()
            func tell(_ event: CallEvent) async throws {
                try await database.transaction { tx in try await meter.onCall(event, tx) }
            }
            try await tell(.started(one))
            one.version = 2
            one.status = .completed
            one.endedAt = one.startedAt
            one.durationSeconds = 61
            try await tell(.ended(one))
            try await tell(.ended(one))
            one.version = 3
            one.durationSeconds = 65
            try await tell(.updated(one))
            one.version = 2
            one.durationSeconds = 1
            try await tell(.updated(one))
            let current = try #require(try await SubscriptionStore.current(workspace, database))
            #expect(current.calls == 1)
            #expect(current.seconds == 65)
        }
    }

    @Test func `each limit is announced once, in the transaction that reached it`() async throws {
        try await withBilling(calls: 2, minutes: 1) { database, workspace in
            let meter = MeterCalls()
            for seconds in [40, 30, 50] {
                let ended = call(workspace, seconds: seconds)
                try await database.transaction { tx in try await meter.onCall(.ended(ended), tx) }
            }
            let told = try await database.query(
                "SELECT payload::jsonb->>'limit' AS limit FROM outbox WHERE type = 'billing.usage.limit_reached.v1' ORDER BY 1"
            ).map { try $0.decode("limit", as: String.self) }
            #expect(told == ["calls", "minutes"])
        }
    }

    @Test func `a workspace begins on the free plan and its period moves on with its limits cleared`() async throws {
        try await withBilling { database, workspace in
            let later = Instant.now() + .seconds(40 * 86_400)
            let periods = Periods(
                FreePlan(callLimit: 1, agentLimit: 1, minutesMax: 1), database, .init(program: "test"))
            let found1 = try await periods.renew(now: later)
            #expect(found1 == 1)
            let found2 = try await periods.renew(now: later)
            #expect(found2 == 0)
            let current = try #require(try await SubscriptionStore.current(workspace, database))
            #expect(current.subscription.periodEnd > later)
            #expect(current.subscription.version == 2)
            let cleared = try await database.queryOne(
                "SELECT count(*) AS n FROM outbox WHERE type = 'billing.usage.limit_cleared.v1'")
            #expect(try cleared?.decode("n", as: Int64.self) == 2)
        }
    }

    @Test func `a call whose workspace is not known yet is metered all the same`() async throws {
        try await withBilling { database, _ in
            let stranger = call(WorkspaceID(), seconds: 7)
            try await database.transaction { tx in try await MeterCalls().onCall(.ended(stranger), tx) }
            let row = try await database.queryOne(
                "SELECT seconds FROM usage WHERE workspace_id = \(stranger.workspaceID)")
            #expect(try row?.decode("seconds", as: Int64.self) == 7)
        }
    }
}
