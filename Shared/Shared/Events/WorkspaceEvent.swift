/// What happens to workspaces and who belongs to them.
public enum WorkspaceEvent: Event, Hashable {
    case created(WorkspaceSnapshot)
    case updated(WorkspaceSnapshot)
    /// Also when a member's role changes.
    case memberAdded(MemberSnapshot)
    case memberRemoved(MemberSnapshot)
    case deleted(id: WorkspaceID)

    public static let topic = Topic.authWorkspaces
    public static let types = [
        "auth.workspace.created.v1", "auth.workspace.updated.v1", "auth.workspace.member_added.v1",
        "auth.workspace.member_removed.v1", "auth.workspace.deleted.v1",
    ]

    public var workspaceID: WorkspaceID {
        switch self {
        case .created(let workspace), .updated(let workspace): workspace.id
        case .memberAdded(let member), .memberRemoved(let member): member.workspaceID
        case .deleted(let id): id
        }
    }

    public var key: String { workspaceID.text }

    public var type: String {
        switch self {
        case .created: WorkspaceEvent.types[0]
        case .updated: WorkspaceEvent.types[1]
        case .memberAdded: WorkspaceEvent.types[2]
        case .memberRemoved: WorkspaceEvent.types[3]
        case .deleted: WorkspaceEvent.types[4]
        }
    }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .created(let workspace), .updated(let workspace): workspace.write(to: &json)
        case .memberAdded(let member), .memberRemoved(let member): member.write(to: &json)
        case .deleted(let id): json.object { json in json.field("id", id) }
        }
    }

    public init(type: String, json: JSON) throws {
        switch type {
        case WorkspaceEvent.types[0]: self = .created(try WorkspaceSnapshot(json: json))
        case WorkspaceEvent.types[1]: self = .updated(try WorkspaceSnapshot(json: json))
        case WorkspaceEvent.types[2]: self = .memberAdded(try MemberSnapshot(json: json))
        case WorkspaceEvent.types[3]: self = .memberRemoved(try MemberSnapshot(json: json))
        case WorkspaceEvent.types[4]: self = .deleted(id: try Fields(json).id("id"))
        default: throw EventError.unknownType(type)
        }
    }
}

public struct WorkspaceSnapshot: Sendable, Hashable, JSONWritable {
    public var id: WorkspaceID
    public var name: String
    public var ownerID: UserID
    public var version: Int64

    public init(id: WorkspaceID, name: String, ownerID: UserID, version: Int64 = 1) {
        self.id = id
        self.name = name
        self.ownerID = ownerID
        self.version = version
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("name", name)
            json.field("owner_id", ownerID)
            json.field("version", version)
        }
    }

    public init(json: JSON) throws(EventError) {
        let fields = try Fields(json)
        id = try fields.id("id")
        name = try fields.string("name")
        ownerID = try fields.id("owner_id")
        version = try fields.int64("version")
    }
}

/// A person in a workspace.
public struct MemberSnapshot: Sendable, Hashable, JSONWritable {
    public var workspaceID: WorkspaceID
    public var userID: UserID
    public var role: WorkspaceRole
    public var email: String
    public var name: String

    public init(workspaceID: WorkspaceID, userID: UserID, role: WorkspaceRole, email: String, name: String) {
        self.workspaceID = workspaceID
        self.userID = userID
        self.role = role
        self.email = email
        self.name = name
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("workspace_id", workspaceID)
            json.field("user_id", userID)
            json.field("role", role)
            json.field("email", email)
            json.field("name", name)
        }
    }

    public init(json: JSON) throws(EventError) {
        let fields = try Fields(json)
        workspaceID = try fields.id("workspace_id")
        userID = try fields.id("user_id")
        role = try fields.choice("role")
        email = try fields.string("email")
        name = try fields.string("name")
    }
}

extension WorkspaceEvent {
    public static let schemas = [
        WorkspaceSnapshot.schema, WorkspaceSnapshot.schema, MemberSnapshot.schema, MemberSnapshot.schema,
        .object(.required("id", .uuid)),
    ]
}

extension WorkspaceSnapshot {
    static let schema = Schema.ref(
        "WorkspaceSnapshot",
        .object(
            .required("id", .uuid), .required("name", .string), .required("owner_id", .uuid),
            .required("version", .integer, "Grows with every change.")))
}

extension MemberSnapshot {
    static let schema = Schema.ref(
        "MemberSnapshot",
        .object(
            .required("workspace_id", .uuid), .required("user_id", .uuid),
            .required("role", .choice(WorkspaceRole.self)), .required("email", .email), .required("name", .string)))
}
