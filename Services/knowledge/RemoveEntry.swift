import HTTP
import Messaging
import Postgres
import Shared

extension Knowledge {
    /// `DELETE /api/v1/knowledge/{entry_id}`
    func removeEntry(_ request: Request) async throws -> Response {
        let id = try request.pathNumber("entry_id", or: .entryNotFound)
        let principal = try request.requirePrincipal()
        try await database.transaction { (tx: borrowing Transaction) in
            guard let workspace = try await EntryStore.lock(id, principal.tenancy, tx) else {
                throw Problem.notFound(.entryNotFound)
            }
            try principal.require(.writeKnowledge, in: workspace)
            EntryStore.remove(id, of: workspace, tx)
            tx.publish(EntryEvent.removed(id: id, workspaceID: workspace))
        }
        return .done("The entry has been deleted.")
    }
}

extension Response {
    /// `{"success":true,"message":"…"}`
    static func done(_ message: String) -> Response {
        .json { json in
            json.object { json in
                json.field("success", true)
                json.field("message", message)
            }
        }
    }
}
