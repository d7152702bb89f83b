import Glibc

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
        TraceContext(
            traceID: (.random(in: 1...UInt64.max), .random(in: 1...UInt64.max)), spanID: .random(in: 1...UInt64.max),
            flags: 0)
    }

    /// The same trace, a new span: what is sent on.
    public func child() -> TraceContext {
        TraceContext(traceID: traceID, spanID: .random(in: 1...UInt64.max), flags: flags)
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

    public var traceparent: String { "00-\(traceIDText)-\(Self.text(spanID, 16))-\(Self.text(UInt64(flags), 2))" }
    public var traceIDText: String { Self.text(traceID.high, 16) + Self.text(traceID.low, 16) }

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

    private static func text(_ value: UInt64, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
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
