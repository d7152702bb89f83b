import Shared

/// A knowledge entry with its text: document 003's `KnowledgeEntry`.
struct Entry: Sendable, JSONWritable {
    static let titleMax = 300
    /// A long manual. What is longer is better given in parts, whose titles then help to find them.
    static let contentMax = 200_000

    var about: EntrySnapshot
    var content: String

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", about.id)
            json.field("business_id", ifPresent: about.businessID)
            json.field("title", about.title)
            json.field("content", content)
            json.field("source", ifPresent: about.source)
            json.field("source_type", ifPresent: about.sourceType)
            json.field("metadata", about.metadata)
            json.field("created_at", about.createdAt)
            json.field("updated_at", about.updatedAt)
        }
    }
}

/// An entry that is not stored yet.
struct NewEntry: Sendable {
    var workspaceID: WorkspaceID
    var businessID: BusinessID?
    var title: String
    var content: String
    var source: String?
    var sourceType: String?
    var metadata: JSONObject
}

/// A piece of an entry with everything a search needs of it.
struct IndexedPassage: Sendable {
    var body: String
    /// Distinct words of title and body, as they are counted.
    var terms: [String]
    /// nil when nothing could make one.
    var embedding: [Float]?
}
