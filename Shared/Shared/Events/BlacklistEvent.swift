/// What is blocked and no longer blocked. The topic is compacted: its last event per id is the present state. An entry
/// that runs out is not told of; everybody reads `expires_at`.
public enum BlacklistEvent: Event, Hashable {
    case blocked(BlacklistSnapshot)
    case lifted(id: BlacklistID)

    public static let topic = Topic.authBlacklist
    public static let types = ["auth.blacklist.blocked.v1", "auth.blacklist.lifted.v1"]

    public var key: String {
        switch self {
        case .blocked(let entry): entry.id.text
        case .lifted(let id): id.text
        }
    }

    public var type: String {
        switch self {
        case .blocked: BlacklistEvent.types[0]
        case .lifted: BlacklistEvent.types[1]
        }
    }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .blocked(let entry): entry.write(to: &json)
        case .lifted(let id): json.object { json in json.field("id", id) }
        }
    }

    public init(type: String, json: JSON) throws {
        switch type {
        case BlacklistEvent.types[0]: self = .blocked(try BlacklistSnapshot(json: json))
        case BlacklistEvent.types[1]: self = .lifted(id: try Fields(json).id("id"))
        default: throw EventError.unknownType(type)
        }
    }
}

/// One entry of the blacklist.
public struct BlacklistSnapshot: Sendable, Hashable, JSONWritable {
    public enum Kind: String, CaseIterable, Sendable, JSONWritable {
        case user, email, phone, range

        /// Whether calls are concerned.
        public var isNumber: Bool { self == .phone || self == .range }
    }

    public var id: BlacklistID
    public var kind: Kind
    /// A user's id, a folded address or `*@domain`, or the text of a ``NumberRange``.
    public var value: String
    /// nil: everywhere.
    public var workspaceID: WorkspaceID?
    /// From then on it blocks nothing.
    public var expiresAt: Instant?
    public var version: Int64

    public init(
        id: BlacklistID, kind: Kind, value: String, workspaceID: WorkspaceID? = nil, expiresAt: Instant? = nil,
        version: Int64 = 1
    ) {
        self.id = id
        self.kind = kind
        self.value = value
        self.workspaceID = workspaceID
        self.expiresAt = expiresAt
        self.version = version
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("kind", kind)
            json.field("value", value)
            json.field("workspace_id", ifPresent: workspaceID)
            json.field("expires_at", ifPresent: expiresAt)
            json.field("version", version)
        }
    }

    public init(json: JSON) throws(EventError) {
        let fields = try Fields(json)
        id = try fields.id("id")
        kind = try fields.choice("kind")
        value = try fields.string("value")
        workspaceID = try fields.optionalID("workspace_id")
        expiresAt = try fields.optionalInstant("expires_at")
        version = try fields.int64("version")
    }
}

extension BlacklistEvent {
    public static let schemas = [BlacklistSnapshot.schema, .object(.required("id", .uuid))]
}

extension BlacklistSnapshot {
    static let schema = Schema.ref(
        "BlacklistSnapshot",
        .object(
            .required("id", .uuid), .required("kind", .choice(Kind.self)),
            .required("value", .string, "A user's id, an address or *@domain, a number or a range of numbers."),
            .optional("workspace_id", .uuid, "Left out: it blocks everywhere."),
            .optional("expires_at", .instant, "From then on it blocks nothing."),
            .required("version", .integer, "Grows with every change.")))
}
