/// Writes JSON text straight into bytes, without a tree in between. Commas are its own business: a struct writes
/// `object { $0.field(…) }` and nothing else.
///
/// It does not check that fields are written inside objects and values inside arrays; tests of every answer do.
public struct JSONWriter: Sendable {
    /// Zeroed beyond `count`; grown by doubling. Writing through one pointer per field is what makes it fast.
    private var storage: [UInt8]
    private var count = 0
    private var needsComma = false

    /// - Parameter capacity: bytes to make room for at first; it grows as needed.
    public init(capacity: Int = 512) {
        storage = [UInt8](repeating: 0, count: max(capacity, 64))
    }

    /// What has been written so far.
    public var bytes: [UInt8] { Array(storage[..<count]) }

    /// The same with a line feed behind it.
    public var line: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count + 1) { line, length in
            storage.withUnsafeBufferPointer { written in
                _ = line.update(fromContentsOf: UnsafeBufferPointer(rebasing: written[..<count]))
            }
            line[count] = 0x0A
            length = count + 1
        }
    }

    public var text: String { String(decoding: storage[..<count], as: UTF8.self) }

    /// How many bytes have been written.
    public var length: Int { count }

    // MARK: Structure

    @inlinable
    public mutating func object<Failure: Error>(
        _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        open(UInt8(ascii: "{"))
        try body(&self)
        close(UInt8(ascii: "}"))
    }

    @inlinable
    public mutating func array<Failure: Error>(
        _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        open(UInt8(ascii: "["))
        try body(&self)
        close(UInt8(ascii: "]"))
    }

    @inlinable
    public mutating func fieldObject<Failure: Error>(
        _ name: StaticString, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        key(name)
        try object(body)
    }

    @_disfavoredOverload @inlinable
    public mutating func fieldObject<Failure: Error>(
        _ name: String, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        key(name)
        try object(body)
    }

    @inlinable
    public mutating func fieldArray<Failure: Error>(
        _ name: StaticString, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        key(name)
        try array(body)
    }

    @_disfavoredOverload @inlinable
    public mutating func fieldArray<Failure: Error>(
        _ name: String, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        key(name)
        try array(body)
    }

    // MARK: Fields

    /// One member. An optional that is nil is written as null; see `field(_:ifPresent:)`.
    @inlinable
    public mutating func field(_ name: StaticString, _ value: some JSONWritable) {
        key(name)
        value.write(to: &self)
    }

    @_disfavoredOverload @inlinable
    public mutating func field(_ name: String, _ value: some JSONWritable) {
        key(name)
        value.write(to: &self)
    }

    @_disfavoredOverload @inlinable
    public mutating func field<Value: RawRepresentable>(_ name: StaticString, _ value: Value)
    where Value.RawValue == String {
        key(name)
        self.value(value.rawValue)
    }

    /// One member, left out when the value is nil.
    @inlinable
    public mutating func field<Value: JSONWritable>(_ name: StaticString, ifPresent value: Value?) {
        if let value { field(name, value) }
    }

    @_disfavoredOverload @inlinable
    public mutating func field<Value: JSONWritable>(_ name: String, ifPresent value: Value?) {
        if let value { field(name, value) }
    }

    @_disfavoredOverload @inlinable
    public mutating func field<Value: RawRepresentable>(_ name: StaticString, ifPresent value: Value?)
    where Value.RawValue == String {
        if let value { field(name, value.rawValue) }
    }

    /// One member whose value is JSON text already.
    public mutating func field(_ name: StaticString, raw json: [UInt8]) {
        key(name)
        raw(json)
    }

    @_disfavoredOverload
    public mutating func field(_ name: String, raw json: [UInt8]) {
        key(name)
        raw(json)
    }

    public mutating func field(_ name: StaticString, raw json: String) {
        field(name, raw: Array(json.utf8))
    }

    /// A member that is null.
    public mutating func null(_ name: StaticString) {
        key(name)
        null()
    }

    // MARK: Values

    @inlinable
    public mutating func value(_ value: some JSONWritable) { value.write(to: &self) }

    public mutating func value(_ value: String) { string(value) }

    public mutating func value(_ value: Bool) { literal(value ? "true" : "false") }

    public mutating func value(_ value: Int) { self.value(Int64(value)) }

    public mutating func value(_ value: Int64) {
        put(upTo: 21) { out in Decimal.write(value, to: out) }
    }

    /// Not-a-number and the infinities have no JSON: they are written as null.
    public mutating func value(_ value: Double) {
        guard value.isFinite else { return null() }
        // The shortest text that reads back as the same number.
        var text = value.description
        put(upTo: 32) { out in
            text.withUTF8 { digits in
                for (index, byte) in digits.enumerated() { out[index] = byte }
                return digits.count
            }
        }
    }

    public mutating func value<Of>(_ value: ID<Of>) {
        let (high, low) = (value.high, value.low)
        put(upTo: UUIDText.length + 2) { out in
            out[0] = UInt8(ascii: "\"")
            UUIDText.write(
                high: high, low: low, to: UnsafeMutableBufferPointer(rebasing: out[1..<UUIDText.length + 1]))
            out[UUIDText.length + 1] = UInt8(ascii: "\"")
            return UUIDText.length + 2
        }
    }

    public mutating func value(_ value: Instant) {
        put(upTo: InstantText.lengthMax + 2) { out in
            out[0] = UInt8(ascii: "\"")
            let length = InstantText.write(
                value.microseconds,
                to: UnsafeMutableBufferPointer(rebasing: out[1..<InstantText.lengthMax + 1]))
            out[length + 1] = UInt8(ascii: "\"")
            return length + 2
        }
    }

    public mutating func null() { literal("null") }

    /// A value that is JSON text already. It must be exactly one value; no bytes at all are null.
    public mutating func raw(_ json: [UInt8]) {
        guard !json.isEmpty else { return null() }
        put(upTo: json.count) { out in
            json.withUnsafeBytes { UnsafeMutableRawBufferPointer(out).copyMemory(from: $0) }
            return json.count
        }
    }

    // MARK: Bytes

    @usableFromInline
    mutating func open(_ bracket: UInt8) {
        put(upTo: 1) { out in
            out[0] = bracket
            return 1
        }
        needsComma = false
    }

    @usableFromInline
    mutating func close(_ bracket: UInt8) {
        needsComma = false
        put(upTo: 1) { out in
            out[0] = bracket
            return 1
        }
    }

    /// `"name":`. Names in the code are identifiers and need no escapes.
    public mutating func key(_ name: StaticString) {
        let length = name.utf8CodeUnitCount
        let start = UnsafeRawBufferPointer(start: name.utf8Start, count: length)
        put(upTo: length + 3) { out in
            out[0] = UInt8(ascii: "\"")
            UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(out)[1...]).copyMemory(from: start)
            out[length + 1] = UInt8(ascii: "\"")
            out[length + 2] = UInt8(ascii: ":")
            return length + 3
        }
        needsComma = false
    }

    public mutating func key(_ name: String) {
        string(name)
        needsComma = false
        put(upTo: 1) { out in
            out[0] = UInt8(ascii: ":")
            return 1
        }
        needsComma = false
    }

    private mutating func literal(_ word: StaticString) {
        let length = word.utf8CodeUnitCount
        put(upTo: length) { out in
            for index in 0..<length { out[index] = word.utf8Start[index] }
            return length
        }
    }

    private mutating func string(_ value: String) {
        var value = value
        let fits = value.withUTF8 { text in
            put(upTo: text.count + 2 + JSONEscapes.slack) { out in JSONEscapes.writePlain(text, to: out) }
        }
        if fits { return }
        value.withUTF8 { text in
            // No byte becomes more than \u00xx.
            _ = put(upTo: text.count * 6 + 2) { out in JSONEscapes.writeEscaped(text, to: out) }
        }
    }

    /// Makes room, writes the comma that is due, lets `body` write up to `size` bytes and say how many.
    /// A body that returns 0 has given up: nothing is written, not even the comma.
    @discardableResult
    @inline(__always)
    private mutating func put(upTo size: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) -> Int) -> Bool {
        if storage.count - count < size + 1 { grow(size + 1) }
        let comma = needsComma ? 1 : 0
        let start = count
        let written = storage.withUnsafeMutableBufferPointer { buffer in
            if comma == 1 { buffer[start] = UInt8(ascii: ",") }
            return body(UnsafeMutableBufferPointer(rebasing: buffer[(start + comma)...]))
        }
        if written == 0 { return false }
        count = start + comma + written
        needsComma = true
        return true
    }

    private mutating func grow(_ needed: Int) {
        let size = max(storage.count * 2, count + needed)
        storage.append(contentsOf: repeatElement(0, count: size - storage.count))
    }
}

/// Decimal digits of integers.
enum Decimal {
    /// Writes the number and returns its length, 20 at most.
    static func write(_ value: Int64, to out: UnsafeMutableBufferPointer<UInt8>) -> Int {
        var rest = value.magnitude
        var length = 1
        var bound: UInt64 = 10
        while length < 19, rest >= bound {
            length += 1
            bound *= 10
        }
        if length == 19 && rest >= bound { length = 20 }
        let sign = value < 0 ? 1 : 0
        if sign == 1 { out[0] = UInt8(ascii: "-") }
        var at = sign + length
        repeat {
            at -= 1
            out[at] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while at > sign
        return sign + length
    }
}
