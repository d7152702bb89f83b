import Synchronization

/// A 128-bit identifier that knows what it identifies: an `ID<Kind.Call>` cannot be passed where a user's is meant.
/// New ones are UUIDv7 (RFC 9562 §5.7), so they sort by the time they were made.
public struct ID<Of>: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    /// A new id, later than every id this process made before it.
    public init() {
        var random = SystemRandomNumberGenerator()
        let tick = TimeTicks.next()
        high = (tick >> 12) << 16 | 0x7000 | (tick & 0xFFF)
        low = 0x8000_0000_0000_0000 | (random.next() & 0x3FFF_FFFF_FFFF_FFFF)
    }

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the canonical 36 characters in either case; nil for anything else.
    public init?(_ text: some StringProtocol) {
        var copy = String(text)
        guard let halves = copy.withUTF8(UUIDText.parse) else { return nil }
        self.init(high: halves.high, low: halves.low)
    }

    /// The canonical 36 characters, lower case.
    public var text: String {
        String(unsafeUninitializedCapacity: UUIDText.length) {
            UUIDText.write(high: high, low: low, to: $0)
            return UUIDText.length
        }
    }

    public var description: String { text }

    /// When a UUIDv7 was made, to the millisecond; meaningless for an id that came from elsewhere.
    public var madeAt: Instant { Instant(microseconds: Int64(high >> 16) * 1000) }

    public static func < (a: ID, b: ID) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }
}

/// The time part of a UUIDv7: 48 bits of milliseconds and 12 of their fraction (RFC 9562 §6.2, method 3).
private enum TimeTicks {
    /// The last tick given out. A clock that stands still or steps back is counted past, so ids stay increasing.
    static let last = Atomic<UInt64>(0)

    static func next() -> UInt64 {
        let microseconds = UInt64(max(0, Instant.now().microseconds))
        let tick = (microseconds / 1000) << 12 | (microseconds % 1000) * 4096 / 1000
        var seen = last.load(ordering: .relaxed)
        while true {
            let next = max(tick, seen + 1)
            let (exchanged, original) = last.compareExchange(
                expected: seen, desired: next, ordering: .relaxed)
            if exchanged { return next }
            seen = original
        }
    }
}

/// Hexadecimal text of a UUID, by table.
enum UUIDText {
    static let length = 36

    static func write(high: UInt64, low: UInt64, to out: UnsafeMutableBufferPointer<UInt8>) {
        var at = 0
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                out[at] = UInt8(ascii: "-")
                at += 1
            }
            let half = index < 8 ? high : low
            let byte = UInt8(truncatingIfNeeded: half >> UInt64(56 - (index & 7) * 8))
            out[at] = Hex.digit(byte >> 4)
            out[at + 1] = Hex.digit(byte & 15)
            at += 2
        }
    }

    static func parse(_ text: UnsafeBufferPointer<UInt8>) -> (high: UInt64, low: UInt64)? {
        guard text.count == length else { return nil }
        var halves: (high: UInt64, low: UInt64) = (0, 0)
        var digits = 0
        for (index, byte) in text.enumerated() {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let nibble = Hex.value(byte) else { return nil }
            if digits < 16 {
                halves.high = halves.high << 4 | UInt64(nibble)
            } else {
                halves.low = halves.low << 4 | UInt64(nibble)
            }
            digits += 1
        }
        return halves
    }
}

enum Hex {
    /// The lower-case digit of 0…15.
    @inline(__always) static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? 0x30 + nibble : 0x57 + nibble
    }

    /// The value of a hexadecimal digit in either case.
    @inline(__always) static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }
}
