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
            .required("title", .string), .required("content", .string), .optional("source", .string),
            .optional("source_type", .string), .required("metadata", .anyObject), .required("created_at", .instant),
            .required("updated_at", .instant)))

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
                    .required("entry_id", .integer), .required("title", .string),
                    .required("passage", .string, "The entry's passage that fits best."),
                    .required(
                        "score", .number(min: 0, max: 1),
                        """
                        Likeness: the mean of the share of the question's words that occur (rare words count more) and of \
                        the vectors' cosine. The order is by fused rank, so it need not fall from result to result.
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

    static let configBody = Schema.object(
        .required("name", .string(min: 1, max: 200)), .required("type", .string(min: 1, max: 100)),
        .optional("config_data", configData, "Members left out get their defaults."),
        .optional("is_active", .boolean, "true at first; unchanged by a PUT without it."),
        .optional("workspace_id", .uuid, "Only when it is created; default: the caller's own."))
}
