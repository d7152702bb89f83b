/// What happens to business configurations. The topic is compacted: its last event per id is the present state.
public enum ConfigEvent: Event, Hashable {
    case changed(ConfigSnapshot)
    case removed(id: BusinessID, workspaceID: WorkspaceID)

    public static let topic = Topic.knowledgeConfigs
    public static let types = ["knowledge.config.changed.v1", "knowledge.config.removed.v1"]

    public var key: String {
        switch self {
        case .changed(let config): config.id.text
        case .removed(let id, _): id.text
        }
    }

    public var type: String {
        switch self {
        case .changed: ConfigEvent.types[0]
        case .removed: ConfigEvent.types[1]
        }
    }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .changed(let config): config.write(to: &json)
        case .removed(let id, let workspaceID):
            json.object { json in
                json.field("id", id)
                json.field("workspace_id", workspaceID)
            }
        }
    }

    public init(type: String, json: JSON) throws {
        let fields = try Fields(json)
        switch type {
        case ConfigEvent.types[0]: self = .changed(try ConfigSnapshot(fields))
        case ConfigEvent.types[1]:
            self = .removed(id: try fields.id("id"), workspaceID: try fields.id("workspace_id"))
        default: throw EventError.unknownType(type)
        }
    }
}

/// Document 003's `BusinessConfig`, and whose it is.
public struct ConfigSnapshot: Sendable, Hashable, JSONWritable {
    public var id: BusinessID
    public var workspaceID: WorkspaceID
    public var version: Int64
    public var name: String
    public var type: String
    /// ai, voice, knowledge_base, quality_assurance, escalation
    public var configData: JSONObject
    public var isActive: Bool
    public var createdAt: Instant
    public var updatedAt: Instant

    public init(
        id: BusinessID, workspaceID: WorkspaceID, version: Int64 = 1, name: String, type: String,
        configData: JSONObject, isActive: Bool, createdAt: Instant, updatedAt: Instant
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.version = version
        self.name = name
        self.type = type
        self.configData = configData
        self.isActive = isActive
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            writeMembers(to: &json)
            json.field("workspace_id", workspaceID)
            json.field("version", version)
        }
    }

    /// As clients see it: document 003's `BusinessConfig`.
    public func writeConfig(to json: inout JSONWriter) {
        json.object { json in writeMembers(to: &json) }
    }

    private func writeMembers(to json: inout JSONWriter) {
        json.field("id", id)
        json.field("name", name)
        json.field("type", type)
        json.field("config_data", configData)
        json.field("is_active", isActive)
        json.field("created_at", createdAt)
        json.field("updated_at", updatedAt)
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.id("id")
        workspaceID = try fields.id("workspace_id")
        version = try fields.int64("version")
        name = try fields.string("name")
        type = try fields.string("type")
        configData = try fields.object("config_data")
        isActive = try fields.bool("is_active")
        createdAt = try fields.instant("created_at")
        updatedAt = try fields.instant("updated_at")
    }
}

extension ConfigEvent {
    public static let schemas = [
        ConfigSnapshot.schema, .object(.required("id", .uuid), .required("workspace_id", .uuid)),
    ]
}

extension ConfigSnapshot {
    static let schema = Schema.ref(
        "ConfigSnapshot",
        .object(
            .required("id", .uuid), .required("name", .string), .required("type", .string),
            .required("config_data", .anyObject, "ai, voice, knowledge_base, quality_assurance, escalation"),
            .required("is_active", .boolean), .required("created_at", .instant), .required("updated_at", .instant),
            .required("workspace_id", .uuid), .required("version", .integer, "Grows with every change.")))
}
