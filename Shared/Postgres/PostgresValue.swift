import Glibc

/// A value that can be bound to a query and read from a column, in PostgreSQL's text form.
///
/// A bound value has a type: `\(id)` is a `uuid`, `\(name)` a `text`. Where another is wanted, cast in the SQL
/// (`\(day)::date`). A String enum conforms with `extension Direction: PostgresValue {}`.
public protocol PostgresValue: Sendable {
    static var postgresType: PostgresType { get }
    func write(to text: inout PostgresText)
    init(postgres cell: Cell) throws(UnreadableCell)
}

/// A PostgreSQL type by its number in `pg_type`.
public struct PostgresType: Hashable, Sendable, CustomStringConvertible {
    public let oid: UInt32

    public init(oid: UInt32) { self.oid = oid }

    /// Let the server infer it from the place the value stands in.
    public static let inferred = PostgresType(oid: 0)
    public static let bool = PostgresType(oid: 16)
    public static let bytea = PostgresType(oid: 17)
    public static let int8 = PostgresType(oid: 20)
    public static let int2 = PostgresType(oid: 21)
    public static let int4 = PostgresType(oid: 23)
    public static let text = PostgresType(oid: 25)
    public static let float4 = PostgresType(oid: 700)
    public static let float8 = PostgresType(oid: 701)
    public static let date = PostgresType(oid: 1082)
    public static let timestamp = PostgresType(oid: 1114)
    public static let timestamptz = PostgresType(oid: 1184)
    public static let uuid = PostgresType(oid: 2950)
    public static let jsonb = PostgresType(oid: 3802)
    public static let boolArray = PostgresType(oid: 1000)
    public static let int4Array = PostgresType(oid: 1007)
    public static let textArray = PostgresType(oid: 1009)
    public static let int8Array = PostgresType(oid: 1016)
    public static let float8Array = PostgresType(oid: 1022)
    public static let timestamptzArray = PostgresType(oid: 1185)
    public static let uuidArray = PostgresType(oid: 2951)
    public static let jsonbArray = PostgresType(oid: 3807)

    public var description: String { Self.names[oid] ?? "type \(oid)" }

    private static let names: [UInt32: String] = [
        16: "bool", 17: "bytea", 18: "char", 19: "name", 20: "int8", 21: "int2", 23: "int4", 25: "text", 26: "oid",
        114: "json", 700: "float4", 701: "float8", 1000: "bool[]", 1007: "int4[]", 1009: "text[]", 1016: "int8[]",
        1022: "float8[]", 1042: "bpchar", 1043: "varchar", 1082: "date", 1083: "time", 1114: "timestamp",
        1184: "timestamptz", 1185: "timestamptz[]", 1186: "interval", 1700: "numeric", 2950: "uuid", 2951: "uuid[]",
        3802: "jsonb", 3807: "jsonb[]",
    ]
}

/// One column of one row: its type and its text, valid only while the value is being read from it.
public struct Cell {
    public let type: PostgresType
    let start: UnsafePointer<UInt8>?
    let count: Int

    public var isNull: Bool { start == nil }

    /// The bytes of the text form. Throws for NULL.
    public func utf8() throws(UnreadableCell) -> UnsafeBufferPointer<UInt8> {
        guard let start else { throw UnreadableCell("it is NULL") }
        return UnsafeBufferPointer(start: start, count: count)
    }

    public func text() throws(UnreadableCell) -> String {
        String(decoding: try utf8(), as: UTF8.self)
    }
}

/// Why a cell does not hold the value asked for; `Row` adds the column's name and the types.
public struct UnreadableCell: Error, Sendable {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
}

extension String: PostgresValue {
    public static var postgresType: PostgresType { .text }
    public func write(to text: inout PostgresText) { text.append(self) }
    public init(postgres cell: Cell) throws(UnreadableCell) { self = try cell.text() }
}

