/// The shape of a JSON value, written into the OpenAPI and AsyncAPI documents (JSON Schema 2020-12). It describes; handlers
/// check with `Form`, events with `Fields`.
public struct Schema: Sendable {
    indirect enum Shape: Sendable {
        case string(format: String?, options: [String], min: Int?, max: Int?, pattern: String?)
        case integer(min: Int?, max: Int?)
        case number(min: Double?, max: Double?)
        case boolean
        case array(Schema, max: Int?)
        case object([Field])
        case map(Schema)
        case ref(String, Schema?)
        case nullable(Schema)
        case oneOf([Schema])
        case any
    }

    let shape: Shape
    private(set) var note: String?
    private(set) var example: JSON?

    init(_ shape: Shape) { self.shape = shape }

    /// The same with a description: units, formulas, sources.
    public func described(_ note: String) -> Schema {
        var copy = self
        copy.note = note
        return copy
    }

    public func example(_ example: JSON) -> Schema {
        var copy = self
        copy.example = example
        return copy
    }
}

/// One member of an object.
public struct Field: Sendable {
    public let name: String
    public let schema: Schema
    public let isRequired: Bool

    public init(_ name: String, _ schema: Schema, _ note: String? = nil, optional: Bool = false) {
        self.name = name
        self.schema = note.map(schema.described) ?? schema
        isRequired = !optional
    }

    public static func required(_ name: String, _ schema: Schema, _ note: String? = nil) -> Field {
        Field(name, schema, note)
    }

    public static func optional(_ name: String, _ schema: Schema, _ note: String? = nil) -> Field {
        Field(name, schema, note, optional: true)
    }
}

// MARK: - Making them

extension Schema {
    public static let string = Schema.string()
    public static let integer = Schema.integer()
    public static let number = Schema.number()
    public static let boolean = Schema(.boolean)
    public static let any = Schema(.any)
    /// An object nobody says more about.
    public static let anyObject = Schema(.map(.any))

    /// - Parameter enum: the only values there are; empty for no such limit.
    public static func string(
        format: String? = nil, enum options: [String] = [], min: Int? = nil, max: Int? = nil, pattern: String? = nil
    ) -> Schema {
        Schema(.string(format: format, options: options, min: min, max: max, pattern: pattern))
    }

    /// One of an enumeration's texts.
    public static func choice<Choice>(_ type: Choice.Type) -> Schema
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        .string(enum: Choice.allCases.map(\.rawValue))
    }

    public static func integer(min: Int? = nil, max: Int? = nil) -> Schema { Schema(.integer(min: min, max: max)) }
    public static func number(min: Double? = nil, max: Double? = nil) -> Schema {
        Schema(.number(min: min, max: max))
    }
    public static func array(_ element: Schema, max: Int? = nil) -> Schema { Schema(.array(element, max: max)) }
    public static func object(_ fields: [Field]) -> Schema { Schema(.object(fields)) }
    public static func object(_ fields: Field...) -> Schema { Schema(.object(fields)) }
    /// An object whose members' names are data.
    public static func map(_ value: Schema) -> Schema { Schema(.map(value)) }
    public static func nullable(_ schema: Schema) -> Schema { Schema(.nullable(schema)) }
    public static func oneOf(_ schemas: [Schema]) -> Schema { Schema(.oneOf(schemas)) }

    /// A component by name. The definition travels with it; leave it out to point back at one that another use of the
    /// name defines (a type that contains itself).
    public static func ref(_ name: String, _ definition: Schema? = nil) -> Schema { Schema(.ref(name, definition)) }

    public static let uuid = Schema.string(format: "uuid")
    /// ISO 8601 in UTC with milliseconds and `Z`.
    public static let instant = Schema.string(format: "date-time")
    public static let date = Schema.string(format: "date")
    public static let email = Schema.string(format: "email")
    public static let uri = Schema.string(format: "uri")
    public static let phone = Schema.string(pattern: "^\\+[1-9][0-9]{6,14}$").example("+14155550123")
    /// The same, or nothing, as a form sends a field nobody filled in.
    public static let phoneOrEmpty = Schema.string(pattern: "^(\\+[1-9][0-9]{6,14})?$").example("+14155550123")
    /// A decimal string such as `"29.99"`.
    public static let money = Schema.string(pattern: "^-?[0-9]+\\.[0-9]{2}$").example("29.99")
}

// MARK: - Writing them

extension Schema {
    /// Text or bytes, and no JSON around them.
    public var isText: Bool {
        if case .string = shape { return true }
        return false
    }

    /// With references to `#/components/schemas/`, where ``collect(into:)`` puts what they name.
    public var json: JSON {
        var object = plain
        if let note { object["description"] = .string(note) }
        if let example { object["examples"] = [example] }
        return .object(object)
    }

    private var plain: JSONObject {
        switch shape {
        case .string(let format, let options, let min, let max, let pattern):
            var object: JSONObject = ["type": "string"]
            object["format"] = format.map { .string($0) }
            if !options.isEmpty { object["enum"] = .array(options.map { .string($0) }) }
            object["minLength"] = min.map { .int($0) }
            object["maxLength"] = max.map { .int($0) }
            object["pattern"] = pattern.map { .string($0) }
            return object
        case .integer(let min, let max):
            var object: JSONObject = ["type": "integer"]
            object["minimum"] = min.map { .int($0) }
            object["maximum"] = max.map { .int($0) }
            return object
        case .number(let min, let max):
            var object: JSONObject = ["type": "number"]
            object["minimum"] = min.map { .double($0) }
            object["maximum"] = max.map { .double($0) }
            return object
        case .boolean: return ["type": "boolean"]
        case .array(let element, let max):
            var object: JSONObject = ["type": "array", "items": element.json]
            object["maxItems"] = max.map { .int($0) }
            return object
        case .object(let fields): return Schema.object(of: fields)
        case .map(let value): return ["type": "object", "additionalProperties": value.json]
        case .ref(let name, _): return ["$ref": .string("#/components/schemas/\(name)")]
        case .nullable(let schema): return ["anyOf": [schema.json, ["type": "null"]]]
        case .oneOf(let schemas): return ["oneOf": .array(schemas.map(\.json))]
        case .any: return [:]
        }
    }

    private static func object(of fields: [Field]) -> JSONObject {
        var properties = JSONObject()
        for field in fields { properties[field.name] = field.schema.json }
        var object: JSONObject = ["type": "object", "properties": .object(properties)]
        let required = fields.filter(\.isRequired).map { JSON.string($0.name) }
        if !required.isEmpty { object["required"] = .array(required) }
        return object
    }

    /// Every component this shape defines, also within others. The first definition of a name counts.
    public func collect(into components: inout JSONObject) {
        switch shape {
        case .array(let element, _): element.collect(into: &components)
        case .object(let fields): for field in fields { field.schema.collect(into: &components) }
        case .map(let value): value.collect(into: &components)
        case .nullable(let schema): schema.collect(into: &components)
        case .oneOf(let schemas): for schema in schemas { schema.collect(into: &components) }
        case .ref(let name, let definition?):
            guard components[name] == nil else { return }
            components[name] = definition.json
            definition.collect(into: &components)
        case .string, .integer, .number, .boolean, .ref, .any: break
        }
    }
}
