/// Reads the fields of a body or a query and keeps every complaint, so that a client hears of all its mistakes at once.
///
/// Readers answer with a placeholder when a field is bad; `finish()` throws before a placeholder can be used:
/// ```swift
/// var form = try await request.form()
/// let name = form.string("name", max: 200)
/// let to = form.phone("to_number")
/// try form.finish()
/// ```
/// A member that is null counts as absent, except for `has(_:)`.
public struct Form: Sendable {
    /// A query's values are text, so numbers and truth values are read from it.
    private let isText: Bool
    private let object: JSONObject
    private var known: Set<String> = []
    private var order: [String] = []
    private var failures: [(name: String, message: String)] = []

    /// A body.
    /// - Throws: 400 when it is no object.
    public init(_ json: JSON) throws(Problem) {
        guard case .object(let object) = json else {
            throw Problem(.validationError, "The body must be a JSON object.")
        }
        self.init(object)
    }

    public init(_ object: JSONObject) {
        self.object = object
        isText = false
    }

    /// A query or a form body. An empty value counts as absent, as frontends send the fields nobody filled in.
    public init(query: [(String, String)]) {
        var object = JSONObject()
        for (name, value) in query {
            switch object[name] {
            case nil: object[name] = .string(value)
            case .array(let values): object[name] = .array(values + [.string(value)])
            case .some(let first): object[name] = .array([first, .string(value)])
            }
        }
        self.object = object
        isText = true
    }

    // MARK: What was found

    /// Whether the field is there at all, even as null: how a PATCH tells "clear it" from "leave it".
    public func has(_ name: String) -> Bool { object.contains(name) }

    /// The names the client sent.
    public var names: [String] { object.names }

    /// The field as it is; nil when absent or null.
    public mutating func value(_ name: String) -> JSON? {
        if known.insert(name).inserted { order.append(name) }
        guard let value = object[name], value != .null else { return nil }
        guard isText else { return value }
        // A parameter given twice: the last one counts, as for most servers.
        let last = value.array?.last ?? value
        return last == .string("") ? nil : last
    }

    /// Every value of a repeated parameter, or the elements of an array.
    mutating func values(_ name: String) -> JSON? {
        _ = value(name)
        let value = object[name]
        return value == .null ? nil : value
    }

    var readsText: Bool { isText }

    // MARK: Complaints

    /// Complains about a field. The message continues the field's name: "must be …".
    public mutating func fail(_ name: String, _ message: String) {
        failures.append((name, message))
    }

    /// Whether anything was wrong so far.
    public var hasFailed: Bool { !failures.isEmpty }

    public var failed: [(name: String, message: String)] { failures }

    /// - Throws: VALIDATION_ERROR with every bad field. Call it before using what was read.
    public mutating func finish() throws(Problem) {
        guard failures.isEmpty else { throw .validation(failures) }
    }

    /// `finish()`, and every field nobody asked for is a mistake too: v1 refuses unknown query parameters.
    public mutating func finishRefusingUnknown() throws(Problem) {
        for name in object.names where !known.contains(name) {
            let hint = order.isEmpty ? "nothing is expected here" : "known are \(order.joined(separator: ", "))"
            fail(name, "is not known; \(hint)")
        }
        try finish()
    }
}
