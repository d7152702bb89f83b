/// A manager's note on a call.
public struct NoteSnapshot: Sendable, Hashable, JSONWritable {
    public var id: Int64
    public var callID: CallID
    public var note: String
    public var tags: [String]
    public var category: String?
    public var authorID: UserID
    public var createdAt: Instant

    public init(
        id: Int64, callID: CallID, note: String, tags: [String] = [], category: String? = nil, authorID: UserID,
        createdAt: Instant
    ) {
        self.id = id
        self.callID = callID
        self.note = note
        self.tags = tags
        self.category = category
        self.authorID = authorID
        self.createdAt = createdAt
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("call_id", callID)
            json.field("note", note)
            json.field("tags", tags)
            json.field("category", ifPresent: category)
            json.field("author_id", authorID)
            json.field("created_at", createdAt)
        }
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.int64("id")
        callID = try fields.id("call_id")
        note = try fields.string("note")
        tags = try fields.strings("tags")
        category = try fields.optionalString("category")
        authorID = try fields.id("author_id")
        createdAt = try fields.instant("created_at")
    }
}

extension NoteSnapshot {
    public static let schema = Schema.ref(
        "NoteSnapshot",
        .object(
            .required("id", .integer), .required("call_id", .uuid), .required("note", .string),
            .required("tags", .array(.string)), .optional("category", .string), .required("author_id", .uuid),
            .required("created_at", .instant)))
}
