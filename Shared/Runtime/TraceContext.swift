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
        let text = String(text)
        guard let found = text.utf8.withContiguousStorageIfAvailable({ TraceContext(traceparent: $0) }) ?? nil else {
            return nil
        }
        self = found
    }

    /// The same, of bytes.
    public init?(traceparent bytes: UnsafeBufferPointer<UInt8>) {
        guard bytes.count >= 55, bytes[2] == 0x2D, bytes[35] == 0x2D, bytes[52] == 0x2D,
            let version = Self.hex(bytes[0..<2]), version != 0xFF, version != 0 || bytes.count == 55,
            bytes.count == 55 || bytes[55] == 0x2D,
            let high = Self.hex(bytes[3..<19]), let low = Self.hex(bytes[19..<35]), high != 0 || low != 0,
            let span = Self.hex(bytes[36..<52]), span != 0, let flags = Self.hex(bytes[53..<55])
        else { return nil }
        self.init(traceID: (high, low), spanID: span, flags: UInt8(truncatingIfNeeded: flags))
    }

    public var traceparent: String {
        String(unsafeUninitializedCapacity: Self.length) { out in
            write(to: out)
            return Self.length
        }
    }

    /// The same without a `String`, for a field that is written at once.
    public func withTraceparent<T>(_ body: (UnsafeBufferPointer<UInt8>) -> T) -> T {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.length) { out in
            write(to: out)
            return body(UnsafeBufferPointer(out))
        }
    }

    private static let length = 55

    private func write(to out: UnsafeMutableBufferPointer<UInt8>) {
        precondition(out.count >= Self.length)
        out[0] = UInt8(ascii: "0")
        out[1] = UInt8(ascii: "0")
        out[2] = UInt8(ascii: "-")
        writeID(to: out, at: 3)
        out[35] = UInt8(ascii: "-")
        Self.write(spanID, to: out, at: 36)
        out[52] = UInt8(ascii: "-")
        let digits = Self.digits(UInt64(flags))
        out[53] = UInt8(truncatingIfNeeded: digits >> 8)
        out[54] = UInt8(truncatingIfNeeded: digits)
    }

    public var traceIDText: String {
        String(unsafeUninitializedCapacity: 32) { out in
            writeID(to: out, at: 0)
            return 32
        }
    }

    /// Lower-case digits only, as the standard wants.
    private static func hex(_ digits: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64? {
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
        Self.write(traceID.high, to: out, at: place)
        Self.write(traceID.low, to: out, at: place + 16)
    }

    /// Sixteen digits.
    private static func write(_ value: UInt64, to out: UnsafeMutableBufferPointer<UInt8>, at place: Int) {
        let raw = UnsafeMutableRawBufferPointer(out)
        raw.storeBytes(of: digits(value >> 32).bigEndian, toByteOffset: place, as: UInt64.self)
        raw.storeBytes(of: digits(value & 0xFFFF_FFFF).bigEndian, toByteOffset: place + 8, as: UInt64.self)
    }

    /// The eight digits of 32 bits, the last one in the lowest octet: nibbles are spread over octets, and those from ten
    /// on get 39 more, where the letters begin.
    private static func digits(_ value: UInt64) -> UInt64 {
        var spread = (value | value << 16) & 0x0000_FFFF_0000_FFFF
        spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
        spread = (spread | spread << 4) & 0x0F0F_0F0F_0F0F_0F0F
        let letters = (spread &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return spread &+ 0x3030_3030_3030_3030 &+ letters &* 39
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
