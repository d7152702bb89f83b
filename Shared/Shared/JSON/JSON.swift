/// A JSON value. For reading what comes from outside and for free-form columns; answers are written by `JSONWriter`
/// without building one of these.
public enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    /// Every integral number that fits; larger ones are doubles.
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    public static func int(_ value: Int) -> JSON { .int(Int64(value)) }

    /// The member of that name; nil when this is no object or has none. A member that is null is `.null`.
    public subscript(name: String) -> JSON? {
        if case .object(let object) = self { object[name] } else { nil }
    }

    /// The element at that place; nil when this is no array or shorter.
    public subscript(index: Int) -> JSON? {
        if case .array(let array) = self, array.indices.contains(index) { array[index] } else { nil }
    }

    public var isNull: Bool { self == .null }

    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    public var string: String? { if case .string(let value) = self { value } else { nil } }

    public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }

    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// A whole number, also when it was written as `5.0`.
    public var int64: Int64? {
        switch self {
        case .int(let value): value
        case .double(let value): Int64(exactly: value)
        default: nil
        }
    }

    public var int: Int? { int64.map(Int.init) }

    /// Any number.
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}

// Not by nil: `condition ? nil : json` would be `.null` where "no value" was meant.
extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
    ExpressibleByStringInterpolation
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }
}

extension JSON {
    /// Reads one JSON text, strictly by RFC 8259: no comments, no trailing commas, no lone surrogates, no byte order
    /// mark, valid UTF-8, numbers a double can hold.
    /// - Parameter depthMax: how deep arrays and objects may nest.
    public static func parse(_ bytes: [UInt8], depthMax: Int = 64) throws(SyntaxError) -> JSON {
        try parse(bytes, depthMax: depthMax, duplicates: .lastWins)
    }

    public static func parse(_ text: String, depthMax: Int = 64) throws(SyntaxError) -> JSON {
        try parse(Array(text.utf8), depthMax: depthMax)
    }

    static func parse(
        _ bytes: [UInt8], depthMax: Int, duplicates: JSONParser.Duplicates
    ) throws(SyntaxError) -> JSON {
        var parser = JSONParser(bytes, depthMax: depthMax, duplicates: duplicates)
        return try parser.document()
    }

    /// Where and why a text is no JSON.
    public struct SyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
        /// Bytes before the fault.
        public let offset: Int
        /// From 1.
        public let line: Int
        /// Characters from 1 within the line.
        public let column: Int
        public let reason: String

        public var description: String { "line \(line), column \(column): \(reason)" }
    }
}
