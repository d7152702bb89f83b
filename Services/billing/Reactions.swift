import Messaging
import Postgres
import Shared

/// Every new workspace starts on the free plan; a deleted one leaves nothing behind.
func onWorkspace(_ event: WorkspaceEvent, _ at: Instant, _ tx: borrowing Transaction) async throws {
    switch event {
    case .created(let workspace):
        guard try await !tx.isErased(.workspace(workspace.id)) else { return }
        if let opened = try await SubscriptionStore.open(workspace.id, owner: workspace.ownerID, at: at, tx) {
            tx.publish(SubscriptionEvent.activated(opened))
        }
    case .updated(let workspace): SubscriptionStore.setOwner(workspace.ownerID, of: workspace.id, tx)
    case .deleted(let id): try await tx.erase(.workspace(id))
    case .memberAdded, .memberRemoved: return
    }
}

func onUser(_ event: UserEvent, _ tx: borrowing Transaction) async throws {
    if case .deleted(let id) = event { try await tx.erase(.user(id)) }
}
