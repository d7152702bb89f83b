/// What happens to people. `deleted` means erase: whoever holds anything of theirs removes it.
public enum UserEvent: Event, Hashable {
    case created(UserSnapshot)
    case updated(UserSnapshot)
    case blacklisted(UserSnapshot)
    case deleted(id: UserID)

    public static let topic = Topic.authUsers
    public static let types = [
        "auth.user.created.v1", "auth.user.updated.v1", "auth.user.blacklisted.v1", "auth.user.deleted.v1",
    ]

    public var userID: UserID {
        switch self {
        case .created(let user), .updated(let user), .blacklisted(let user): user.id
        case .deleted(let id): id
        }
    }

    public var key: String { userID.text }

    public var type: String {
        switch self {
        case .created: UserEvent.types[0]
        case .updated: UserEvent.types[1]
        case .blacklisted: UserEvent.types[2]
        case .deleted: UserEvent.types[3]
        }
    }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .created(let user), .updated(let user), .blacklisted(let user): user.write(to: &json)
        case .deleted(let id): json.object { json in json.field("id", id) }
        }
    }

    public init(type: String, json: JSON) throws {
        switch type {
        case UserEvent.types[0]: self = .created(try UserSnapshot(json: json))
        case UserEvent.types[1]: self = .updated(try UserSnapshot(json: json))
        case UserEvent.types[2]: self = .blacklisted(try UserSnapshot(json: json))
        case UserEvent.types[3]: self = .deleted(id: try Fields(json).id("id"))
        default: throw EventError.unknownType(type)
        }
    }
}

public struct UserSnapshot: Sendable, Hashable, JSONWritable {
    public var id: UserID
    public var email: String
    public var username: String
    public var firstName: String
    public var lastName: String
    public var role: Role
    /// active, inactive, suspended
    public var status: String
    public var isStaff: Bool
    public var version: Int64

    public init(
        id: UserID, email: String, username: String, firstName: String, lastName: String, role: Role,
        status: String = "active", isStaff: Bool = false, version: Int64 = 1
    ) {
        self.id = id
        self.email = email
        self.username = username
        self.firstName = firstName
        self.lastName = lastName
        self.role = role
        self.status = status
        self.isStaff = isStaff
        self.version = version
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("email", email)
            json.field("username", username)
            json.field("first_name", firstName)
            json.field("last_name", lastName)
            json.field("role", role)
            json.field("status", status)
            json.field("is_staff", isStaff)
            json.field("version", version)
        }
    }

    public init(json: JSON) throws(EventError) {
        let fields = try Fields(json)
        id = try fields.id("id")
        email = try fields.string("email")
        username = try fields.string("username")
        firstName = try fields.string("first_name")
        lastName = try fields.string("last_name")
        role = try fields.choice("role")
        status = try fields.string("status")
        isStaff = try fields.bool("is_staff")
        version = try fields.int64("version")
    }
}

extension UserEvent {
    public static let schemas = [
        UserSnapshot.schema, UserSnapshot.schema, UserSnapshot.schema, .object(.required("id", .uuid)),
    ]
}

extension UserSnapshot {
    static let schema = Schema.ref(
        "UserSnapshot",
        .object(
            .required("id", .uuid), .required("email", .email), .required("username", .string),
            .required("first_name", .string), .required("last_name", .string), .required("role", .choice(Role.self)),
            .required("status", .string, "active, inactive, suspended"), .required("is_staff", .boolean),
            .required("version", .integer, "Grows with every change.")))
}
