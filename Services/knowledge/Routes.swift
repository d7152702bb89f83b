import HTTP
import Shared

extension Knowledge {
    /// Every endpoint of knowledge, one line each.
    var routes: [Route] { entries + configs }

    /// Document 003 §5, and the search.
    private var entries: [Route] {
        [
            .get(
                "/api/v1/knowledge", "List knowledge entries, newest first", access: .may(.readKnowledge),
                query: Schemas.entryQuery,
                returns: .ok(.page("entries", of: Schemas.entry)), handler: listEntries),
            .post(
                "/api/v1/knowledge", "Add a knowledge entry", access: .may(.writeKnowledge), body: Schemas.entryBody,
                returns: .created(Schemas.answer("entry", Schemas.entry)), deadline: .seconds(30), idempotent: true,
                handler: addEntry),
            .post(
                "/api/v1/knowledge/upload", "Upload a document",
                detail: """
                    PDF, DOCX, HTML, Markdown or text; the content decides, not the name. A file that is empty, encrypted, broken \
                    or hostile is refused with the reason. The entry's `status` and `progress` tell how far it is.
                    """,
                access: .may(.writeKnowledge), body: Schemas.uploadBody, consumes: .multipart,
                returns: [202: Schemas.uploaded, 413: nil], bodyMax: policy.uploadMax + (1 << 20),
                deadline: .seconds(60), idempotent: true, handler: uploadDocument),
            .get(
                "/api/v1/knowledge/{entry_id}", "One knowledge entry", access: .may(.readKnowledge),
                path: [.path("entry_id", .integer)], returns: .ok(.object(.required("entry", Schemas.entry))),
                handler: readEntry),
            .get(
                "/api/v1/knowledge/{entry_id}/passages", "The passages of an entry, in order",
                access: .may(.readKnowledge), query: .managerPage, path: [.path("entry_id", .integer)],
                returns: .ok(.page("passages", of: Schemas.passage)), handler: listPassages),
            .delete(
                "/api/v1/knowledge/{entry_id}", "Delete a knowledge entry", access: .may(.writeKnowledge),
                path: [.path("entry_id", .integer)], returns: .ok(Schemas.done), handler: removeEntry),
            .get(
                "/api/v1/knowledge/search", "Find passages that answer a question", access: .may(.readKnowledge),
                query: Schemas.searchQuery, returns: .ok(Schemas.found), handler: searchEntries),
            .get(
                "/internal/search", "The same for a caller's words", tag: "knowledge", access: .internal,
                query: [.query("workspace_id", .uuid, required: true)] + Schemas.searchQuery,
                returns: .ok(Schemas.found), deadline: .seconds(2), handler: searchForCall),
        ]
    }

    /// Document 003 §4.
    private var configs: [Route] {
        [
            .get(
                "/api/v1/config/business", "List business configurations, oldest first", access: .may(.readConfigs),
                query: [.query("is_active", .boolean)],
                returns: .ok(.object(.required("configs", .array(Schemas.config, max: ConfigStore.countMax)))),
                handler: listConfigs),
            .get(
                "/api/v1/config/business/{business_id}", "One business configuration", access: .may(.readConfigs),
                returns: .ok(.object(.required("config", Schemas.config))), handler: readConfig),
            .post(
                "/api/v1/config/business", "Create a business configuration", access: .may(.writeConfigs),
                body: Schemas.configBody, returns: [201: Schemas.answer("config", Schemas.config), 409: nil],
                idempotent: true, handler: createConfig),
            .put(
                "/api/v1/config/business/{business_id}", "Replace a business configuration",
                access: .may(.writeConfigs),
                body: Schemas.configBody, returns: .ok(Schemas.answer("config", Schemas.config)), handler: replaceConfig
            ),
            .delete(
                "/api/v1/config/business/{business_id}", "Delete a business configuration",
                detail: """
                    Refused with 400 IN_USE (`Config in use`) while knowledge entries, AI agents, their phone numbers or live \
                    calls need it; `details` counts them.
                    """,
                access: .may(.writeConfigs), returns: .ok(Schemas.done), handler: removeConfig),
            .get(
                "/api/v1/config/business/{business_id}/versions", "What it said before, newest first",
                access: .may(.readConfigs), query: .managerPage,
                returns: .ok(.page("versions", of: Schemas.configVersion)), handler: listConfigVersions),
            .post(
                "/api/v1/config/business/{business_id}/versions/{version}/restore", "Make a version the present one",
                access: .may(.writeConfigs), path: [.path("version", .integer)],
                returns: .ok(Schemas.answer("config", Schemas.config)), idempotent: true, handler: restoreConfig),
        ]
    }
}
