import HTTP
import Postgres
import Shared

extension Knowledge {
    /// `GET /api/v1/config/business`
    func listConfigs(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let isActive = form.optionalBool("is_active")
        try form.finishRefusingUnknown()
        let configs = try await ConfigStore.list(
            try request.requirePrincipal().tenancy, isActive: isActive, database)
        return .json { json in
            json.object { json in
                json.fieldArray("configs") { json in for config in configs { config.writeConfig(to: &json) } }
            }
        }
    }

    /// `GET /api/v1/config/business/{business_id}`
    func readConfig(_ request: Request) async throws -> Response {
        let id = try request.pathID("business_id", as: BusinessID.self, or: .configNotFound)
        let tenancy = try request.requirePrincipal().tenancy
        guard let config = try await ConfigStore.find(id, tenancy, database) else {
            throw Problem.notFound(.configNotFound)
        }
        return .config(config, message: nil)
    }
}

extension Response {
    /// `{"config":{…},"message":"…"}`
    static func config(status: Int = 200, _ config: ConfigSnapshot, message: String?) -> Response {
        .json(status) { json in
            json.object { json in
                json.key("config")
                config.writeConfig(to: &json)
                json.field("message", ifPresent: message)
            }
        }
    }
}
