/// Validates UTF-8 that arrives in pieces (RFC 3629): refuses at the first octet that cannot be part of any text, also
/// in the middle of a character cut by a frame border.
struct UTF8Check: Sendable {
    /// Continuation octets still owed.
    private var owed = 0
    /// What the next continuation octet may be; narrower than 80–BF behind E0, ED, F0 and F4.
    private var low: UInt8 = 0x80
    private var high: UInt8 = 0xBF

    /// False as soon as the text is broken.
    mutating func take(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var at = 0
        while at < bytes.count {
            if owed == 0 { at = Self.skipASCII(bytes, at) }
            if at == bytes.count { return true }
            if !take(bytes[at]) { return false }
            at += 1
        }
        return true
    }

    /// Whether the text may end here.
    var isComplete: Bool { owed == 0 }

    private mutating func take(_ octet: UInt8) -> Bool {
        if owed > 0 {
            guard octet >= low, octet <= high else { return false }
            owed -= 1
            low = 0x80
            high = 0xBF
            return true
        }
        switch octet {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: owed = 1
        case 0xE0...0xEF:
            owed = 2
            if octet == 0xE0 { low = 0xA0 }
            if octet == 0xED { high = 0x9F }
        case 0xF0...0xF4:
            owed = 3
            if octet == 0xF0 { low = 0x90 }
            if octet == 0xF4 { high = 0x8F }
        default: return false
        }
        return true
    }

    private static func skipASCII(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
        let raw = UnsafeRawBufferPointer(bytes)
        var at = start
        while at + 8 <= raw.count, raw.loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
            at += 8
        }
        while at < bytes.count, bytes[at] < 0x80 { at += 1 }
        return at
    }
}
