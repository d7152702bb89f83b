import HTTP
import Shared

/// Somebody asked by e-mail to join a workspace.
struct Invitation: Sendable, Equatable {
    enum Status: String, CaseIterable, Sendable { case pending, expired, accepted, withdrawn }

    let id: InvitationID
    let workspace: WorkspaceID
    let workspaceName: String
    let email: EmailAddress
    let role: WorkspaceRole
    let invitedBy: UserID?
    var sentAt: Instant
    var expiresAt: Instant
    let acceptedAt: Instant?
    let acceptedBy: UserID?
    let withdrawnAt: Instant?
    let createdAt: Instant

    /// Long enough for a holiday, short enough that a forgotten mail opens nothing.
    static let lifetime = Duration.seconds(7 * 86_400)
    /// Nobody's mailbox is filled by pressing a button.
    static let resentAfter = Duration.seconds(60)
    /// Open ones of a workspace.
    static let openMax = 500

    var status: Status {
        if acceptedAt != nil { return .accepted }
        if withdrawnAt != nil { return .withdrawn }
        return expiresAt > .now() ? .pending : .expired
    }

    /// A token and what is kept of it.
    static func token() -> (text: String, digest: [UInt8]) {
        let text = Digest.randomToken(bytes: 32)
        return (text, Digest.sha256(text))
    }
}

extension Invitation: JSONWritable {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace", workspace)
            json.field("workspace_name", workspaceName)
            json.field("email", email.text)
            json.field("role", role)
            json.field("status", status.rawValue)
            json.field("invited_by", invitedBy)
            json.field("sent_at", sentAt)
            json.field("expires_at", expiresAt)
            json.field("accepted_at", acceptedAt)
            json.field("accepted_by", acceptedBy)
            json.field("withdrawn_at", withdrawnAt)
            json.field("created_at", createdAt)
        }
    }
}

struct InvitationFilter: Sendable {
    static let orders = ["created_at", "expires_at", "email"]
    var tenancy: Tenancy
    var workspace: WorkspaceID?
    var status: Invitation.Status?
    var role: WorkspaceRole?
    var email: String?
    var search: String?
    var createdFrom: Instant?
    var createdUntil: Instant?
    var order = Ordering(field: "created_at", descending: true)

    init(_ form: inout Form, tenancy: Tenancy) {
        self.tenancy = tenancy
        workspace = form.optionalID("workspace", as: WorkspaceID.self)
        status = form.optionalChoice("status", as: Invitation.Status.self)
        role = form.optionalChoice("role", as: WorkspaceRole.self)
        email = form.optionalString("email", max: 320)?.lowercased()
        search = form.optionalString("search", max: 200)?.lowercased()
        createdFrom = form.optionalDateBound("created_at__gte")?.firstInUTC
        createdUntil = form.optionalDateBound("created_at__lte")?.endInUTC
        order = Ordering(&form, among: Self.orders, default: order)
    }
}
