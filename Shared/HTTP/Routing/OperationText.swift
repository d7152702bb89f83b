import Shared

/// One route as an OpenAPI operation.
struct OperationText {
    private let route: Route
    private let program: String

    init(_ route: Route, _ program: String) {
        self.route = route
        self.program = program
    }

    var json: JSON {
        var object: JSONObject = [
            "operationId": .string(route.id), "summary": .string(route.summary), "tags": [.string(route.tag)],
        ]
        object["description"] = route.detail.map { .string($0) }
        let parameters =
            route.path + route.query + route.headers + (route.idempotent ? [OperationText.idempotencyKey] : [])
        if !parameters.isEmpty { object["parameters"] = .array(parameters.map(OperationText.parameter)) }
        if let body = route.body {
            object["requestBody"] = ["required": true, "content": [route.consumes.mediaType: ["schema": body.json]]]
        } else if case .json = route.consumes {
        } else {
            object["requestBody"] = ["content": [route.consumes.mediaType: [:]]]
        }
        object["responses"] = .object(responses)
        object["security"] =
            route.access.needsPrincipal ? [["bearer": []], ["apiKey": []], ["basic": []]] : JSON.array([])
        object["x-switchboard-access"] = .string(route.access.text)
        object["x-switchboard-limit"] = .string(route.limit.rawValue)
        object["x-switchboard-program"] = .string(program)
        if route.access.needsPrincipal { object["x-switchboard-scope"] = .string(route.scope.text) }
        return .object(object)
    }

    private static let idempotencyKey = Parameter.header(
        "Idempotency-Key", .string(min: 1, max: 255),
        "The first answer under a key is kept for 24 h and sent again; other parameters under it answer 422.")

    private static func parameter(_ parameter: Parameter) -> JSON {
        var object: JSONObject = ["name": .string(parameter.name), "in": .string(parameter.place.rawValue)]
        if !parameter.note.isEmpty { object["description"] = .string(parameter.note) }
        if parameter.isRequired { object["required"] = true }
        object["schema"] = parameter.schema.json
        return .object(object)
    }

    private var responses: JSONObject {
        var object = JSONObject()
        for (status, schema) in route.returns.list { object[String(status)] = answer(status, schema) }
        for status in errorStatuses where object[String(status)] == nil { object[String(status)] = error(status) }
        return object
    }

    private func answer(_ status: Int, _ schema: Schema?) -> JSON {
        var object: JSONObject = ["description": .string(Response.reason(status))]
        if let schema {
            let types = status < 400 && schema.isText ? files : ["application/json"]
            object["content"] = .object(JSONObject(types.map { ($0, ["schema": schema.json]) }))
        } else if status >= 400 {
            return error(status)
        } else if route.produces != "application/json", status == 200 {
            object["content"] = .object(JSONObject(files.map { ($0, [:]) }))
        }
        return .object(object)
    }

    private var files: [String] {
        route.produces.split(separator: ",").map { String($0.drop { $0 == " " }) }
    }

    private func error(_ status: Int) -> JSON {
        if status == 304 { return ["description": "What you have is still right."] }
        return [
            "description": .string(Response.reason(status)),
            "content": ["application/json": ["schema": ErrorSchemas.of(route.family).json]],
        ]
    }

    /// What any route of its kind may answer without saying so itself.
    private var errorStatuses: [Int] {
        if route.family == .internal || route.family == .plain { return [] }
        var statuses: [Int] = []
        let hasBody = route.body != nil || (route.method != .get && route.method != .delete)
        if route.method == .get { statuses.append(304) }
        if hasBody || !route.query.isEmpty || route.family == .manager { statuses.append(400) }
        if route.access.needsPrincipal { statuses += [401, 403] }
        if route.access == .signed { statuses.append(403) }
        if !route.path.isEmpty || route.access.needsPrincipal { statuses.append(404) }
        if hasBody { statuses += [413, 415] }
        // Said before the address is understood, in the manager family's words.
        if !route.query.isEmpty, route.family == .manager { statuses.append(414) }
        if route.idempotent { statuses += [409, 422] }
        if route.limit != .none { statuses.append(429) }
        return statuses + [500, 502, 503, 504]
    }
}
