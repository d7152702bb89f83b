import HTTP
import Messaging
import Postgres
import Shared

/// What a body says about a configuration.
struct ConfigFields: Sendable {
    var name: String
    var type: String
    var data: JSONObject
    /// nil: as it is.
    var isActive: Bool?

    init(_ form: inout Form) {
        name = form.string("name", max: 200)
        type = form.string("type", max: 100)
        data = ConfigData.read(&form)
        isActive = form.optionalBool("is_active")
    }
}

extension Knowledge {
    /// `POST /api/v1/config/business`
    func createConfig(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let named = form.optionalID("workspace_id", as: WorkspaceID.self)
        let fields = ConfigFields(&form)
        try form.finish()
        let workspace = try principal.workspace(named, for: .writeConfigs)
        let config = try await database.transaction { (tx: borrowing Transaction) -> ConfigSnapshot in
            guard let config = try await ConfigStore.add(fields, to: workspace, by: principal.user, tx) else {
                throw Problem.conflict("A workspace may have \(ConfigStore.countMax) business configurations at most.")
            }
            tx.publish(ConfigEvent.changed(config))
            return config
        }
        return .config(status: 201, config, message: "The configuration has been created.")
    }

    /// `PUT /api/v1/config/business/{business_id}`
    func replaceConfig(_ request: Request) async throws -> Response {
        let id = try request.pathID("business_id", as: BusinessID.self, or: .configNotFound)
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let fields = ConfigFields(&form)
        // Who may not see it learns nothing from complaints about the body.
        guard let found = try await ConfigStore.find(id, principal.tenancy, database) else {
            throw Problem.notFound(.configNotFound)
        }
        try principal.require(.writeConfigs, in: found.workspaceID)
        try form.finish()
        let config = try await database.transaction { (tx: borrowing Transaction) -> ConfigSnapshot in
            guard let config = try await ConfigStore.replace(id, by: fields, person: principal.user, tx) else {
                throw Problem.notFound(.configNotFound)
            }
            tx.publish(ConfigEvent.changed(config))
            return config
        }
        return .config(config, message: "The configuration has been updated.")
    }

    /// `POST /api/v1/config/business/{business_id}/versions/{version}/restore` — what a version said becomes a new one.
    func restoreConfig(_ request: Request) async throws -> Response {
        let id = try request.pathID("business_id", as: BusinessID.self, or: .configNotFound)
        let number = try request.pathNumber("version", or: .configNotFound)
        let principal = try request.requirePrincipal()
        guard let found = try await ConfigStore.find(id, principal.tenancy, database) else {
            throw Problem.notFound(.configNotFound)
        }
        try principal.require(.writeConfigs, in: found.workspaceID)
        guard let version = try await ConfigStore.version(number, of: id, database) else {
            throw Problem.notFound(.configNotFound, "There is no version \(number) of this configuration.")
        }
        // Rules may have become stricter since.
        var form = Form(version.body)
        let fields = ConfigFields(&form)
        try form.finish()
        let config = try await database.transaction { (tx: borrowing Transaction) -> ConfigSnapshot in
            guard let config = try await ConfigStore.replace(id, by: fields, person: principal.user, tx) else {
                throw Problem.notFound(.configNotFound)
            }
            tx.publish(ConfigEvent.changed(config))
            return config
        }
        return .config(config, message: "Version \(number) has been restored.")
    }

    /// `DELETE /api/v1/config/business/{business_id}`
    func removeConfig(_ request: Request) async throws -> Response {
        let id = try request.pathID("business_id", as: BusinessID.self, or: .configNotFound)
        let principal = try request.requirePrincipal()
        guard let found = try await ConfigStore.find(id, principal.tenancy, database) else {
            throw Problem.notFound(.configNotFound)
        }
        try principal.require(.writeConfigs, in: found.workspaceID)
        // A remote question, so before the transaction.
        let use = ConfigUse(
            entries: try await ConfigStore.entries(of: id, database),
            others: try await users.count(id, found.workspaceID))
        if let refusal = use.refusal { throw refusal }
        do {
            try await database.transaction { (tx: borrowing Transaction) in
                guard let workspace = try await ConfigStore.lock(id, principal.tenancy, tx) else {
                    throw Problem.notFound(.configNotFound)
                }
                try await ConfigStore.remove(id, tx)
                tx.publish(ConfigEvent.removed(id: id, workspaceID: workspace))
            }
        } catch let error as PostgresError where error.isForeignKeyViolation("entries_business") {
            // Added since they were counted.
            throw ConfigUse(entries: 1, others: use.others).refusal ?? Problem(.inUse, "Config in use.")
        }
        return .done("The configuration has been deleted.")
    }
}

/// What a configuration is needed by.
private struct ConfigUse {
    var entries: Int
    var others: ConfigUsers.Count

    /// Document 003 §4.4: "Config in use". nil when nothing needs it.
    var refusal: Problem? {
        let counts = [
            ("knowledge_entries", "knowledge entries", entries), ("ai_agents", "AI agents", others.aiAgents),
            ("phone_numbers", "phone numbers", others.phoneNumbers), ("live_calls", "live calls", others.liveCalls),
        ].filter { $0.2 > 0 }
        guard !counts.isEmpty else { return nil }
        var details = JSONObject()
        for (name, _, count) in counts { details[name] = .int(count) }
        let by = counts.map { "\($0.2) \($0.1)" }.joined(separator: ", ")
        return Problem(.inUse, "Config in use: \(by).", details: .object(details))
    }
}
