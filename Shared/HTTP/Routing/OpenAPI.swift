import Shared

/// The OpenAPI 3.1 document of a route table.
public enum OpenAPI {
    /// - Parameters:
    ///   - title: what the reader of the document sees.
    ///   - program: who serves these routes; kept as `x-switchboard-program` on each operation.
    public static func document(_ routes: [Route], title: String, program: String, version: String = "1.0.0") -> JSON {
        var paths = JSONObject()
        var schemas = JSONObject()
        for route in routes {
            let path = OpenAPI.path(route.pattern)
            var item = paths[path]?.object ?? JSONObject()
            item[route.method.name.lowercased()] = OperationText(route, program).json
            paths[path] = .object(item)
            for schema in [route.body].compactMap({ $0 }) + route.returns.list.compactMap(\.schema) {
                schema.collect(into: &schemas)
            }
            for parameter in route.query + route.path + route.headers { parameter.schema.collect(into: &schemas) }
        }
        ErrorSchemas.manager.collect(into: &schemas)
        ErrorSchemas.classic.collect(into: &schemas)
        return frame(title: title, version: version, note: nil, servers: [], tags: tags(of: paths), paths, schemas)
    }

    /// Several programs' documents as one, without what is internal. Where two programs describe the same path and
    /// method the first counts; where they mean different things by one component name, the later one's gets its
    /// program's name in front.
    /// - Parameter servers: base URLs under which the whole is reached.
    public static func merge(
        _ documents: [JSON], title: String, version: String = "1.0.0", note: String? = nil, servers: [String] = []
    ) -> JSON {
        var paths = JSONObject()
        var schemas = JSONObject()
        for document in documents {
            let fitted = MergeNames.fitted(document, among: schemas)
            for (name, schema) in fitted["components"]?["schemas"]?.object?.pairs ?? [] where schemas[name] == nil {
                schemas[name] = schema
            }
            for (path, operations) in fitted["paths"]?.object?.pairs ?? [] {
                var item = paths[path]?.object ?? JSONObject()
                for (method, operation) in operations.object?.pairs ?? [] {
                    if operation["x-switchboard-access"]?.string == Access.internal.text { continue }
                    if item[method] == nil { item[method] = operation }
                }
                if !item.isEmpty { paths[path] = .object(item) }
            }
        }
        uniqueOperations(&paths)
        return frame(
            title: title, version: version, note: note, servers: servers, tags: tags(of: paths), paths, schemas)
    }

    private static func frame(
        title: String, version: String, note: String?, servers: [String], tags: [String], _ paths: JSONObject,
        _ schemas: JSONObject
    ) -> JSON {
        var info: JSONObject = ["title": .string(title), "version": .string(version)]
        info["description"] = note.map { .string($0) }
        var document: JSONObject = ["openapi": "3.1.0", "info": .object(info)]
        if !servers.isEmpty { document["servers"] = .array(servers.map { ["url": .string($0)] }) }
        document["tags"] = .array(tags.map { ["name": .string($0)] })
        document["paths"] = .object(paths)
        document["components"] = ["schemas": .object(schemas), "securitySchemes": securitySchemes]
        return .object(document)
    }

    private static let securitySchemes: JSON = [
        "bearer": [
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token of POST /api/auth/login/, or an API key.",
        ],
        "apiKey": ["type": "apiKey", "in": "header", "name": "X-Api-Key"],
        "basic": ["type": "http", "scheme": "basic", "description": "Only where ALLOW_BASIC_AUTH is on."],
    ]

    /// `/media/{file*}` is written without its star; slashes in that parameter stay slashes.
    static func path(_ pattern: String) -> String { String(pattern.filter { $0 != "*" }) }

    private static func tags(of paths: JSONObject) -> [String] {
        var seen: [String] = []
        for (_, item) in paths.pairs {
            for (_, operation) in item.object?.pairs ?? [] {
                for case .string(let tag) in operation["tags"]?.array ?? [] where !seen.contains(tag) {
                    seen.append(tag)
                }
            }
        }
        return seen.sorted()
    }

    private static func uniqueOperations(_ paths: inout JSONObject) {
        var seen: Set<String> = []
        for (path, item) in paths.pairs {
            guard var operations = item.object else { continue }
            for (method, operation) in operations.pairs {
                guard var object = operation.object, let id = object["operationId"]?.string else { continue }
                var unique = id
                var number = 2
                while !seen.insert(unique).inserted {
                    unique = "\(id)\(number)"
                    number += 1
                }
                if unique == id { continue }
                object["operationId"] = .string(unique)
                operations[method] = .object(object)
            }
            paths[path] = .object(operations)
        }
    }
}

/// What the two families' errors look like.
enum ErrorSchemas {
    static let manager = Schema.ref(
        "ManagerError",
        .object(
            .required(
                "error",
                .object(
                    .required("code", .string, "One of a closed list, such as CALL_NOT_FOUND or VALIDATION_ERROR."),
                    .required("message", .string),
                    .optional("details", .anyObject, "`fields` names every bad field with its complaints.")))))

    static let classic = Schema.ref(
        "ClassicError",
        .object(
            .required("detail", .string), .required("status", .integer), .required("code", .string),
            .required("error", .string, "A short title."), .required("message", .string, "The same as `detail`."),
            .optional("errors", .map(.array(.string)), "Complaints by field.")))

    static func of(_ family: Route.Family) -> Schema { family == .classic ? classic : manager }
}

/// Makes the component names of a document fit among those already taken.
private enum MergeNames {
    static func fitted(_ document: JSON, among taken: JSONObject) -> JSON {
        let own = document["components"]?["schemas"]?.object ?? JSONObject()
        let clashing = own.pairs.filter { name, schema in taken[name] != nil && taken[name] != schema }.map(\.name)
        if clashing.isEmpty { return document }
        let prefix = program(document)
        var names: [String: String] = [:]
        for name in clashing { names["#/components/schemas/\(name)"] = "#/components/schemas/\(prefix)\(name)" }
        guard var result = renamed(document, names).object else { return document }
        var components = result["components"]?.object ?? JSONObject()
        var schemas = JSONObject()
        for (name, schema) in components["schemas"]?.object?.pairs ?? [] {
            schemas[clashing.contains(name) ? prefix + name : name] = schema
        }
        components["schemas"] = .object(schemas)
        result["components"] = .object(components)
        return .object(result)
    }

    private static func program(_ document: JSON) -> String {
        for (_, item) in document["paths"]?.object?.pairs ?? [] {
            for (_, operation) in item.object?.pairs ?? [] {
                guard let name = operation["x-switchboard-program"]?.string else { continue }
                return name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            }
        }
        return "Other"
    }

    private static func renamed(_ json: JSON, _ names: [String: String]) -> JSON {
        switch json {
        case .array(let elements): return .array(elements.map { renamed($0, names) })
        case .object(let object):
            return .object(
                JSONObject(
                    object.pairs.map { name, value in
                        if name == "$ref", let text = value.string, let new = names[text] {
                            return (name, .string(new))
                        }
                        return (name, renamed(value, names))
                    }))
        default: return json
        }
    }
}
