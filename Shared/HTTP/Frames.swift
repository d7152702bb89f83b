/// What a WebSocket frame is for (RFC 6455 §5.2).
public enum Opcode: UInt8, Hashable, Sendable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    var isControl: Bool { rawValue & 0x8 != 0 }
}

/// Why a WebSocket closes (RFC 6455 §7.4).
public struct CloseCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let normal = CloseCode(rawValue: 1000)
    /// The server stops, or the page is left.
    public static let goingAway = CloseCode(rawValue: 1001)
    public static let protocolError = CloseCode(rawValue: 1002)
    public static let unsupportedData = CloseCode(rawValue: 1003)
    /// Never sent: the peer's close frame held no code.
    public static let noStatus = CloseCode(rawValue: 1005)
    /// Never sent: the connection broke without a close frame.
    public static let abnormal = CloseCode(rawValue: 1006)
    public static let invalidPayload = CloseCode(rawValue: 1007)
    public static let policyViolation = CloseCode(rawValue: 1008)
    public static let messageTooBig = CloseCode(rawValue: 1009)
    public static let internalError = CloseCode(rawValue: 1011)
    /// The reader is too slow; come back later.
    public static let tryAgainLater = CloseCode(rawValue: 1013)

    /// Whether the code may stand in a close frame: assigned ones, and 3000–4999 for libraries and applications.
    public var maySend: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// One whole frame, ready to be sent any number of times to any number of sockets without being encoded again.
public struct Frame: Sendable {
    public let bytes: [UInt8]

    /// Encodes unmasked, as a server sends (RFC 6455 §5.1).
    public init(_ opcode: Opcode, _ payload: some Collection<UInt8>) {
        bytes = Self.encode(opcode, payload, mask: nil)
    }

    public static func text(_ text: String) -> Frame { Frame(.text, text.utf8) }

    /// `code` must be one that may be sent; a reason is cut at 123 bytes, at a character border.
    static func closePayload(_ code: CloseCode, _ reason: String) -> [UInt8] {
        guard code.maySend else { return [] }
        var payload = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)]
        for character in reason {
            let octets = Array(character.utf8)
            if payload.count + octets.count > 125 { break }
            payload += octets
        }
        return payload
    }

    static func encode(_ opcode: Opcode, _ payload: some Collection<UInt8>, mask: UInt32?) -> [UInt8] {
        let count = payload.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 14)
        bytes.append(0x80 | opcode.rawValue)
        let masked: UInt8 = mask == nil ? 0 : 0x80
        switch count {
        case 0...125: bytes.append(masked | UInt8(count))
        case 126...0xFFFF:
            bytes.append(masked | 126)
            bytes.append(UInt8(count >> 8))
            bytes.append(UInt8(count & 0xFF))
        default:
            bytes.append(masked | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
        }
        guard let mask else {
            bytes.append(contentsOf: payload)
            return bytes
        }
        for shift in stride(from: 0, through: 24, by: 8) { bytes.append(UInt8(truncatingIfNeeded: mask >> shift)) }
        let start = bytes.count
        bytes.append(contentsOf: payload)
        bytes.withUnsafeMutableBufferPointer { Masking.apply(mask, to: $0, from: start, phase: 0) }
        return bytes
    }
}

/// XOR with the four mask octets (RFC 6455 §5.3), eight at a time.
enum Masking {
    /// `phase` is how many payload octets of the frame came before.
    static func apply(_ mask: UInt32, to bytes: UnsafeMutableBufferPointer<UInt8>, from start: Int, phase: Int) {
        let turn = UInt32((phase & 3) * 8)
        let turned = turn == 0 ? mask : mask >> turn | mask << (32 - turn)
        let wide = UInt64(turned) | UInt64(turned) << 32
        let raw = UnsafeMutableRawBufferPointer(bytes)
        var at = start
        while at + 8 <= raw.count {
            raw.storeBytes(
                of: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ wide.littleEndian, toByteOffset: at,
                as: UInt64.self)
            at += 8
        }
        var shift: UInt32 = 0
        while at < raw.count {
            raw[at] ^= UInt8(truncatingIfNeeded: turned >> shift)
            shift += 8
            if shift == 32 { shift = 0 }
            at += 1
        }
    }
}