extension Int64: PostgresValue {
    public static var postgresType: PostgresType { .int8 }
    public func write(to text: inout PostgresText) { text.append(description) }
    public init(postgres cell: Cell) throws(UnreadableCell) { self = try cell.integer() }
}

extension Int: PostgresValue {
    public static var postgresType: PostgresType { .int8 }
    public func write(to text: inout PostgresText) { text.append(description) }
    public init(postgres cell: Cell) throws(UnreadableCell) { self = try cell.integer() }
}

extension Int32: PostgresValue {
    public static var postgresType: PostgresType { .int4 }
    public func write(to text: inout PostgresText) { text.append(description) }
    public init(postgres cell: Cell) throws(UnreadableCell) { self = try cell.integer() }
}

extension Int16: PostgresValue {
    public static var postgresType: PostgresType { .int2 }
    public func write(to text: inout PostgresText) { text.append(description) }
    public init(postgres cell: Cell) throws(UnreadableCell) { self = try cell.integer() }
}

extension Double: PostgresValue {
    public static var postgresType: PostgresType { .float8 }
    public func write(to text: inout PostgresText) { text.append(description) }
    public init(postgres cell: Cell) throws(UnreadableCell) {
        let bytes = try cell.utf8()
        guard let value = Self.parse(bytes) else { throw UnreadableCell("it is not a number") }
        self = value
    }

    /// PostgreSQL writes numbers as C does, with `Infinity` and `NaN`; the whole text must be one.
    static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Double? {
        Double(String(decoding: bytes, as: UTF8.self))
    }
}

extension Bool: PostgresValue {
    public static var postgresType: PostgresType { .bool }
    public func write(to text: inout PostgresText) { text.append(byte: self ? UInt8(ascii: "t") : UInt8(ascii: "f")) }
    public init(postgres cell: Cell) throws(UnreadableCell) {
        let bytes = try cell.utf8()
        guard cell.type == .bool, let letter = bytes.first else { throw UnreadableCell("it is not a bool") }
        self = letter == UInt8(ascii: "t")
    }
}

extension Optional: PostgresValue where Wrapped: PostgresValue {
    public static var postgresType: PostgresType { Wrapped.postgresType }

    public func write(to text: inout PostgresText) {
        if let self { self.write(to: &text) } else { text.appendNull() }
    }

    public init(postgres cell: Cell) throws(UnreadableCell) {
        self = cell.isNull ? nil : try Wrapped(postgres: cell)
    }
}

/// Every String enum is a text column once it says that it is a PostgresValue.
extension PostgresValue where Self: RawRepresentable, RawValue == String {
    public static var postgresType: PostgresType { .text }
    public func write(to text: inout PostgresText) { text.append(rawValue) }
    public init(postgres cell: Cell) throws(UnreadableCell) {
        let text = try cell.text()
        guard let value = Self(rawValue: text) else { throw UnreadableCell("\"\(text)\" is none of its cases") }
        self = value
    }
}

extension Cell {
    /// A whole number of any integer or numeric column, refused when it does not fit.
    func integer<Value: FixedWidthInteger>() throws(UnreadableCell) -> Value {
        let bytes = try utf8()
        let negative = bytes.first == UInt8(ascii: "-")
        guard bytes.count > (negative ? 1 : 0) else { throw UnreadableCell("it is not a whole number") }
        var value: Value = 0
        for byte in bytes.dropFirst(negative ? 1 : 0) {
            guard byte >= 0x30, byte <= 0x39 else { throw UnreadableCell("it is not a whole number") }
            let digit = Value(truncatingIfNeeded: byte &- 0x30)
            let (scaled, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (next, outOfRange) =
                negative ? scaled.subtractingReportingOverflow(digit) : scaled.addingReportingOverflow(digit)
            guard !overflowed, !outOfRange else { throw UnreadableCell("it is out of range") }
            value = next
        }
        return value
    }
}
