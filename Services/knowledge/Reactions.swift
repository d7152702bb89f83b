import Messaging
import Postgres
import Shared

/// A deleted workspace leaves nothing behind, neither here nor in the compacted topic.
func onWorkspace(_ event: WorkspaceEvent, _ tx: borrowing Transaction) async throws {
    if case .deleted(let id) = event { try await tx.erase(.workspace(id)) }
}

func onUser(_ event: UserEvent, _ tx: borrowing Transaction) async throws {
    if case .deleted(let id) = event { try await tx.erase(.user(id)) }
}
