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

    /// `GET /api/v1/config/business/{business_id}/versions`
    func listConfigVersions(_ request: Request) async throws -> Response {
        let id = try request.pathID("business_id", as: BusinessID.self, or: .configNotFound)
        var form = request.queryForm
        let page = Page(manager: &form)
        var before: Int64?
        if let cursor = page.cursor {
            before = cursor.values.count == 1 ? cursor.values[0].int64 : nil
            if before == nil { form.fail("cursor", "must be a next_cursor of this list") }
        }
        try form.finishRefusingUnknown()
        guard try await ConfigStore.find(id, try request.requirePrincipal().tenancy, database) != nil else {
            throw Problem.notFound(.configNotFound)
        }
        let found = try await ConfigStore.versions(of: id, before: before, page, database)
        return .json { json in
            json.object { json in
                json.field("versions", found.versions)
                page.writePagination(
                    to: &json, total: before == nil ? .exact(found.total) : .uncounted,
                    next: found.hasMore ? found.versions.last.map { Cursor([.int($0.version)]) } : nil)
            }
        }
    }
}

/// What a configuration said at one time, since when and by whose hand.
struct ConfigVersion: Sendable, JSONWritable {
    var version: Int64
    var name: String
    var type: String
    var data: JSONObject
    var isActive: Bool
    var changedBy: UserID
    var changedAt: Instant

    /// As it would be sent to say the same again.
    var body: JSONObject {
        [
            "name": .string(name), "type": .string(type), "config_data": .object(data), "is_active": .bool(isActive),
        ]
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("version", version)
            json.field("name", name)
            json.field("type", type)
            json.field("config_data", data)
            json.field("is_active", isActive)
            json.field("changed_by", changedBy)
            json.field("changed_at", changedAt)
        }
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
