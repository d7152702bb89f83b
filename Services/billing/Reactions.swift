import Messaging
import Postgres
import Shared

/// Every new workspace starts on the free plan; a deleted one leaves nothing behind.
func onWorkspace(_ event: WorkspaceEvent, _ at: Instant, _ tx: borrowing Transaction) async throws {
    switch event {
    case .created(let workspace):
        if let opened = try await SubscriptionStore.open(workspace.id, owner: workspace.ownerID, at: at, tx) {
            tx.publish(SubscriptionEvent.activated(opened))
        }
    case .deleted(let id): UsageStore.erase(id, tx)
    case .updated, .memberAdded, .memberRemoved: return
    }
}
