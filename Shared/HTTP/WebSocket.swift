import Runtime
import Shared

/// One end of a WebSocket (RFC 6455), on the server or as a client. Extensions are not offered.
///
/// `receive()` is called by one task, again and again, also by those who only send: it answers pings and notices the
/// end. `send` never waits: what the socket does not take is queued, and a peer that lets more than
/// `Limits.outboundMax` pile up is closed with 1013 so that it cannot slow down anybody else.
///
/// `@unchecked Sendable`: belongs to the loop of its connection and is only used there.
public final class WebSocket: @unchecked Sendable {
    public struct Limits: Sendable {
        /// 64 KiB: browsers send small commands; documents go over HTTP.
        public var messageMax = 64 * 1024
        /// 256 KiB: some hundred frames, a few seconds of a bad line.
        public var outboundMax = 256 * 1024
        /// A ping after so much silence keeps middle boxes from forgetting the connection.
        public var pingEvery = Duration.seconds(30)
        /// A peer that leaves a ping unanswered so long is gone.
        public var pongWithin = Duration.seconds(20)
        /// How long the peer may take to answer our close.
        public var closeWithin = Duration.seconds(5)

        public init() {}
    }

    public enum Message: Hashable, Sendable {
        case text(String)
        case binary([UInt8])
    }

    public enum Role: Sendable {
        case server
        case client
    }

    /// The sub-protocol agreed on.
    public let subprotocol: String?
    public let limits: Limits
    let transport: Transport
    private let role: Role
    private var decoder: FrameDecoder
    private let inbound: Inbound
    private var outbound: Outbound
    private var heartbeat: Heartbeat?

    private var closeSent = false
    private var isFinished = false
    private var hasFailed = false
    /// Set by the first of: the peer's close frame, our own close, a broken rule, a broken connection.
    public private(set) var closeCode: CloseCode?
    public private(set) var closeReason = ""

    init(
        _ transport: Transport, role: Role, leftover: [UInt8], subprotocol: String?, limits: Limits
    ) {
        self.transport = transport
        self.role = role
        self.subprotocol = subprotocol
        self.limits = limits
        inbound = Inbound(transport, scratch: .ofLoop(), leftover: leftover)
        decoder = FrameDecoder(role: role == .server ? .server : .client, messageMax: limits.messageMax)
        outbound = Outbound(transport)
        heartbeat = Heartbeat(every: limits.pingEvery, within: limits.pongWithin)
        heartbeat?.start(
            ping: { [weak self] in self?.write(.ping, []) },
            lost: { [weak self] in self?.fail(.abnormal, "The peer does not answer.") })
    }

    public var peer: String { transport.peer }
    public var isOpen: Bool { !closeSent && !isFinished }
    /// Bytes that the peer has not taken yet.
    public var outboundCount: Int { outbound.count }

    // MARK: - Receiving

    /// The next message; nil when the socket is closed, and then ``closeCode`` says why. Throws only
    /// `CancellationError`.
    public func receive() async throws -> Message? {
        while !isFinished {
            try Task.checkCancellation()
            do {
                if let event = try await nextEvent(), let message = handle(event) { return message }
            } catch let violation as FrameDecoder.Violation {
                fail(violation.code, violation.reason)
            } catch {
                finish(.abnormal, "The connection broke.")
            }
        }
        return nil
    }

    /// The next event; nil when it needs another look, the connection's end included.
    private func nextEvent() async throws -> FrameDecoder.Event? {
        if inbound.count > 0, let event = try inbound.look(decode) { return event }
        heartbeat?.isListening = true
        defer { heartbeat?.isListening = false }
        guard let event = try await inbound.more(decode) else {
            finish(.abnormal, "The connection broke.")
            return nil
        }
        heartbeat?.heard()
        return event
    }

    private func decode(
        _ input: UnsafeBufferPointer<UInt8>
    ) throws(FrameDecoder.Violation) -> (used: Int, FrameDecoder.Event?) {
        var at = 0
        let event = try decoder.next(input, &at)
        return (at, event)
    }

    /// Answers control frames; returns data, which is dropped once we have said that we close.
    private func handle(_ event: FrameDecoder.Event) -> Message? {
        switch event {
        case .text(let text): return closeSent ? nil : .text(text)
        case .binary(let bytes): return closeSent ? nil : .binary(bytes)
        case .ping(let payload): write(.pong, payload)
        case .pong: break
        case .close(let code, let reason):
            if closeCode == nil {
                closeCode = code
                closeReason = reason
            }
            if !closeSent { sendClose(code == .noStatus ? .normal : code, "") }
            finish(code, reason)
        }
        return nil
    }

