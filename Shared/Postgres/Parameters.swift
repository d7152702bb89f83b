import Glibc

/// The values of one query as libpq wants them: text, each ended by a NUL, one after another in one buffer.
struct Parameters: Sendable {
    private(set) var text = PostgresText()
    /// Where each value starts in the text; −1 for NULL.
    private(set) var offsets: [Int32] = []
    private(set) var types: [UInt32] = []
    /// Why these values cannot be sent, when one of them cannot.
    private(set) var refusal: String?

    var count: Int { offsets.count }

    mutating func reserve(_ count: Int) {
        offsets.reserveCapacity(count)
        types.reserveCapacity(count)
    }

    mutating func append<Value: PostgresValue>(_ value: Value) {
        let start = text.bytes.count
        text.isNull = false
        value.write(to: &text)
        types.append(Value.postgresType.oid)
        guard !text.isNull else {
            text.bytes.removeSubrange(start...)
            offsets.append(-1)
            return
        }
        if holdsNUL(from: start) { refuse("value \(count + 1) holds a NUL character, which PostgreSQL cannot keep") }
        offsets.append(Int32(truncatingIfNeeded: start))
        text.bytes.append(0)
        // 1 GB is PostgreSQL's own limit for one value.
        if text.bytes.count > 1 << 30 { refuse("the values are larger than 1 GB") }
    }

    mutating func append(contentsOf other: Parameters) {
        let base = Int32(truncatingIfNeeded: text.bytes.count)
        text.bytes.append(contentsOf: other.text.bytes)
        for offset in other.offsets { offsets.append(offset < 0 ? -1 : offset + base) }
        types.append(contentsOf: other.types)
        if let reason = other.refusal { refuse(reason) }
    }

    mutating func refuse(_ reason: String) {
        if refusal == nil { refusal = reason }
    }

    /// Hands libpq the values as an array of C strings, valid during the call.
    func withPointers<Result>(_ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result) -> Result {
        guard count > 0 else { return body(nil) }
        return text.bytes.withUnsafeBytes { bytes in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) { pointers in
                for (index, offset) in offsets.enumerated() {
                    let start = offset < 0 ? nil : bytes.baseAddress.map { $0 + Int(offset) }
                    pointers.initializeElement(at: index, to: start?.assumingMemoryBound(to: CChar.self))
                }
                return body(UnsafePointer(pointers.baseAddress))
            }
        }
    }

    /// What is bound at a place, for tests and messages. nil is NULL.
    func value(at index: Int) -> String? {
        let offset = Int(offsets[index])
        guard offset >= 0 else { return nil }
        return String(decoding: text.bytes[offset...].prefix { $0 != 0 }, as: UTF8.self)
    }

    private func holdsNUL(from start: Int) -> Bool {
        text.bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, bytes.count > start else { return false }
            return memchr(base + start, 0, bytes.count - start) != nil
        }
    }
}

/// Where a value writes its PostgreSQL text form.
public struct PostgresText: Sendable {
    var bytes: [UInt8] = []
    var isNull = false

    public mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    public mutating func append(_ text: some Sequence<UInt8>) {
        bytes.append(contentsOf: text)
    }

    public mutating func append(byte: UInt8) {
        bytes.append(byte)
    }

    /// The value is NULL, whatever was appended.
    public mutating func appendNull() {
        isNull = true
    }
}
