/// What happens to knowledge entries.
public enum EntryEvent: Event, Hashable {
    case added(EntrySnapshot)
    case updated(EntrySnapshot)
    case removed(id: Int64, workspaceID: WorkspaceID)

    public static let topic = Topic.knowledgeEntries
    public static let types = [
        "knowledge.entry.added.v1", "knowledge.entry.updated.v1", "knowledge.entry.removed.v1",
    ]

    public var key: String {
        switch self {
        case .added(let entry), .updated(let entry): String(entry.id)
        case .removed(let id, _): String(id)
        }
    }

    public var type: String {
        switch self {
        case .added: EntryEvent.types[0]
        case .updated: EntryEvent.types[1]
        case .removed: EntryEvent.types[2]
        }
    }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .added(let entry), .updated(let entry): entry.write(to: &json)
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
        case EntryEvent.types[0]: self = .added(try EntrySnapshot(fields))
        case EntryEvent.types[1]: self = .updated(try EntrySnapshot(fields))
        case EntryEvent.types[2]:
            self = .removed(id: try fields.int64("id"), workspaceID: try fields.id("workspace_id"))
        default: throw EventError.unknownType(type)
        }
    }
}

/// Document 003's `KnowledgeEntry`. Events leave the content out: it can be a whole book.
public struct EntrySnapshot: Sendable, Hashable, JSONWritable {
    public var id: Int64
    public var workspaceID: WorkspaceID
    public var version: Int64
    public var businessID: BusinessID?
    public var title: String
    public var source: String?
    public var sourceType: String?
    public var metadata: JSONObject
    public var status: Status
    /// Of a document that is being processed, percent.
    public var progress: Int
    /// Why it failed.
    public var error: String?
    public var createdAt: Instant
    public var updatedAt: Instant

    public enum Status: String, CaseIterable, Sendable, JSONWritable {
        /// An uploaded document that is not found yet.
        case processing
        case ready
        case failed
    }

    public init(
        id: Int64, workspaceID: WorkspaceID, version: Int64 = 1, businessID: BusinessID? = nil, title: String,
        source: String? = nil, sourceType: String? = nil, metadata: JSONObject = [:], status: Status = .ready,
        progress: Int = 100, error: String? = nil, createdAt: Instant,
        updatedAt: Instant
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.version = version
        self.businessID = businessID
        self.title = title
        self.source = source
        self.sourceType = sourceType
        self.metadata = metadata
        self.status = status
        self.progress = progress
        self.error = error
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace_id", workspaceID)
            json.field("version", version)
            json.field("business_id", ifPresent: businessID)
            json.field("title", title)
            json.field("source", ifPresent: source)
            json.field("source_type", ifPresent: sourceType)
            json.field("metadata", metadata)
            // Told of documents that are not findable, as everything else is.
            if status != .ready {
                json.field("status", status)
                json.field("progress", progress)
                json.field("error", ifPresent: error)
            }
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.int64("id")
        workspaceID = try fields.id("workspace_id")
        version = try fields.int64("version")
        businessID = try fields.optionalID("business_id")
        title = try fields.string("title")
        source = try fields.optionalString("source")
        sourceType = try fields.optionalString("source_type")
        metadata = try fields.object("metadata")
        // Events from before documents could be uploaded have none of these.
        status = try fields.optionalChoice("status") ?? .ready
        progress = try fields.optionalInt("progress") ?? 100
        error = try fields.optionalString("error")
        createdAt = try fields.instant("created_at")
        updatedAt = try fields.instant("updated_at")
    }
}

extension EntryEvent {
    public static let schemas = [
        EntrySnapshot.schema, EntrySnapshot.schema,
        .object(.required("id", .integer), .required("workspace_id", .uuid)),
    ]
}

extension EntrySnapshot {
    static let schema = Schema.ref(
        "EntrySnapshot",
        .object(
            .required("id", .integer), .required("workspace_id", .uuid),
            .required("version", .integer, "Grows with every change."), .optional("business_id", .uuid),
            .required("title", .string), .optional("source", .string), .optional("source_type", .string),
            .required("metadata", .anyObject), .required("created_at", .instant), .required("updated_at", .instant)))
}