    // MARK: - Sending

    /// False when the socket is closed, or too slow and therefore closed now.
    @discardableResult
    public func send(_ text: String) -> Bool { write(.text, text.utf8) }

    @discardableResult
    public func send(text: String) -> Bool { write(.text, text.utf8) }

    @discardableResult
    public func send(_ bytes: [UInt8]) -> Bool { write(.binary, bytes) }

    /// Sends a frame that was encoded once for many. Servers only: a client's frames are masked one by one.
    @discardableResult
    public func send(preencoded frame: Frame) -> Bool {
        precondition(role == .server, "A client's frames cannot be shared.")
        return isOpen && push(frame.bytes)
    }

    @discardableResult
    public func ping(_ payload: [UInt8] = []) -> Bool { write(.ping, payload) }

    /// Returns when the peer's socket has taken everything sent so far, for those who would rather wait than be cut.
    public func flushed() async { await outbound.flushed() }

    @discardableResult
    private func write(_ opcode: Opcode, _ payload: some Collection<UInt8>) -> Bool {
        isOpen && push(encode(opcode, payload))
    }

    private func encode(_ opcode: Opcode, _ payload: some Collection<UInt8>) -> [UInt8] {
        // The mask must not be predictable (RFC 6455 §10.3).
        Frame.encode(opcode, payload, mask: role == .client ? UInt32.random(in: .min ... .max) : nil)
    }

    private func push(_ bytes: [UInt8]) -> Bool {
        if outbound.count + bytes.count > limits.outboundMax, outbound.count > 0 {
            // The close frame goes past the bound; what is queued before it may still arrive.
            close(.tryAgainLater, reason: "Too slow.")
            return false
        }
        guard outbound.push(bytes) else {
            finish(.abnormal, "The connection broke.")
            return false
        }
        return true
    }

    // MARK: - Closing

    /// Says goodbye. `receive()` returns nil once the peer has answered or `Limits.closeWithin` is over.
    public func close(_ code: CloseCode = .normal, reason: String = "") {
        guard isOpen else { return }
        closeCode = code
        closeReason = reason
        sendClose(code, reason)
        heartbeat?.stop()
        heartbeat = nil
        let transport = transport
        outbound.timer = EventLoop.required().after(limits.closeWithin) { transport.abort() }
    }

    private func sendClose(_ code: CloseCode, _ reason: String) {
        closeSent = true
        _ = outbound.push(encode(.close, Frame.closePayload(code, reason)))
    }

    /// A broken rule: say which and hang up without waiting (RFC 6455 §7.1.7).
    private func fail(_ code: CloseCode, _ reason: String) {
        if isOpen, code.maySend { sendClose(code, reason) }
        hasFailed = true
        finish(code, reason)
        if !code.maySend { transport.abort() }
    }

    private func finish(_ code: CloseCode, _ reason: String) {
        guard !isFinished else { return }
        isFinished = true
        if closeCode == nil {
            closeCode = code
            closeReason = reason
        }
        heartbeat?.stop()
        heartbeat = nil
        outbound.timer?.cancel()
        outbound.timer = nil
    }

    /// Runs a server's closure and ends the socket properly whatever it does.
    func serve(_ body: (WebSocket) async throws -> Void) async {
        do {
            try await body(self)
            close(.normal)
        } catch {
            close(.internalError)
        }
        await end()
    }

    /// Waits for the peer's close frame (or the time it has), sends what is queued and hangs up.
    public func end() async {
        close(.normal)
        while let message = try? await receive() { _ = message }
        await outbound.flushed(within: limits.closeWithin)
        transport.shutdownWrite()
        // The server hangs up first (RFC 6455 §7.1.1), unless the peer may still be sending: unread input would reset
        // the connection before our close frame is read.
        if role == .client || hasFailed { await hearEnd() }
        transport.close()
    }

    private func hearEnd() async {
        let timer = EventLoop.required().after(.seconds(1)) { [transport] in transport.abort() }
        while let bytes = try? await transport.read(), !bytes.isEmpty {}
        timer.cancel()
    }

    deinit {
        heartbeat?.stop()
        outbound.timer?.cancel()
    }
}
