import Glibc

/// Writes bytes one after another into memory whose size was worked out before. One that would go beyond it stops the
/// program: the sum was wrong then, and nothing may be written over what lies behind.
struct Pen {
    private let memory: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ memory: UnsafeMutableBufferPointer<UInt8>) { self.memory = memory }

    /// What has been written.
    var written: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: memory[..<count]) }

    @inline(__always)
    mutating func put(_ octet: UInt8) {
        precondition(count < memory.count, "no room for a head")
        memory[count] = octet
        count += 1
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        precondition(bytes.count <= memory.count - count, "no room for a head")
        guard let source = bytes.baseAddress, let target = memory.baseAddress else { return }
        memcpy(target + count, source, bytes.count)
        count += bytes.count
    }

    @inline(__always)
    mutating func put(_ bytes: [UInt8]) { bytes.withUnsafeBufferPointer { put($0) } }

    @inline(__always)
    mutating func put(_ text: StaticString) {
        put(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func put(_ text: String) { Headers.withOctets(text) { put($0) } }

    mutating func line() {
        put(13)
        put(10)
    }

    /// A number, not below zero.
    mutating func put(decimal value: Int) {
        var digits = 1
        var bound = 10
        while digits < 19, value >= bound {
            digits += 1
            if digits < 19 { bound *= 10 }
        }
        precondition(digits <= memory.count - count && value >= 0, "no room for a head")
        var rest = UInt(bitPattern: value)
        var at = count + digits
        count = at
        repeat {
            at -= 1
            memory[at] = 48 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
    }
}

extension Headers {
    /// What ``write(_:to:)`` takes, at most.
    var writtenMax: Int {
        var sum = 0
        for slot in slots { sum += Int(slot.nameLength) + Int(slot.valueLength) + 4 }
        return sum
    }

    /// Writes every field but those named, as `Name: value CRLF`.
    func write(without: FieldNames = [], to pen: inout Pen) {
        bytes.withUnsafeBufferPointer { bytes in
            slots.withUnsafeBufferPointer { slots in
                for slot in slots where !without.has(slot.kind) { Self.write(slot, bytes, &pen) }
            }
        }
    }

    @inline(__always)
    private static func write(_ slot: Slot, _ bytes: UnsafeBufferPointer<UInt8>, _ pen: inout Pen) {
        let (name, nameEnd, value) = (Int(slot.name), Int(slot.name) + Int(slot.nameLength), Int(slot.value))
        if value == nameEnd + 2, bytes[nameEnd] == 58, bytes[nameEnd + 1] == 32 {
            // It stands there just as it is to be written.
            pen.put(UnsafeBufferPointer(rebasing: bytes[name..<value + Int(slot.valueLength)]))
        } else {
            pen.put(UnsafeBufferPointer(rebasing: bytes[name..<nameEnd]))
            pen.put(58)
            pen.put(32)
            pen.put(UnsafeBufferPointer(rebasing: bytes[value..<value + Int(slot.valueLength)]))
        }
        pen.line()
    }
}
