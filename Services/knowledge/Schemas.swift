import HTTP
import Shared

/// What the routes take and return, for the OpenAPI document.
enum Schemas {
    static let done = Schema.object(.required("success", .boolean), .required("message", .string))

    static func answer(_ name: String, _ schema: Schema) -> Schema {
        .object(.required(name, schema), .required("message", .string))
    }

    // MARK: Knowledge

    static let entry = Schema.ref(
        "KnowledgeEntry",
        .object(
            .required("id", .integer), .optional("business_id", .uuid, "Absent: for every business of the workspace."),
            .required("title", .string),
            .required("content", .string, "A document's text; empty while it is processed."),
            .optional("content_is_cut", .boolean, "Lists show \(Entry.contentMax) characters of a longer text."),
            .optional("source", .string, "Of a document: its file name."),
            .optional("source_type", .string, "Of a document: pdf, docx, html, md or txt."),
            .required("metadata", .anyObject, "Of a document also file_name, file_size, pages, passages."),
            .required("status", .choice(EntrySnapshot.Status.self), "Only what is ready is found by a search."),
            .required("progress", .integer(min: 0, max: 100), "Percent."),
            .optional("error", .string, "Why it failed."),
            .required("created_at", .instant), .required("updated_at", .instant)))

    static let passage = Schema.object(
        .required("id", .integer), .required("position", .integer, "From 0."), .required("passage", .string),
        .optional("heading", .string, "The headings above it."), .optional("page_from", .integer),
        .optional("page_to", .integer))

    static let uploadBody = Schema.object(
        .required("file", .string(format: "binary"), "PDF, DOCX, HTML, Markdown or text."),
        .optional("business_id", .uuid, "A configuration of the same workspace."),
        .optional("title", .string(min: 1, max: Entry.titleMax), "Default: the document's own, or the file's name."),
        .optional("workspace_id", .uuid, "Default: the business's workspace, or else the caller's own."))

    static let uploaded = Schema.object(
        .required("entry", entry), .required("message", .string),
        .required("processing_status", .string(enum: ["processing", "completed", "failed"])))

    static let entryBody = Schema.object(
        .required("title", .string(min: 1, max: Entry.titleMax)),
        .required("content", .string(min: 1, max: Entry.contentMax)),
        .optional("business_id", .uuid, "A configuration of the same workspace."),
        .optional("source", .string(max: 1000)), .optional("source_type", .string(max: 100)),
        .optional("metadata", .anyObject, "64 KB of JSON at most."),
        .optional("workspace_id", .uuid, "Default: the business's workspace, or else the caller's own."))

    static let entryQuery: [Parameter] =
        [
            .query("business_id", .uuid, "Only the entries of this configuration."),
            .query("search", .string(max: 200), "Words of the title or the text."),
        ] + .managerPage

    static let searchQuery: [Parameter] = [
        .query("q", .string(min: 1, max: Question.lengthMax), "The question, as it was asked.", required: true),
        .query("limit", .integer(min: 1, max: Question.limitMax), "Results; \(Question.limitDefault) unless given."),
        .query("business_id", .uuid, "Its entries and those for every business; absent: all."),
    ]

    static let found = Schema.object(
        .required(
            "results",
            .array(
                .object(
                    .required("entry_id", .integer), .required("passage_id", .integer),
                    .required("position", .integer, "The passage's place in the entry, from 0."),
                    .required("title", .string),
                    .required("passage", .string, "The entry's passage that fits best."),
                    .optional("heading", .string, "The headings above it in a document."),
                    .optional("source", .string), .optional("page", .integer, "Of a document, where it tells."),
                    .required(
                        "score", .number(min: 0, max: 1),
                        """
                        The share of the question's words and meanings that occur, rare ones counting more; with \
                        EMBEDDINGS_URL the mean of that and of the vectors' cosine. The order also counts where and how \
                        often they occur, so it need not fall from result to result.
                        """),
                    .required(
                        "coverage", .number(min: 0, max: 1),
                        """
                        The share of the question's words that the passage has or says otherwise, rare ones counting more, \
                        also those no entry knows. Below about 0.5 it is more likely about something else.
                        """)),
                max: Question.limitMax)))

    // MARK: Configurations

    static let configData = Schema.ref("BusinessConfigData", ConfigData.schema)

    static let config = Schema.ref(
        "BusinessConfig",
        .object(
            .required("id", .uuid), .required("name", .string), .required("type", .string),
            .required("config_data", configData), .required("is_active", .boolean), .required("created_at", .instant),
            .required("updated_at", .instant)))

    static let configVersion = Schema.ref(
        "BusinessConfigVersion",
        .object(
            .required("version", .integer, "From 1."), .required("name", .string), .required("type", .string),
            .required("config_data", configData), .required("is_active", .boolean),
            .required("changed_by", .uuid, "The user."), .required("changed_at", .instant)))

    static let configBody = Schema.object(
        .required("name", .string(min: 1, max: 200)), .required("type", .string(min: 1, max: 100)),
        .optional("config_data", configData, "Members left out get their defaults."),
        .optional("is_active", .boolean, "true at first; unchanged by a PUT without it."),
        .optional("workspace_id", .uuid, "Only when it is created; default: the caller's own."))
}
