/// Header fields in the order they came, found without regard to case.
///
/// All names and values live in one byte array and a field is four numbers into it, so a parsed head costs two
/// allocations however many fields it has; a `String` is made only for the value that somebody asks for.
public struct Headers: Sendable {
    struct Slot: Hashable, Sendable {
        var name: UInt32
        var value: UInt32
        var valueLength: UInt32
        var nameLength: UInt16
    }

    var bytes: [UInt8]
    var slots: [Slot]

    public init() {
        bytes = []
        slots = []
    }

    public init(_ fields: [(String, String)]) {
        self.init()
        for (name, value) in fields { add(name, value) }
    }

    public var count: Int { slots.count }
    public var isEmpty: Bool { slots.isEmpty }

    /// The first value under the name. Setting replaces every value; setting nil removes them.
    public subscript(_ name: String) -> String? {
        get {
            guard let slot = first(name) else { return nil }
            return text(slot.value, slot.valueLength)
        }
        set {
            if let newValue { set(name, newValue) } else { remove(name) }
        }
    }

    public func contains(_ name: String) -> Bool { first(name) != nil }

    /// Every value under the name, in order.
    public func all(_ name: String) -> [String] {
        var found: [String] = []
        for slot in slots where matches(slot, name) { found.append(text(slot.value, slot.valueLength)) }
        return found
    }

    /// How many fields carry the name.
    public func count(of name: String) -> Int {
        var found = 0
        for slot in slots where matches(slot, name) { found += 1 }
        return found
    }

    /// Adds a field after the others. A value's CR, LF and NUL become spaces (RFC 9110 §5.5), so nobody can end a
    /// field early with data; a name that is no token is left out altogether.
    public mutating func add(_ name: String, _ value: String) {
        guard !name.isEmpty, name.utf8.count <= Int(UInt16.max), name.utf8.allSatisfy(Octets.isToken) else { return }
        let start = bytes.count
        bytes.append(contentsOf: name.utf8)
        let valueStart = bytes.count
        for octet in value.utf8 { bytes.append(octet == 0 || octet == 10 || octet == 13 ? 32 : octet) }
        slots.append(
            Slot(
                name: UInt32(start), value: UInt32(valueStart), valueLength: UInt32(bytes.count - valueStart),
                nameLength: UInt16(valueStart - start)))
    }

    public mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    public mutating func remove(_ name: String) {
        // The bytes stay until the whole goes: headers are short-lived and small.
        if first(name) != nil { slots = slots.filter { !matches($0, name) } }
    }

    /// Whether a comma-separated list field (`Connection`, `Upgrade`, `Transfer-Encoding` …) names the element,
    /// without regard to case, in any of its fields.
    public func list(_ name: String, contains element: String) -> Bool {
        for slot in slots where matches(slot, name) {
            if elements(of: slot).contains(where: { equal($0, element) }) { return true }
        }
        return false
    }

    /// The elements of a comma-separated list field, lower-cased, over all of its fields.
    public func list(_ name: String) -> [String] {
        var found: [String] = []
        for slot in slots where matches(slot, name) {
            for range in elements(of: slot) {
                found.append(String(decoding: bytes[range].lazy.map(Octets.lower), as: UTF8.self))
            }
        }
        return found
    }
}

extension Headers: Sequence {
    public struct Iterator: IteratorProtocol {
        let headers: Headers
        var index = 0

        public mutating func next() -> (name: String, value: String)? {
            guard index < headers.slots.count else { return nil }
            let slot = headers.slots[index]
            index += 1
            return (headers.text(slot.name, UInt32(slot.nameLength)), headers.text(slot.value, slot.valueLength))
        }
    }

    public func makeIterator() -> Iterator { Iterator(headers: self) }
}

extension Headers: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }
}

// MARK: - Bytes

extension Headers {
    func first(_ name: String) -> Slot? {
        for slot in slots where matches(slot, name) { return slot }
        return nil
    }

    func matches(_ slot: Slot, _ name: String) -> Bool {
        guard Int(slot.nameLength) == name.utf8.count else { return false }
        let start = Int(slot.name)
        return equal(start..<(start + Int(slot.nameLength)), name)
    }

    /// The bytes of the first value under the name, without making a `String`.
    func withValue<T>(_ name: String, _ body: (UnsafeBufferPointer<UInt8>) -> T) -> T? {
        guard let slot = first(name) else { return nil }
        return bytes.withUnsafeBufferPointer { all in
            body(UnsafeBufferPointer(rebasing: all[Int(slot.value)..<Int(slot.value + slot.valueLength)]))
        }
    }

    /// Appends every field as `Name: value CRLF`.
    func write(to output: inout [UInt8]) {
        for slot in slots {
            output.append(contentsOf: bytes[Int(slot.name)..<Int(slot.name) + Int(slot.nameLength)])
            output.append(58)
            output.append(32)
            output.append(contentsOf: bytes[Int(slot.value)..<Int(slot.value + slot.valueLength)])
            output.append(13)
            output.append(10)
        }
    }

    private func text(_ start: UInt32, _ length: UInt32) -> String {
        // Octets beyond ASCII are opaque (RFC 9110 §5.5); broken UTF-8 shows as U+FFFD.
        String(decoding: bytes[Int(start)..<Int(start + length)], as: UTF8.self)
    }

    private func equal(_ range: Range<Int>, _ name: String) -> Bool {
        guard range.count == name.utf8.count else { return false }
        var index = range.lowerBound
        for octet in name.utf8 {
            if Octets.lower(bytes[index]) != Octets.lower(octet) { return false }
            index += 1
        }
        return true
    }

    private func elements(of slot: Slot) -> [Range<Int>] {
        var found: [Range<Int>] = []
        let end = Int(slot.value + slot.valueLength)
        var start = Int(slot.value)
        while start <= end {
            var stop = start
            while stop < end, bytes[stop] != 44 { stop += 1 }
            var low = start
            var high = stop
            while low < high, Octets.isBlank(bytes[low]) { low += 1 }
            while high > low, Octets.isBlank(bytes[high - 1]) { high -= 1 }
            if low < high { found.append(low..<high) }
            start = stop + 1
        }
        return found
    }
}
