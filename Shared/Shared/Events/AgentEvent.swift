/// What happens to agents: the humans who take escalated calls, and the AI's.
public enum AgentEvent: Event, Hashable {
    case changed(HumanAgentSnapshot)
    case removed(id: HumanAgentID, workspaceID: WorkspaceID)
    case aiChanged(AgentSnapshot)
    /// - version: one more than the last change's.
    case aiRemoved(id: AgentID, workspaceID: WorkspaceID, version: Int64)

    public static let topic = Topic.telephonyAgents
    public static let types = [
        "telephony.agent.changed.v1", "telephony.agent.removed.v1", "telephony.ai_agent.changed.v1",
        "telephony.ai_agent.removed.v1",
    ]

    public var key: String {
        switch self {
        case .changed(let agent): agent.id.text
        case .removed(let id, _): id.text
        case .aiChanged(let agent): agent.id.text
        case .aiRemoved(let id, _, _): id.text
        }
    }

    public var type: String {
        switch self {
        case .changed: AgentEvent.types[0]
        case .removed: AgentEvent.types[1]
        case .aiChanged: AgentEvent.types[2]
        case .aiRemoved: AgentEvent.types[3]
        }
    }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .changed(let agent): agent.write(to: &json)
        case .removed(let id, let workspaceID):
            json.object { json in
                json.field("id", id)
                json.field("workspace_id", workspaceID)
            }
        case .aiChanged(let agent): agent.write(to: &json)
        case .aiRemoved(let id, let workspaceID, let version):
            json.object { json in
                json.field("id", id)
                json.field("workspace_id", workspaceID)
                json.field("version", version)
            }
        }
    }

    public init(type: String, json: JSON) throws {
        let fields = try Fields(json)
        switch type {
        case AgentEvent.types[0]: self = .changed(try HumanAgentSnapshot(fields))
        case AgentEvent.types[1]:
            self = .removed(id: try fields.id("id"), workspaceID: try fields.id("workspace_id"))
        case AgentEvent.types[2]: self = .aiChanged(try AgentSnapshot(fields))
        case AgentEvent.types[3]:
            self = .aiRemoved(
                id: try fields.id("id"), workspaceID: try fields.id("workspace_id"),
                version: try fields.int64("version"))
        default: throw EventError.unknownType(type)
        }
    }
}

/// Document 003's `HumanAgent`, and where it belongs.
public struct HumanAgentSnapshot: Sendable, Hashable, JSONWritable {
    public var id: HumanAgentID
    public var workspaceID: WorkspaceID
    public var version: Int64
    /// The person's account, once they have one.
    public var userID: UserID?
    public var name: String
    public var email: String
    public var phoneNumber: String?
    public var `extension`: String?
    public var isAvailable: Bool
    public var isActive: Bool
    public var skills: [String]
    public var departments: [String]
    public var totalCallsHandled: Int
    public var averageRating: Double?
    public var createdAt: Instant
    public var updatedAt: Instant
    public var lastActiveAt: Instant?
    public var metadata: JSONObject

