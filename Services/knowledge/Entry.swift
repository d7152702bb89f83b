import Shared

/// A knowledge entry with its text: document 003's `KnowledgeEntry`, and how far an uploaded document is.
struct Entry: Sendable, JSONWritable {
    static let titleMax = 300
    /// A long manual. What is longer is better given in parts, whose titles then help to find them.
    static let contentMax = 200_000

    var about: EntrySnapshot
    var content: String
    /// A list shows only the beginning of a long document; asked for alone, it is whole.
    var isCut = false

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", about.id)
            json.field("business_id", ifPresent: about.businessID)
            json.field("title", about.title)
            json.field("content", content)
            if isCut { json.field("content_is_cut", true) }
            json.field("source", ifPresent: about.source)
            json.field("source_type", ifPresent: about.sourceType)
            json.field("metadata", about.metadata)
            json.field("status", about.status)
            json.field("progress", about.progress)
            json.field("error", ifPresent: about.error)
            json.field("created_at", about.createdAt)
            json.field("updated_at", about.updatedAt)
        }
    }
}

extension EntrySnapshot.Status {
    /// Document 003 §5.3's word for it.
    var processing: String {
        switch self {
        case .processing: "processing"
        case .ready: "completed"
        case .failed: "failed"
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
    var passage: Passage
    /// Each term and how much it says about the passage.
    var weights: [String: Double]
    /// nil when nothing could make one.
    var embedding: [Float]?
}
