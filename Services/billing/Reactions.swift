import Messaging
import Postgres
import Shared

/// Every new workspace starts on the free plan; a deleted one leaves nothing behind.
func onWorkspace(_ event: WorkspaceEvent, _ at: Instant, _ tx: borrowing Transaction) async throws {
    switch event {
    case .created(let workspace):
        try await openSubscription(of: workspace.id, owner: workspace.ownerID, at: at, tx)
        // Opened before by whoever asked for it first.
        SubscriptionStore.setOwner(workspace.ownerID, of: workspace.id, tx)
    case .updated(let workspace): SubscriptionStore.setOwner(workspace.ownerID, of: workspace.id, tx)
    case .deleted(let id): try await tx.erase(.workspace(id))
    case .memberAdded, .memberRemoved: return
    }
}

/// Puts a workspace on the free plan, unless it has a plan or is erased.
func openSubscription(
    of workspace: WorkspaceID, owner: UserID, at: Instant, _ tx: borrowing Transaction
) async throws {
    guard try await !tx.isErased(.workspace(workspace)) else { return }
    if let opened = try await SubscriptionStore.open(workspace, owner: owner, at: at, tx) {
        tx.publish(SubscriptionEvent.activated(opened))
    }
}

func onUser(_ event: UserEvent, _ tx: borrowing Transaction) async throws {
    if case .deleted(let id) = event { try await tx.erase(.user(id)) }
}
