import HTTP
import Shared

/// A workspace as whoever asks sees it.
struct Workspace: Sendable, Equatable {
    let id: WorkspaceID
    var name: String
    /// The one who has owned it longest.
    var owner: UserID
    var members: Int
    /// The asker's own role; nil for staff who do not belong to it.
    var role: WorkspaceRole?
    var version: Int64
    let createdAt: Instant
    var updatedAt: Instant

    var snapshot: WorkspaceSnapshot { WorkspaceSnapshot(id: id, name: name, ownerID: owner, version: version) }
}

extension Workspace: JSONWritable {
    /// Document 001 calls the name `workspace_name`; the others would call it `name`.
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace_name", name)
            json.field("name", name)
            json.field("owner", owner)
            json.field("members_count", members)
            json.field("role", role)
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }
}

/// Somebody in a workspace.
struct Member: Sendable, Equatable {
    let account: Account
    var role: WorkspaceRole
    let joinedAt: Instant

    func snapshot(in workspace: WorkspaceID) -> MemberSnapshot {
        MemberSnapshot(
            workspaceID: workspace, userID: account.id, role: role, email: account.email.text, name: account.fullName)
    }
}

extension Member: JSONWritable {
    /// What colleagues see of each other.
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", account.id)
            json.field("email", account.email.text)
            json.field("username", account.username)
            json.field("first_name", account.firstName)
            json.field("last_name", account.lastName)
            json.field("full_name", account.fullName)
            json.field("avatar", account.avatar)
            json.field("status", account.status.rawValue)
            json.field("role", role)
            json.field("joined_at", joinedAt)
        }
    }
}

/// What `GET /api/workspaces/workspaces/` may be asked for.
struct WorkspaceFilter: Sendable {
    static let orders = ["created_at", "updated_at", "name", "workspace_name"]
    var tenancy: Tenancy
    var search: [String]?
    var name: String?
    var user: UserID?
    var createdFrom: Instant?
    var createdUntil: Instant?
    var updatedFrom: Instant?
    var updatedUntil: Instant?
    var order = Ordering(field: "created_at", descending: true)

    init(_ form: inout Form, tenancy: Tenancy) {
        self.tenancy = tenancy
        search = form.optionalString("search", max: 200).flatMap(UserSearch.init)?.words
        name = form.optionalString("workspace_name", max: 200) ?? form.optionalString("name", max: 200)
        user = form.optionalID("user", as: UserID.self)
        createdFrom = form.optionalDateBound("created_at__gte")?.firstInUTC
        createdUntil = form.optionalDateBound("created_at__lte")?.endInUTC
        updatedFrom = form.optionalDateBound("updated_at__gte")?.firstInUTC
        updatedUntil = form.optionalDateBound("updated_at__lte")?.endInUTC
        order = Ordering(&form, among: Self.orders, default: order)
    }
}

struct MemberFilter: Sendable {
    static let orders = ["joined_at", "email", "username", "first_name", "last_name", "role"]
    var role: WorkspaceRole?
    var search: String?
    var order = Ordering(field: "joined_at")

    init(_ form: inout Form) {
        role = form.optionalChoice("role", as: WorkspaceRole.self)
        search = form.optionalString("search", max: 200)?.lowercased()
        order = Ordering(&form, among: Self.orders, default: order)
    }
}
