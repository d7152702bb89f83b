import HTTP
import Shared

/// A frame ready for many sockets: encoded once, sent as the same bytes to each.
struct OutgoingFrame: Sendable {
    let id: Int64
    let workspace: WorkspaceID
    let call: CallID?
    let audience: FrameSnapshot.Audience
    let frame: Frame

    init(_ snapshot: FrameSnapshot) {
        id = snapshot.id
        workspace = snapshot.workspaceID
        call = snapshot.callID
        audience = snapshot.audience
        var json = JSONWriter(capacity: snapshot.data.utf8.count + 160)
        json.object { json in
            json.field("event", snapshot.event)
            json.field("data", raw: snapshot.data)
            json.field("id", "\(snapshot.id)")
            json.field("at", snapshot.at)
        }
        frame = Frame(.text, json.bytes)
    }

    /// Whether this person may see it.
    func isFor(_ principal: Principal) -> Bool {
        guard let role = principal.role(in: workspace) else { return false }
        switch audience {
        case .workspace: return true
        case .managers: return role >= .manager
        case .user(let id): return id == principal.user
        }
    }
}
