/// Header fields in the order they came, found without regard to case.
///
/// All names and values live in one byte array and a field is a few numbers into it, so a parsed head costs two
/// allocations however many fields it has; a `String` is made only for the value that somebody asks for.
public struct Headers: Sendable {
    struct Slot: Hashable, Sendable {
        var name: UInt32
        var value: UInt32
        var valueLength: UInt32
        var nameLength: UInt16
        var kind: FieldName
    }

    var bytes: [UInt8]
    var slots: [Slot]
    /// The kinds of all slots; may have more after a removal, never fewer.
    var kinds: FieldNames = []

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
        each(name) { found.append(text($0.value, $0.valueLength)) }
        return found
    }

    /// How many fields carry the name.
    public func count(of name: String) -> Int {
        var found = 0
        each(name) { _ in found += 1 }
        return found
    }

    /// Adds a field after the others. A value's CR, LF and NUL become spaces (RFC 9110 §5.5), so nobody can end a
    /// field early with data; a name that is no token is left out altogether.
    public mutating func add(_ name: String, _ value: String) {
        guard !name.isEmpty, name.utf8.count <= Int(UInt16.max), Self.withOctets(name, Octets.areToken)
        else { return }
        let start = bytes.count
        bytes.append(contentsOf: name.utf8)
        let nameEnd = bytes.count
        // As it is to be written, so that it can be copied in one piece.
        bytes.append(58)
        bytes.append(32)
        let valueStart = bytes.count
        for octet in value.utf8 { bytes.append(octet == 0 || octet == 10 || octet == 13 ? 32 : octet) }
        note(name: start..<nameEnd, value: valueStart..<bytes.count, kind: Self.withOctets(name) { FieldName($0) })
    }

    public mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    public mutating func remove(_ name: String) {
        Self.withOctets(name) { remove(FieldName($0), $0) }
    }

    /// Whether a comma-separated list field (`Connection`, `Upgrade`, `Transfer-Encoding` …) names the element,
    /// without regard to case, in any of its fields.
    public func list(_ name: String, contains element: String) -> Bool {
        var isNamed = false
        each(name) { slot in
            if !isNamed { isNamed = elements(of: slot).contains { equal($0, element) } }
        }
        return isNamed
    }

    /// The elements of a comma-separated list field, lower-cased, over all of its fields.
    public func list(_ name: String) -> [String] {
        var found: [String] = []
        each(name) { slot in
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
        Self.withOctets(name) { wanted in
            let kind = FieldName(wanted)
            guard kinds.has(kind) else { return nil }
            return slots.first { `is`($0, kind, wanted) }
        }
    }

    /// The same for a name that is known by one number.
    @inline(__always)
    func first(_ kind: FieldName) -> Slot? {
        guard kinds.has(kind) else { return nil }
        for slot in slots where slot.kind == kind { return slot }
        return nil
    }

    func matches(_ slot: Slot, _ name: String) -> Bool {
        Self.withOctets(name) { `is`(slot, FieldName($0), $0) }
    }

    private func each(_ name: String, _ body: (Slot) -> Void) {
        Self.withOctets(name) { wanted in
            let kind = FieldName(wanted)
            guard kinds.has(kind) else { return }
            for slot in slots where `is`(slot, kind, wanted) { body(slot) }
        }
    }

    private func `is`(_ slot: Slot, _ kind: FieldName, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        Self.is(slot, kind, name, bytes)
    }

    private static func `is`(
        _ slot: Slot, _ kind: FieldName, _ name: UnsafeBufferPointer<UInt8>, _ bytes: [UInt8]
    ) -> Bool {
        guard slot.kind == kind, Int(slot.nameLength) == name.count else { return false }
        if kind.isExact { return true }
        let start = Int(slot.name)
        for place in 0..<name.count where Octets.lower(bytes[start + place]) != Octets.lower(name[place]) {
            return false
        }
        return true
    }

    /// The bytes stay until the whole goes: headers are short-lived and small.
    mutating func remove(_ kind: FieldName, _ name: UnsafeBufferPointer<UInt8>) {
        guard kinds.has(kind) else { return }
        let octets = bytes
        slots.removeAll { Self.is($0, kind, name, octets) }
        if kind.isExact { kinds.forget(kind) }
    }

    /// Adds a field whose bytes are there already.
    mutating func note(name: Range<Int>, value: Range<Int>, kind: FieldName) {
        kinds.note(kind)
        slots.append(
            Slot(
                name: UInt32(name.lowerBound), value: UInt32(value.lowerBound), valueLength: UInt32(value.count),
                nameLength: UInt16(name.count), kind: kind))
    }

    /// The bytes of a text, without copying them where it can be helped.
    @inline(__always)
    static func withOctets<T>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> T) -> T {
        if let done = text.utf8.withContiguousStorageIfAvailable(body) { return done }
        return Array(text.utf8).withUnsafeBufferPointer(body)
    }

    /// The bytes of the first value of that kind, without making a `String`.
    func withValue<T>(_ kind: FieldName, _ body: (UnsafeBufferPointer<UInt8>) -> T) -> T? {
        guard let slot = first(kind) else { return nil }
        return bytes.withUnsafeBufferPointer { all in
            body(UnsafeBufferPointer(rebasing: all[Int(slot.value)..<Int(slot.value + slot.valueLength)]))
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
        bytes.withUnsafeBufferPointer { bytes in
            Self.elements(bytes, Int(slot.value)..<Int(slot.value + slot.valueLength)) { found.append($0) }
        }
        return found
    }

    /// Calls `body` with each element of a comma-separated list, without the blanks around it; empty ones are none.
    @inline(__always)
    static func elements(
        _ bytes: UnsafeBufferPointer<UInt8>, _ value: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        let end = value.upperBound
        var start = value.lowerBound
        while start <= end {
            var stop = start
            while stop < end, bytes[stop] != 44 { stop += 1 }
            var low = start
            var high = stop
            while low < high, Octets.isBlank(bytes[low]) { low += 1 }
            while high > low, Octets.isBlank(bytes[high - 1]) { high -= 1 }
            if low < high { body(low..<high) }
            start = stop + 1
        }
    }

    /// Whether `Connection` lists a field's name: anything but the options that are no names.
    var listsFields: Bool {
        var lists = false
        bytes.withUnsafeBufferPointer { bytes in
            for slot in slots where slot.kind == .connection {
                Self.elements(bytes, Int(slot.value)..<Int(slot.value + slot.valueLength)) { element in
                    if !Known.equals(bytes, element, "keep-alive"), !Known.equals(bytes, element, "close") {
                        lists = true
                    }
                }
            }
        }
        return lists
    }
}
