import Shared

/// A place in an ordered list, opaque to clients: the sort values of the last item they saw.
public struct Cursor: Sendable, Hashable {
    public let values: [JSON]

    /// A cursor is some sort values and an id.
    static let lengthMax = 1024

    public init(_ values: [JSON]) { self.values = values }

    /// The usual one: newest first, the id settles ties.
    public init<Of>(_ at: Instant, _ id: ID<Of>) { values = [.int(at.microseconds), .string(id.text)] }

    /// nil for anything that is no cursor's text. Its values may still be made up: they are only ever bound as values.
    public init?(_ text: String) {
        guard text.utf8.count <= Cursor.lengthMax, let bytes = Digest.decodeBase64URL(text),
            let json = try? JSON.parse(bytes, depthMax: 2), case .array(let values) = json
        else { return nil }
        self.values = values
    }

    public var text: String { Digest.base64URL(values.jsonBytes) }

    /// Of `init(_:_:)`; nil when it is another list's cursor.
    public func place<Of>(as type: ID<Of>.Type) -> (at: Instant, id: ID<Of>)? {
        guard values.count == 2, case .int(let microseconds) = values[0],
            let id = values[1].string.flatMap({ ID<Of>($0) })
        else { return nil }
        return (Instant(microseconds: microseconds), id)
    }
}

/// `ordering=-field` of a classic list, checked against the fields that may be sorted by.
public struct Ordering: Sendable, Hashable {
    public let field: String
    public let isDescending: Bool

    public init(field: String, descending: Bool = false) {
        self.field = field
        isDescending = descending
    }

    public init(_ form: inout Form, among fields: [String], default fallback: Ordering) {
        guard let text = form.optionalString("ordering", max: 100) else {
            self = fallback
            return
        }
        let isDescending = text.hasPrefix("-")
        let field = isDescending ? String(text.dropFirst()) : text
        if !fields.contains(field) {
            form.fail("ordering", "must be one of \(fields.joined(separator: ", ")), with - in front for descending")
        }
        self.init(field: field, descending: isDescending)
    }
}
