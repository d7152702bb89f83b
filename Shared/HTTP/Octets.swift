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

    static func isToken(_ octet: UInt8) -> Bool { table[Int(octet)] & 1 != 0 }
    static func areToken(_ octets: UnsafeBufferPointer<UInt8>) -> Bool {
        let classes = table
        for octet in octets where classes[Int(octet)] & 1 == 0 { return false }
        return true
    }
    static func isBlank(_ octet: UInt8) -> Bool { octet == 32 || octet == 9 }
    static func isDigit(_ octet: UInt8) -> Bool { octet &- 48 < 10 }
    static func lower(_ octet: UInt8) -> UInt8 { octet &- 65 < 26 ? octet | 0x20 : octet }

    /// Eight octets, as ``lower(_:)`` makes each of them.
    @inline(__always)
    private static func lower(_ word: UInt64) -> UInt64 {
        let tops: UInt64 = 0x8080_8080_8080_8080
        let low = word & ~tops
        // The top bit of each octet tells whether it is at least A, and whether it is beyond Z.
        let fromA = low &+ 0x3F3F_3F3F_3F3F_3F3F
        let beyondZ = low &+ 0x2525_2525_2525_2525
        return word | (((fromA ^ beyondZ) & ~word & tops) >> 2)
    }

    /// Whether the octets are the lower-case ones at `text`, without regard to their case. Eight are looked at together.
    static func equal(_ octets: UnsafeBufferPointer<UInt8>, toLower text: UnsafePointer<UInt8>) -> Bool {
        let count = octets.count
        guard let start = octets.baseAddress else { return count == 0 }
        if count < 8 {
            for place in 0..<count where lower(start[place]) != text[place] { return false }
            return true
        }
        let (one, other) = (UnsafeRawPointer(start), UnsafeRawPointer(text))
        var at = 0
        while true {
            let word = lower(one.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            if word != other.loadUnaligned(fromByteOffset: at, as: UInt64.self) { return false }
            if at == count - 8 { return true }
            // The last eight may overlap those before.
            at = min(at + 8, count - 8)
        }
    }

    /// The index of the first octet from `at` on that no field value may hold; `end` when all may.
    static func valueEnd(_ octets: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Int {
        let classes = table
        let raw = UnsafeRawBufferPointer(octets)
        let (ones, tops): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
        var at = start
        while at + 8 <= end {
            let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let delete = word ^ (ones &* 0x7F)
            // An octet below a space, or DEL; a tab among them is told by the table.
            let odd = ((word &- ones &* 0x20) & ~word | (delete &- ones) & ~delete) & tops
            if odd == 0 {
                at += 8
                continue
            }
            let stop = at + 8
            while at < stop {
                if classes[Int(octets[at])] & 2 == 0 { return at }
                at += 1
            }
        }
        while at < end, classes[Int(octets[at])] & 2 != 0 { at += 1 }
        return at
    }

    static func hex(_ octet: UInt8) -> UInt8? {
        switch octet {
        case 48...57: octet - 48
        case 65...70: octet - 55
        case 97...102: octet - 87
        default: nil
        }
    }
}