    public init(
        id: HumanAgentID, workspaceID: WorkspaceID, version: Int64 = 1, userID: UserID? = nil, name: String,
        email: String, phoneNumber: String? = nil, extension: String? = nil, isAvailable: Bool, isActive: Bool,
        skills: [String] = [], departments: [String] = [], totalCallsHandled: Int = 0, averageRating: Double? = nil,
        createdAt: Instant, updatedAt: Instant, lastActiveAt: Instant? = nil, metadata: JSONObject = [:]
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.version = version
        self.userID = userID
        self.name = name
        self.email = email
        self.phoneNumber = phoneNumber
        self.extension = `extension`
        self.isAvailable = isAvailable
        self.isActive = isActive
        self.skills = skills
        self.departments = departments
        self.totalCallsHandled = totalCallsHandled
        self.averageRating = averageRating
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.lastActiveAt = lastActiveAt
        self.metadata = metadata
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            writeMembers(to: &json)
            json.field("workspace_id", workspaceID)
            json.field("version", version)
            json.field("user_id", ifPresent: userID)
        }
    }

    /// As clients see it: document 003's `HumanAgent`.
    public func writeAgent(to json: inout JSONWriter) {
        json.object { json in writeMembers(to: &json) }
    }

    private func writeMembers(to json: inout JSONWriter) {
        json.field("id", id)
        json.field("name", name)
        json.field("email", email)
        json.field("phone_number", ifPresent: phoneNumber)
        json.field("extension", ifPresent: `extension`)
        json.field("is_available", isAvailable)
        json.field("is_active", isActive)
        json.field("skills", skills)
        json.field("departments", departments)
        json.field("total_calls_handled", totalCallsHandled)
        json.field("average_rating", ifPresent: averageRating)
        json.field("created_at", createdAt)
        json.field("updated_at", updatedAt)
        json.field("last_active_at", ifPresent: lastActiveAt)
        json.field("metadata", metadata)
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.id("id")
        workspaceID = try fields.id("workspace_id")
        version = try fields.int64("version")
        userID = try fields.optionalID("user_id")
        name = try fields.string("name")
        email = try fields.string("email")
        phoneNumber = try fields.optionalString("phone_number")
        `extension` = try fields.optionalString("extension")
        isAvailable = try fields.bool("is_available")
        isActive = try fields.bool("is_active")
        skills = try fields.strings("skills")
        departments = try fields.strings("departments")
        totalCallsHandled = try fields.int("total_calls_handled")
        averageRating = try fields.optionalDouble("average_rating")
        createdAt = try fields.instant("created_at")
        updatedAt = try fields.instant("updated_at")
        lastActiveAt = try fields.optionalInstant("last_active_at")
        metadata = try fields.object("metadata")
    }
}

/// An AI agent (document 001) as other programs need it: who it is, not how it talks.
public struct AgentSnapshot: Sendable, Hashable, JSONWritable {
    public var id: AgentID
    public var workspaceID: WorkspaceID
    public var version: Int64
    public var businessID: BusinessID?
    public var name: String
    /// training, learning, active, paused
    public var status: String
    public var language: String
    public var createdAt: Instant
    public var updatedAt: Instant

    public init(
        id: AgentID, workspaceID: WorkspaceID, version: Int64 = 1, businessID: BusinessID? = nil, name: String,
        status: String, language: String, createdAt: Instant, updatedAt: Instant
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.version = version
        self.businessID = businessID
        self.name = name
        self.status = status
        self.language = language
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace_id", workspaceID)
            json.field("version", version)
            json.field("business_id", ifPresent: businessID)
            json.field("name", name)
            json.field("status", status)
            json.field("language", language)
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.id("id")
        workspaceID = try fields.id("workspace_id")
        version = try fields.int64("version")
        businessID = try fields.optionalID("business_id")
        name = try fields.string("name")
        status = try fields.string("status")
        language = try fields.string("language")
        createdAt = try fields.instant("created_at")
        updatedAt = try fields.instant("updated_at")
    }
}

extension AgentEvent {
    public static let schemas = [
        HumanAgentSnapshot.schema,
        .object(.required("id", .uuid), .required("workspace_id", .uuid)),
        AgentSnapshot.schema,
        .object(.required("id", .uuid), .required("workspace_id", .uuid), .required("version", .integer)),
    ]
}

extension HumanAgentSnapshot {
    static let schema = Schema.ref(
        "HumanAgentSnapshot",
        .object(
            .required("id", .uuid), .required("name", .string), .required("email", .email),
            .optional("phone_number", .string), .optional("extension", .string), .required("is_available", .boolean),
            .required("is_active", .boolean), .required("skills", .array(.string)),
            .required("departments", .array(.string)), .required("total_calls_handled", .integer),
            .optional("average_rating", .number), .required("created_at", .instant),
            .required("updated_at", .instant), .optional("last_active_at", .instant),
            .required("metadata", .anyObject), .required("workspace_id", .uuid),
            .required("version", .integer, "Grows with every change."), .optional("user_id", .uuid)))
}

extension AgentSnapshot {
    static let schema = Schema.ref(
        "AgentSnapshot",
        .object(
            .required("id", .uuid), .required("workspace_id", .uuid),
            .required("version", .integer, "Grows with every change."), .optional("business_id", .uuid),
            .required("name", .string), .required("status", .string, "training, learning, active, paused"),
            .required("language", .string), .required("created_at", .instant), .required("updated_at", .instant)))
}
