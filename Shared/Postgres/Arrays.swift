/// A value that may stand in an array. Most become a PostgreSQL array of their type; bytes become a `bytea` and
/// floats a vector's text.
public protocol PostgresElement: Sendable {
    static var postgresArrayType: PostgresType { get }
    static func write(_ elements: [Self], to text: inout PostgresText)
    static func read(_ cell: Cell) throws(UnreadableCell) -> [Self]
}

extension Array: PostgresValue where Element: PostgresElement {
    public static var postgresType: PostgresType { Element.postgresArrayType }
    public func write(to text: inout PostgresText) { Element.write(self, to: &text) }
    public init(postgres cell: Cell) throws(UnreadableCell) { self = try Element.read(cell) }
}

extension PostgresElement where Self: PostgresValue {
    public static func write(_ elements: [Self], to text: inout PostgresText) {
        text.append(byte: UInt8(ascii: "{"))
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(byte: UInt8(ascii: ",")) }
            writeElement(element, to: &text)
        }
        text.append(byte: UInt8(ascii: "}"))
        text.isNull = false
    }

    /// Every element is quoted, which is always allowed, and `"` and `\` inside it escaped.
    private static func writeElement(_ element: Self, to text: inout PostgresText) {
        text.isNull = false
        let outer = text.bytes.count
        text.append(byte: UInt8(ascii: "\""))
        let start = text.bytes.count
        element.write(to: &text)
        if text.isNull {
            text.bytes.removeSubrange(outer...)
            text.append("NULL")
            return
        }
        if text.bytes[start...].contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
            let plain = Array(text.bytes[start...])
            text.bytes.removeSubrange(start...)
            for byte in plain {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { text.append(byte: UInt8(ascii: "\\")) }
                text.append(byte: byte)
            }
        }
        text.append(byte: UInt8(ascii: "\""))
    }

    public static func read(_ cell: Cell) throws(UnreadableCell) -> [Self] {
        var reader = ArrayReader(bytes: try cell.utf8())
        var elements: [Self] = []
        var scratch: [UInt8] = []
        try reader.open()
        while let isNull = try reader.next(into: &scratch) {
            elements.append(try readElement(isNull ? nil : scratch, arrayType: cell.type))
        }
        return elements
    }

    private static func readElement(_ bytes: [UInt8]?, arrayType: PostgresType) throws(UnreadableCell) -> Self {
        let type = arrayType == .boolArray ? PostgresType.bool : .inferred
        guard let bytes else { return try Self(postgres: Cell(type: type, start: nil, count: 0)) }
        let result: Result<Self, UnreadableCell> = bytes.withUnsafeBufferPointer { buffer in
            do throws(UnreadableCell) {
                // An empty array has no address, but an empty text is not NULL.
                return .success(
                    try Self(
                        postgres: Cell(
                            type: type, start: buffer.baseAddress ?? ("" as StaticString).utf8Start,
                            count: buffer.count)))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// Takes PostgreSQL's one-dimensional array text apart: `{1,NULL,"a \"b\""}`.
struct ArrayReader {
    let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var isFirst = true

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func open() throws(UnreadableCell) {
        guard bytes.first == UInt8(ascii: "{"), bytes.last == UInt8(ascii: "}"), bytes.count >= 2 else {
            throw UnreadableCell("it is not a one-dimensional array")
        }
        position = 1
    }

    /// The next element's text into `element`; true when it is NULL; nil at the end.
    mutating func next(into element: inout [UInt8]) throws(UnreadableCell) -> Bool? {
        element.removeAll(keepingCapacity: true)
        if bytes[position] == UInt8(ascii: "}") { return nil }
        if !isFirst {
            guard bytes[position] == UInt8(ascii: ",") else { throw broken }
            position += 1
        }
        isFirst = false
        guard position < bytes.count else { throw broken }
        return bytes[position] == UInt8(ascii: "\"") ? try quoted(into: &element) : try plain(into: &element)
    }

    private mutating func quoted(into element: inout [UInt8]) throws(UnreadableCell) -> Bool {
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            if bytes[position] == UInt8(ascii: "\\") { position += 1 }
            guard position < bytes.count else { throw broken }
            element.append(bytes[position])
            position += 1
        }
        position += 1
        guard position < bytes.count else { throw broken }
        return false
    }

    private mutating func plain(into element: inout [UInt8]) throws(UnreadableCell) -> Bool {
        while position < bytes.count, bytes[position] != UInt8(ascii: ","), bytes[position] != UInt8(ascii: "}") {
            guard bytes[position] != UInt8(ascii: "{") else {
                throw UnreadableCell("it is not a one-dimensional array")
            }
            element.append(bytes[position])
            position += 1
        }
        guard position < bytes.count, !element.isEmpty else { throw broken }
        return element.elementsEqual("NULL".utf8)
    }

    private var broken: UnreadableCell { UnreadableCell("it is not a well-formed array") }
}

extension String: PostgresElement {
    public static var postgresArrayType: PostgresType { .textArray }
}

extension Int: PostgresElement {
    public static var postgresArrayType: PostgresType { .int8Array }
}

extension Int64: PostgresElement {
    public static var postgresArrayType: PostgresType { .int8Array }
}

extension Int32: PostgresElement {
    public static var postgresArrayType: PostgresType { .int4Array }
}

extension Double: PostgresElement {
    public static var postgresArrayType: PostgresType { .float8Array }
}

extension Bool: PostgresElement {
    public static var postgresArrayType: PostgresType { .boolArray }
}

extension Optional: PostgresElement where Wrapped: PostgresElement & PostgresValue {
    public static var postgresArrayType: PostgresType { Wrapped.postgresArrayType }
}

extension PostgresElement where Self: RawRepresentable, RawValue == String {
    public static var postgresArrayType: PostgresType { .textArray }
}

/// Bytes are a `bytea` in hex form.
extension UInt8: PostgresElement {
    public static var postgresArrayType: PostgresType { .bytea }

    public static func write(_ elements: [UInt8], to text: inout PostgresText) {
        text.bytes.reserveCapacity(text.bytes.count + 2 * elements.count + 2)
        text.append("\\x")
        for byte in elements {
            text.append(byte: hexDigit(byte >> 4))
            text.append(byte: hexDigit(byte & 15))
        }
    }

    public static func read(_ cell: Cell) throws(UnreadableCell) -> [UInt8] {
        let bytes = try cell.utf8()
        guard cell.type == .bytea, bytes.count >= 2, bytes.count.isMultiple(of: 2), bytes[0] == UInt8(ascii: "\\"),
            bytes[1] == UInt8(ascii: "x")
        else { throw UnreadableCell("it is not a bytea") }
        var elements: [UInt8] = []
        elements.reserveCapacity(bytes.count / 2 - 1)
        for index in stride(from: 2, to: bytes.count, by: 2) {
            guard let high = hexValue(bytes[index]), let low = hexValue(bytes[index + 1]) else {
                throw UnreadableCell("it is not hex")
            }
            elements.append(high << 4 | low)
        }
        return elements
    }
}

/// Floats are an embedding: the text form of pgvector's `vector`. Its type number differs between databases, so the
/// server infers it; write `\(vector)::vector` where it cannot.
extension Float: PostgresElement {
    public static var postgresArrayType: PostgresType { .inferred }

    public static func write(_ elements: [Float], to text: inout PostgresText) {
        text.append(byte: UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(byte: UInt8(ascii: ",")) }
            text.append(element.description)
        }
        text.append(byte: UInt8(ascii: "]"))
    }

    public static func read(_ cell: Cell) throws(UnreadableCell) -> [Float] {
        let bytes = try cell.utf8()
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") else {
            throw UnreadableCell("it is not a vector")
        }
        var elements: [Float] = []
        for piece in bytes[1..<bytes.count - 1].split(separator: UInt8(ascii: ",")) {
            guard let element = Float(String(decoding: piece, as: UTF8.self)) else {
                throw UnreadableCell("it is not a vector")
            }
            elements.append(element)
        }
        return elements
    }
}

func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 &+ value : 0x57 &+ value
}

func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
}
