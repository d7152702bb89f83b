/// SQL text with its values kept apart: an interpolated value can only become a bound parameter.
///
///     let query: Query = "SELECT name FROM users WHERE id = \(id)"
///
/// There is no way to make a query out of a run-time string; the literal parts must be literals in the source.
public struct Query: Sendable, ExpressibleByStringInterpolation {
    /// Names the statement in metrics; statements without one are counted together.
    public var label: StaticString?
    var parts: [Part]
    var parameters: Parameters

    public init(stringLiteral value: StaticString) {
        parts = [Part(value)]
        parameters = Parameters()
    }

    public init(stringInterpolation: StringInterpolation) {
        self = stringInterpolation.query
    }

    /// For text that is not a literal: migration files. Kept inside the module.
    init(text: String) {
        parts = [.made(text)]
        parameters = Parameters()
    }

    /// The same query under a name for metrics: `("SELECT …" as Query).named("calls.byID")`.
    public func named(_ label: StaticString) -> Query {
        var copy = self
        copy.label = label
        return copy
    }

    /// One stretch of SQL text. Literals are told apart by address, which makes looking up a prepared statement cheap.
    enum Part: Hashable, Sendable {
        case literal(address: UInt, count: Int)
        case made(String)
        case parameter

        init(_ text: StaticString) {
            self =
                text.hasPointerRepresentation
                ? .literal(address: UInt(bitPattern: text.utf8Start), count: text.utf8CodeUnitCount)
                : .made(text.description)
        }

        var text: String {
            switch self {
            case .literal(let address, let count):
                // A StaticString's bytes live as long as the program.
                String(
                    decoding: UnsafeBufferPointer(start: UnsafePointer<UInt8>(bitPattern: address), count: count),
                    as: UTF8.self)
            case .made(let text): text
            case .parameter: "?"
            }
        }
    }

    /// The text the server sees, with `$1`, `$2` … where the values belong.
    public var sql: String {
        var text = ""
        var number = 0
        for part in parts {
            if part == .parameter {
                number += 1
                text += "$\(number)"
            } else {
                text += part.text
            }
        }
        return text
    }

    public struct StringInterpolation: StringInterpolationProtocol {
        public typealias StringLiteralType = StaticString
        var query: Query

        public init(literalCapacity: Int, interpolationCount: Int) {
            query = Query(text: "")
            query.parts.removeAll()
            query.parts.reserveCapacity(2 * interpolationCount + 1)
            query.parameters.reserve(interpolationCount)
        }

        public mutating func appendLiteral(_ literal: StaticString) {
            guard literal.utf8CodeUnitCount > 0 || !literal.hasPointerRepresentation else { return }
            query.parts.append(Part(literal))
        }

        public mutating func appendInterpolation<Value: PostgresValue>(_ value: Value) {
            query.parts.append(.parameter)
            query.parameters.append(value)
        }

        /// nil is NULL. On its own so that the compiler does not warn of a printed optional.
        public mutating func appendInterpolation<Value: PostgresValue>(_ value: Value?) {
            query.parts.append(.parameter)
            query.parameters.append(value)
        }

        /// Part of a statement made elsewhere, with its own values: optional conditions, column lists.
        public mutating func appendInterpolation(fragment: Query) {
            query.parts.append(contentsOf: fragment.parts)
            query.parameters.append(contentsOf: fragment.parameters)
        }

        /// A name known when the program was compiled.
        public mutating func appendInterpolation(identifier: StaticString) {
            appendInterpolation(quoting: identifier.description)
        }

        /// A name made at run time, quoted as an identifier, so that it can be nothing else.
        public mutating func appendInterpolation(quoting identifier: String) {
            if identifier.utf8.contains(0) { query.parameters.refuse("an identifier holds a NUL character") }
            var quoted = "\""
            for character in identifier.unicodeScalars where character != "\0" {
                if character == "\"" { quoted += "\"\"" } else { quoted.unicodeScalars.append(character) }
            }
            query.parts.append(.made(quoted + "\""))
        }
    }
}

extension Query {
    private static let preparable = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "MERGE"]
    private static let readable = ["SELECT", "VALUES", "TABLE", "SHOW"]

    /// Worth preparing: a statement with a plan. The rest (BEGIN, CREATE …) is sent as it is.
    var isPreparable: Bool { Self.preparable.contains(firstWord) }

    /// May be run again after a lost connection: it starts with SELECT, VALUES, TABLE or SHOW.
    var isRead: Bool { Self.readable.contains(firstWord) }

    private var firstWord: String {
        guard let first = parts.first, first != .parameter else { return "" }
        let letters = first.text.utf8.drop { $0 <= 0x20 || $0 == UInt8(ascii: "(") }
            .prefix { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") }
        return String(decoding: letters.map { $0 & 0xDF }, as: UTF8.self)
    }
}
