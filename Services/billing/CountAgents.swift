import Messaging
import Postgres
import Shared

/// Reactions to telephony: every AI agent counts from its first event to its deletion, however often either is told.
func onAgent(_ event: AgentEvent, at now: Instant, _ tx: borrowing Transaction) async throws {
    let (workspace, change): (WorkspaceID, Int64)
    switch event {
    case .aiChanged(let agent):
        workspace = agent.workspaceID
        change = try await AgentCountStore.keep(agent.id, in: workspace, version: agent.version, tx)
    case .aiRemoved(let id, let workspaceID, let version):
        workspace = workspaceID
        change = try await AgentCountStore.remove(id, in: workspace, version: version, tx)
    // Humans are not what a plan counts.
    case .changed, .removed: return
    }
    guard change != 0 else { return }
    let count = try await AgentCountStore.add(change, to: workspace, tx)
    guard let terms = try await UsageStore.terms(of: workspace, at: now, tx) else { throw MeterCalls.NoFreePlan() }
    if let count { Limits.announce(count, terms, workspace, tx) }
}
