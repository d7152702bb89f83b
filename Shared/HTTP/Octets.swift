/// The character classes of RFC 9110 §5.6, over octets.
enum Octets {
    /// Bit 0: token character (tchar). Bit 1: allowed in a field value (VCHAR, SP, HTAB, obs-text).
    /// Bit 2: allowed in a request target (RFC 3986 characters, plus the few that real clients leave bare).
    static let classes: [UInt8] = {
        var table = [UInt8](repeating: 0, count: 256)
        for octet in 0x21...0xFF where octet != 0x7F { table[octet] |= 2 }
        table[0x20] |= 2
        table[0x09] |= 2
        for octet in 0x21...0x7E { table[octet] |= 4 }
        for octet in "\"<>\\^`{|}#".utf8 { table[Int(octet)] &= ~4 }
        // Browsers send | ^ ` { } " unescaped in queries (WHATWG URL); they are harmless as octets.
        for octet in "|^`{}\"".utf8 { table[Int(octet)] |= 4 }
        for octet in "!#$%&'*+-.^_`|~0123456789".utf8 { table[Int(octet)] |= 1 }
        for octet in UInt8(ascii: "A")...UInt8(ascii: "Z") {
            table[Int(octet)] |= 1
            table[Int(octet | 0x20)] |= 1
        }
        return table
    }()

    /// The same table for inner loops: one load, no reference counting. Written once, before anyone can read it, and
    /// never freed, which is what makes sharing it safe.
    nonisolated(unsafe) static let table: UnsafePointer<UInt8> = {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        memory.initialize(from: classes, count: 256)
        return UnsafePointer(memory)
    }()

    static func isToken(_ octet: UInt8) -> Bool { classes[Int(octet)] & 1 != 0 }
    static func isBlank(_ octet: UInt8) -> Bool { octet == 32 || octet == 9 }
    static func isDigit(_ octet: UInt8) -> Bool { octet &- 48 < 10 }
    static func lower(_ octet: UInt8) -> UInt8 { octet &- 65 < 26 ? octet | 0x20 : octet }

    static func hex(_ octet: UInt8) -> UInt8? {
        switch octet {
        case 48...57: octet - 48
        case 65...70: octet - 55
        case 97...102: octet - 87
        default: nil
        }
    }
}
