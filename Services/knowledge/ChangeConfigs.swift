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

    /// `DELETE /api/v1/config/business/{business_id}`
    func removeConfig(_ request: Request) async throws -> Response {
        let id = try request.pathID("business_id", as: BusinessID.self, or: .configNotFound)
        let principal = try request.requirePrincipal()
        do {
            try await database.transaction { (tx: borrowing Transaction) in
                guard let workspace = try await ConfigStore.lock(id, principal.tenancy, tx) else {
                    throw Problem.notFound(.configNotFound)
                }
                try principal.require(.writeConfigs, in: workspace)
                try await ConfigStore.remove(id, tx)
                tx.publish(ConfigEvent.removed(id: id, workspaceID: workspace))
            }
        } catch let error as PostgresError where error.isForeignKeyViolation("entries_business") {
            throw Problem(.inUse, "Knowledge entries belong to this configuration; delete them first.")
        }
        return .done("The configuration has been deleted.")
    }
}
