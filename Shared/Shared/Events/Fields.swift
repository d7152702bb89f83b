/// Reads the members of an event's data, or of another program's answer. The first member that is missing or of the
/// wrong shape is thrown with its path; members nobody asks for are ignored, so data may grow.
public struct Fields: Sendable {
    private let object: JSONObject
    private let path: String

    /// - Parameter path: how errors name this object; empty for the outermost.
    public init(_ json: JSON, path: String = "") throws(EventError) {
        guard case .object(let object) = json else {
            throw .field(path.isEmpty ? "data" : path, expected: "an object")
        }
        self.object = object
        self.path = path
    }

    /// The member as it is; nil when absent or null.
    public func value(_ name: String) -> JSON? {
        guard let value = object[name], value != .null else { return nil }
        return value
    }

    public func string(_ name: String) throws(EventError) -> String {
        try required(name, "a string", try optionalString(name))
    }

    public func optionalString(_ name: String) throws(EventError) -> String? {
        try converted(name, "a string") { $0.string }
    }

    public func int64(_ name: String) throws(EventError) -> Int64 {
        try required(name, "a whole number", try optionalInt64(name))
    }

    public func optionalInt64(_ name: String) throws(EventError) -> Int64? {
        try converted(name, "a whole number") { $0.int64 }
    }

    public func int(_ name: String) throws(EventError) -> Int { Int(try int64(name)) }

    public func optionalInt(_ name: String) throws(EventError) -> Int? { try optionalInt64(name).map { Int($0) } }

    public func double(_ name: String) throws(EventError) -> Double {
        try required(name, "a number", try optionalDouble(name))
    }

    public func optionalDouble(_ name: String) throws(EventError) -> Double? {
        try converted(name, "a number") { $0.double }
    }

    public func bool(_ name: String) throws(EventError) -> Bool {
        try required(name, "true or false", try optionalBool(name))
    }

    public func optionalBool(_ name: String) throws(EventError) -> Bool? {
        try converted(name, "true or false") { $0.bool }
    }

    public func id<Of>(_ name: String, as type: ID<Of>.Type = ID<Of>.self) throws(EventError) -> ID<Of> {
        try required(name, "a UUID", try optionalID(name))
    }

    public func optionalID<Of>(_ name: String, as type: ID<Of>.Type = ID<Of>.self) throws(EventError) -> ID<Of>? {
        try converted(name, "a UUID") { $0.string.flatMap { ID<Of>($0) } }
    }

    public func instant(_ name: String) throws(EventError) -> Instant {
        try required(name, "an instant", try optionalInstant(name))
    }

    public func optionalInstant(_ name: String) throws(EventError) -> Instant? {
        try converted(name, "an instant") { $0.string.flatMap { Instant(iso: $0) } }
    }

    public func choice<Choice: RawRepresentable>(
        _ name: String, as type: Choice.Type = Choice.self
    ) throws(EventError) -> Choice where Choice.RawValue == String {
        try required(name, "a \(type)", try optionalChoice(name))
    }

    public func optionalChoice<Choice: RawRepresentable>(
        _ name: String, as type: Choice.Type = Choice.self
    ) throws(EventError) -> Choice? where Choice.RawValue == String {
        try converted(name, "a \(type)") { $0.string.flatMap(Choice.init(rawValue:)) }
    }

    /// Absent counts as empty.
    public func strings(_ name: String) throws(EventError) -> [String] {
        let strings: [String]? = try converted(name, "a list of strings") { json in
            guard let array = json.array else { return nil }
            let strings = array.compactMap(\.string)
            return strings.count == array.count ? strings : nil
        }
        return strings ?? []
    }

    /// A free-form object; absent counts as empty.
    public func object(_ name: String) throws(EventError) -> JSONObject {
        try converted(name, "an object") { $0.object } ?? JSONObject()
    }

    /// A member that is an object with members of its own.
    public func nested(_ name: String) throws(EventError) -> Fields {
        guard let value = value(name) else { throw .field(path(of: name), expected: "an object") }
        return try Fields(value, path: path(of: name))
    }

    public func optionalNested(_ name: String) throws(EventError) -> Fields? {
        guard let value = value(name) else { return nil }
        return try Fields(value, path: path(of: name))
    }

    /// A list of objects; absent counts as empty.
    public func list(_ name: String) throws(EventError) -> [Fields] {
        guard let value = value(name) else { return [] }
        guard let array = value.array else { throw .field(path(of: name), expected: "a list") }
        var result: [Fields] = []
        for (index, element) in array.enumerated() {
            result.append(try Fields(element, path: "\(path(of: name))[\(index)]"))
        }
        return result
    }

    private func path(of name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private func required<Value>(_ name: String, _ expected: String, _ value: Value?) throws(EventError) -> Value {
        guard let value else { throw .field(path(of: name), expected: expected) }
        return value
    }

    private func converted<Value>(
        _ name: String, _ expected: String, _ convert: (JSON) -> Value?
    ) throws(EventError) -> Value? {
        guard let json = value(name) else { return nil }
        guard let value = convert(json) else { throw .field(path(of: name), expected: expected) }
        return value
    }
}
