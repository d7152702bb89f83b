import Synchronization

/// W3C trace context: which request of which caller a piece of work belongs to.
public struct TraceContext: Sendable, Hashable {
    /// 128 bits, never zero.
    public let traceID: (high: UInt64, low: UInt64)
    public let spanID: UInt64
    public let flags: UInt8

    init(traceID: (high: UInt64, low: UInt64), spanID: UInt64, flags: UInt8) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
    }

    /// Set around a request and an event handler; logs and outgoing calls take it from here.
    @TaskLocal public static var current: TraceContext?

    public static func new() -> TraceContext {
        TraceContext(traceID: (Spans.next(), Spans.next()), spanID: Spans.next(), flags: 0)
    }

    /// The same trace, a new span: what is sent on.
    public func child() -> TraceContext {
        TraceContext(traceID: traceID, spanID: Spans.next(), flags: flags)
    }

    /// A `traceparent` field (W3C Trace Context §3.2); nil for anything malformed, which is then treated as absent.
    public init?(traceparent text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 55, bytes[2] == 0x2D, bytes[35] == 0x2D, bytes[52] == 0x2D,
            let version = Self.hex(bytes[0..<2]), version != 0xFF, version != 0 || bytes.count == 55,
            bytes.count == 55 || bytes[55] == 0x2D,
            let high = Self.hex(bytes[3..<19]), let low = Self.hex(bytes[19..<35]), high != 0 || low != 0,
            let span = Self.hex(bytes[36..<52]), span != 0, let flags = Self.hex(bytes[53..<55])
        else { return nil }
        self.init(traceID: (high, low), spanID: span, flags: UInt8(truncatingIfNeeded: flags))
    }

    public var traceparent: String {
        String(unsafeUninitializedCapacity: 55) { out in
            out.initialize(repeating: UInt8(ascii: "-"))
            Self.write(0, 2, to: out, at: 0)
            writeID(to: out, at: 3)
            Self.write(spanID, 16, to: out, at: 36)
            Self.write(UInt64(flags), 2, to: out, at: 53)
            return 55
        }
    }

    public var traceIDText: String {
        String(unsafeUninitializedCapacity: 32) { out in
            writeID(to: out, at: 0)
            return 32
        }
    }

    /// Lower-case digits only, as the standard wants.
    private static func hex(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case 0x30...0x39: value = value << 4 | UInt64(digit - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(digit - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }

    private func writeID(to out: UnsafeMutableBufferPointer<UInt8>, at place: Int) {
        Self.write(traceID.high, 16, to: out, at: place)
        Self.write(traceID.low, 16, to: out, at: place + 16)
    }

    private static func write(_ value: UInt64, _ width: Int, to out: UnsafeMutableBufferPointer<UInt8>, at place: Int) {
        var rest = value
        for index in stride(from: place + width - 1, through: place, by: -1) {
            let nibble = UInt8(truncatingIfNeeded: rest & 15)
            out[index] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
            rest >>= 4
        }
    }

    public static func == (a: TraceContext, b: TraceContext) -> Bool {
        a.traceID == b.traceID && a.spanID == b.spanID && a.flags == b.flags
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(traceID.high)
        hasher.combine(traceID.low)
        hasher.combine(spanID)
    }
}

/// Numbers for traces: unique, never zero, and no system call each. They identify, they protect nothing.
private enum Spans {
    /// SplitMix64 (Steele, Lea and Flood 2014) over a counter that starts anywhere.
    private static let state = Atomic<UInt64>(.random(in: 1...UInt64.max))

    static func next() -> UInt64 {
        var mixed = state.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return mixed == 0 ? 1 : mixed
    }
}
