import Shared

/// Holds a value against a schema as `Schema.json` writes it, more strictly than JSON Schema does: a member that the
/// schema does not name is an objection too.
public struct SchemaCheck {
    private let components: JSONObject
    private let schema: Schema

    public init(_ schema: Schema) {
        self.schema = schema
        var found = JSONObject()
        schema.collect(into: &found)
        components = found
    }

    /// What is wrong with the value, each with its path.
    public func objections(to value: JSON) -> [String] { objections(value, schema.json, "$") }

    /// The paths of all members the schema names, whether required or not.
    public var members: Set<String> { members(schema.json, "$") }

    /// The paths of all members a value has.
    public static func members(of value: JSON, _ path: String = "$") -> Set<String> {
        var found: Set<String> = []
        switch value {
        case .object(let object):
            for (name, member) in object.pairs {
                found.insert("\(path).\(name)")
                found.formUnion(members(of: member, "\(path).\(name)"))
            }
        case .array(let array): for element in array { found.formUnion(members(of: element, "\(path)[]")) }
        default: break
        }
        return found
    }

    private func resolved(_ schema: JSON) -> JSON {
        guard let name = schema["$ref"]?.string?.split(separator: "/").last else { return schema }
        return components[String(name)] ?? .null
    }

    private func members(_ schema: JSON, _ path: String) -> Set<String> {
        let schema = resolved(schema)
        var found: Set<String> = []
        for (name, member) in schema["properties"]?.object?.pairs ?? [] {
            found.insert("\(path).\(name)")
            found.formUnion(members(member, "\(path).\(name)"))
        }
        if let items = schema["items"] { found.formUnion(members(items, "\(path)[]")) }
        return found
    }

    private func objections(_ value: JSON, _ schema: JSON, _ path: String) -> [String] {
        let schema = resolved(schema)
        if schema == .null { return ["\(path): the schema is not defined"] }
        if let choices = (schema["anyOf"] ?? schema["oneOf"])?.array {
            let all = choices.map { objections(value, $0, path) }
            return all.contains([]) ? [] : all.flatMap { $0 }
        }
        if let options = schema["enum"]?.array, !options.contains(value) { return ["\(path): is none of the choices"] }
        switch schema["type"]?.string {
        case "object": return object(value, schema, path)
        case "array":
            guard let array = value.array, let items = schema["items"] else { return ["\(path): is no array"] }
            return array.enumerated().flatMap { objections($1, items, "\(path)[\($0)]") }
        case "string": return string(value, schema, path)
        case "integer": return value.int == nil ? ["\(path): is no integer"] : []
        case "number": return value.double == nil && value.int == nil ? ["\(path): is no number"] : []
        case "boolean": return value.bool == nil ? ["\(path): is no boolean"] : []
        case "null": return value == .null ? [] : ["\(path): is not null"]
        default: return []
        }
    }

    private func object(_ value: JSON, _ schema: JSON, _ path: String) -> [String] {
        guard let object = value.object else { return ["\(path): is no object"] }
        let properties = schema["properties"]?.object ?? JSONObject()
        let others = schema["additionalProperties"]
        var found: [String] = []
        for name in (schema["required"]?.array ?? []).compactMap(\.string) where object[name] == nil {
            found.append("\(path).\(name): is missing")
        }
        for (name, member) in object.pairs {
            if let described = properties[name] ?? others {
                found += objections(member, described, "\(path).\(name)")
            } else {
                found.append("\(path).\(name): is not in the schema")
            }
        }
        return found
    }

    private func string(_ value: JSON, _ schema: JSON, _ path: String) -> [String] {
        guard let text = value.string else { return ["\(path): is no string"] }
        switch schema["format"]?.string {
        case "uuid": return UserID(text) == nil ? ["\(path): is no UUID"] : []
        case "date-time": return Instant(iso: text) == nil ? ["\(path): is no instant"] : []
        default: return []
        }
    }
}
