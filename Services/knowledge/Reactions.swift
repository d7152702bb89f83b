import Messaging
import Postgres
import Shared

/// A deleted workspace leaves nothing behind, neither here nor in the compacted topic.
func onWorkspace(_ event: WorkspaceEvent, _ tx: borrowing Transaction) async throws {
    guard case .deleted(let workspace) = event else { return }
    for entry in try await EntryStore.erase(workspace, tx) {
        tx.publish(EntryEvent.removed(id: entry, workspaceID: workspace))
    }
    for config in try await ConfigStore.erase(workspace, tx) {
        tx.publish(ConfigEvent.removed(id: config, workspaceID: workspace))
    }
}
