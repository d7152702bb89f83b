import Shared

/// A parameter of a route: in its path, its query or a header field.
public struct Parameter: Sendable {
    public enum Place: String, Sendable {
        case path, query, header
    }

    public let place: Place
    public let name: String
    public let schema: Schema
    public let note: String
    public let isRequired: Bool

    /// - Parameter required: say so only when the request cannot be answered without it.
    public static func query(
        _ name: String, _ schema: Schema = .string, _ note: String = "", required: Bool = false
    ) -> Parameter {
        Parameter(place: .query, name: name, schema: schema, note: note, isRequired: required)
    }

    /// More about a `{name}` of the pattern than its name tells: by default one that ends in `id` is a UUID.
    public static func path(_ name: String, _ schema: Schema, _ note: String = "") -> Parameter {
        Parameter(place: .path, name: name, schema: schema, note: note, isRequired: true)
    }

    public static func header(
        _ name: String, _ schema: Schema = .string, _ note: String = "", required: Bool = false
    ) -> Parameter {
        Parameter(place: .header, name: name, schema: schema, note: note, isRequired: required)
    }
}
