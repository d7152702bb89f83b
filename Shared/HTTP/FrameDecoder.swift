/// Takes WebSocket frames apart as their bytes arrive and puts messages together (RFC 6455 §5). Pure.
public struct FrameDecoder: Sendable {
    public enum Role: Sendable {
        /// Reads what a client sends: every frame must be masked.
        case server
        /// Reads what a server sends: no frame may be masked.
        case client
    }

    public enum Event: Hashable, Sendable {
        case text(String)
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        /// `code` is ``CloseCode/noStatus`` when the frame held none.
        case close(CloseCode, String)
    }

    /// A broken rule and the code to close with.
    public struct Violation: Error, Hashable, Sendable {
        public let code: CloseCode
        public let reason: String
    }

    private enum State {
        case header
        case payload
    }

    public let role: Role
    /// The most bytes one message may have, over all of its fragments.
    public let messageMax: Int

    private var state = State.header
    /// The header octets so far: at most 2 + 8 + 4.
    private var header: [UInt8] = []
    private var opcode = Opcode.text
    private var isFinal = true
    private var mask: UInt32 = 0
    private var left = 0
    private var phase = 0
    /// The data message being put together, and the control frame that may come between its fragments.
    private var message: [UInt8] = []
    private var messageOpcode: Opcode?
    private var control: [UInt8] = []
    private var text = UTF8Check()

    public init(role: Role, messageMax: Int = 64 * 1024) {
        self.role = role
        self.messageMax = messageMax
    }

    /// Whether nothing of a frame or message is held, so that an idle socket costs no buffer.
    public var isIdle: Bool { header.isEmpty && messageOpcode == nil && state == .header }

    /// Consumes `input[at...]` until an event is complete; nil when all is consumed without one.
    public mutating func next(_ input: UnsafeBufferPointer<UInt8>, _ at: inout Int) throws(Violation) -> Event? {
        while true {
            if state == .header {
                guard try readHeader(input, &at) else { return nil }
            }
            let count = min(left, input.count - at)
            if count > 0 { try take(UnsafeBufferPointer(rebasing: input[at..<at + count])) }
            at += count
            left -= count
            if left > 0 { return nil }
            state = .header
            if let event = try finishFrame() { return event }
        }
    }

    // MARK: - Header

    /// True when the header is whole and has been checked.
    private mutating func readHeader(
        _ input: UnsafeBufferPointer<UInt8>, _ at: inout Int
    ) throws(Violation) -> Bool {
        while true {
            if header.count >= 2, header.count == headerLength {
                try finishHeader()
                return true
            }
            guard at < input.count else { return false }
            header.append(input[at])
            at += 1
            // Refused as soon as seen: a peer that breaks the rules need not be waited for.
            if header.count == 1 { try checkFirst(header[0]) }
            if header.count == 2 { try checkSecond(header[1]) }
        }
    }

    private var headerLength: Int {
        let short = header[1] & 0x7F
        return 2 + (short == 126 ? 2 : short == 127 ? 8 : 0) + (header[1] & 0x80 != 0 ? 4 : 0)
    }

    private mutating func checkFirst(_ octet: UInt8) throws(Violation) {
        if octet & 0x70 != 0 { throw broken("A reserved bit is set.") }
        guard let opcode = Opcode(rawValue: octet & 0x0F) else { throw broken("The opcode is reserved.") }
        self.opcode = opcode
        isFinal = octet & 0x80 != 0
        if opcode.isControl, !isFinal { throw broken("A control frame is fragmented.") }
        if opcode == .continuation, messageOpcode == nil { throw broken("There is nothing to continue.") }
        if opcode == .text || opcode == .binary, messageOpcode != nil {
            throw broken("A message begins inside another.")
        }
    }

    private func checkSecond(_ octet: UInt8) throws(Violation) {
        let isMasked = octet & 0x80 != 0
        if role == .server, !isMasked { throw broken("A client's frame is not masked.") }
        if role == .client, isMasked { throw broken("A server's frame is masked.") }
        if opcode.isControl, octet & 0x7F > 125 { throw broken("A control frame is too long.") }
    }

    private mutating func finishHeader() throws(Violation) {
        let short = Int(header[1] & 0x7F)
        var length = UInt64(short)
        var maskAt = 2
        if short >= 126 {
            maskAt = short == 126 ? 4 : 10
            length = header[2..<maskAt].reduce(0) { $0 << 8 | UInt64($1) }
            // RFC 6455 §5.2: the shortest form, and the most significant bit of the long one is 0.
            let least: UInt64 = short == 126 ? 126 : 65536
            if length < least || length > UInt64(Int64.max) { throw broken("The length is not in its shortest form.") }
        }
        mask = 0
        if header[1] & 0x80 != 0 {
            for index in 0..<4 { mask |= UInt32(header[maskAt + index]) << UInt32(index * 8) }
        }
        header.removeAll(keepingCapacity: true)
        if !opcode.isControl {
            if length > UInt64(messageMax - message.count) {
                throw Violation(code: .messageTooBig, reason: "A message may have \(messageMax) bytes.")
            }
            if opcode != .continuation {
                messageOpcode = opcode
                text = UTF8Check()
            }
        }
        left = Int(length)
        phase = 0
        state = .payload
    }

    // MARK: - Payload

    private mutating func take(_ piece: UnsafeBufferPointer<UInt8>) throws(Violation) {
        if opcode.isControl {
            let start = control.count
            control.append(contentsOf: piece)
            let (mask, phase) = (mask, phase)
            control.withUnsafeMutableBufferPointer { Masking.apply(mask, to: $0, from: start, phase: phase) }
        } else {
            let start = message.count
            message.append(contentsOf: piece)
            let (mask, phase) = (mask, phase)
            message.withUnsafeMutableBufferPointer { Masking.apply(mask, to: $0, from: start, phase: phase) }
            if messageOpcode == .text {
                let good = message.withUnsafeBufferPointer { text.take(UnsafeBufferPointer(rebasing: $0[start...])) }
                if !good { throw Violation(code: .invalidPayload, reason: "The text is not UTF-8.") }
            }
        }
        phase += piece.count
    }

    private mutating func finishFrame() throws(Violation) -> Event? {
        if opcode.isControl {
            let payload = control
            control = []
            switch opcode {
            case .ping: return .ping(payload)
            case .pong: return .pong(payload)
            default: return try close(payload)
            }
        }
        guard isFinal else { return nil }
        let payload = message
        let kind = messageOpcode
        message = []
        messageOpcode = nil
        if kind == .binary { return .binary(payload) }
        guard text.isComplete else { throw Violation(code: .invalidPayload, reason: "The text is not UTF-8.") }
        return .text(String(decoding: payload, as: UTF8.self))
    }

    private func close(_ payload: [UInt8]) throws(Violation) -> Event {
        if payload.isEmpty { return .close(.noStatus, "") }
        guard payload.count >= 2 else { throw broken("A close frame holds half a code.") }
        let code = CloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
        guard code.maySend else { throw broken("The close code may not be sent.") }
        guard let reason = String(validating: payload[2...], as: UTF8.self) else {
            throw Violation(code: .invalidPayload, reason: "The close reason is not UTF-8.")
        }
        return .close(code, reason)
    }

    private func broken(_ reason: String) -> Violation { Violation(code: .protocolError, reason: reason) }
}
