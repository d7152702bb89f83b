import Shared

// The values of module Shared as columns.

extension ID: PostgresValue {
    public static var postgresType: PostgresType { .uuid }

    public func write(to text: inout PostgresText) {
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 { text.append(byte: UInt8(ascii: "-")) }
            let half = digit < 16 ? high : low
            text.append(byte: hexDigit(UInt8(truncatingIfNeeded: half >> UInt64(60 - 4 * (digit & 15))) & 15))
        }
    }

    public init(postgres cell: Cell) throws(UnreadableCell) {
        let bytes = try cell.utf8()
        guard bytes.count == 36 else { throw UnreadableCell("it is not a UUID") }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { throw UnreadableCell("it is not a UUID") }
                continue
            }
            guard let digit = hexValue(byte) else { throw UnreadableCell("it is not a UUID") }
            if index < 18 { high = high << 4 | UInt64(digit) } else { low = low << 4 | UInt64(digit) }
        }
        self.init(high: high, low: low)
    }
}

extension ID: PostgresElement {
    public static var postgresArrayType: PostgresType { .uuidArray }
}

extension JSON: PostgresValue {
    public static var postgresType: PostgresType { .jsonb }

    public func write(to text: inout PostgresText) { text.append(jsonBytes) }

    public init(postgres cell: Cell) throws(UnreadableCell) {
        let bytes = Array(try cell.utf8())
        do {
            self = try JSON.parse(bytes)
        } catch {
            throw UnreadableCell("it is not JSON: \(error)")
        }
    }
}

extension JSON: PostgresElement {
    public static var postgresArrayType: PostgresType { .jsonbArray }
}

extension PhoneNumber: PostgresValue {
    public static var postgresType: PostgresType { .text }

    public func write(to text: inout PostgresText) { text.append(self.text) }

    public init(postgres cell: Cell) throws(UnreadableCell) {
        // The number itself stays out of the message: messages end up in logs.
        guard let number = PhoneNumber(try cell.text()) else { throw UnreadableCell("it is not an E.164 number") }
        self = number
    }
}

extension PhoneNumber: PostgresElement {
    public static var postgresArrayType: PostgresType { .textArray }
}

extension Role: PostgresValue {}
extension WorkspaceRole: PostgresValue {}
