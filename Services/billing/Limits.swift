import Messaging
import Postgres
import Shared

/// Tells when a workspace has used up what its plan allows, and when it has room again: each once, in the transaction
/// that made it so.
enum Limits {
    /// Calls and minutes of a period.
    static func announce(
        _ total: UsageStore.Total, _ terms: UsageStore.Terms, _ workspace: WorkspaceID, _ tx: borrowing Transaction
    ) {
        let calls = announce(.calls, total.calls, of: terms.callLimit, before: total.callsReached, workspace, tx)
        let minutes = announce(
            .minutes, total.seconds / 60, of: terms.minutesMax, before: total.minutesReached, workspace, tx)
        guard calls != total.callsReached || minutes != total.minutesReached else { return }
        UsageStore.markReached(calls: calls, minutes: minutes, of: workspace, periodStart: terms.periodStart, tx)
    }

    /// AI agents, of whatever period.
    static func announce(
        _ count: AgentCountStore.Count, _ terms: UsageStore.Terms, _ workspace: WorkspaceID,
        _ tx: borrowing Transaction
    ) {
        let reached = announce(.agents, count.agents, of: terms.agentLimit, before: count.reached, workspace, tx)
        if reached != count.reached { AgentCountStore.markReached(reached, of: workspace, tx) }
    }

    /// Looks again at everything: the plan has changed.
    static func review(_ workspace: WorkspaceID, at now: Instant, _ tx: borrowing Transaction) async throws {
        guard let terms = try await UsageStore.terms(of: workspace, at: now, tx) else { return }
        if let total = try await UsageStore.total(of: workspace, periodStart: terms.periodStart, tx) {
            announce(total, terms, workspace, tx)
        }
        if let count = try await AgentCountStore.count(of: workspace, tx) { announce(count, terms, workspace, tx) }
    }

    /// Whether the limit is reached now.
    private static func announce(
        _ limit: UsageEvent.Limit, _ value: Int64, of max: Int64?, before: Bool, _ workspace: WorkspaceID,
        _ tx: borrowing Transaction
    ) -> Bool {
        guard let max, value >= max else {
            if before { tx.publish(UsageEvent.limitCleared(workspaceID: workspace, limit: limit)) }
            return false
        }
        if !before {
            tx.publish(UsageEvent.limitReached(workspaceID: workspace, limit: limit, value: value, max: max))
        }
        return true
    }
}
