import Glibc
import Runtime

/// A connected byte stream: a socket, with or without TLS over it.
///
/// `@unchecked Sendable`: belongs to the loop that accepted or connected it and is only touched there; the type is
/// handed to `@Sendable` closures that run on that loop.
public final class Transport: @unchecked Sendable {
    let socket: Socket
    private let tls: TLSSession?
    /// The address at the other end, without the port.
    public let peer: String
    private(set) var isClosed = false
    /// Reads since the last wait.
    private var eager = 0

    init(_ socket: Socket, tls: TLSSession? = nil) {
        self.socket = socket
        self.tls = tls
        peer = socket.peer
    }

    /// A plain TCP connection, for those who speak their own protocol or act as a proxy.
    public static func connect(host: String, port: Int, deadline: Duration) async throws -> Transport {
        Transport(try await Socket.connect(host: host, port: port, deadline: deadline))
    }

    /// The same with TLS over it if `secure`, its handshake done. `trusting` is a PEM file of authorities, the system's when
    /// nil.
    public static func connect(
        host: String, port: Int, secure: Bool, trusting authorities: String? = nil, deadline: Duration
    ) async throws -> Transport {
        guard secure else { return try await connect(host: host, port: port, deadline: deadline) }
        let session = try TLSSession(client: TLS.Context(clientTrusting: authorities), host: host)
        let transport = Transport(try await Socket.connect(host: host, port: port, deadline: deadline), tls: session)
        do {
            try await transport.handshake()
            return transport
        } catch {
            transport.close()
            throw error
        }
    }

    public var isSecure: Bool { tls != nil }

    // MARK: - Reading

    public enum Read {
        case bytes(Int)
        case again
        case end
    }

    /// Reads what is there without waiting.
    public func tryRead(_ target: UnsafeMutableRawBufferPointer) throws -> Read {
        guard let tls else { return try rawRead(target) }
        while true {
            switch try tls.decrypt(target) {
            case .bytes(let count): return .bytes(count)
            case .end: return .end
            case .again:
                // OpenSSL may have an alert or a key update to send before it can read on.
                _ = try flushCiphertext()
                switch try tls.feed({ try rawRead($0) }) {
                case .bytes: continue
                case .again: return .again
                case .end: return .end
                }
            }
        }
    }

    private func rawRead(_ target: UnsafeMutableRawBufferPointer) throws -> Read {
        guard let count = try socket.tryRead(into: target) else { return .again }
        return count == 0 ? .end : .bytes(count)
    }

    /// Returns when a read may have something, the end of the stream included.
    public func waitReadable() async throws {
        eager = 0
        try await socket.waitReadable()
    }

    /// The same for a task that nobody cancels; who wants it to end breaks the stream off. Costs no more than the
    /// waiting itself.
    @inline(__always)
    func waitReadableUncancelled() async {
        eager = 0
        await withUnsafeContinuation { socket.park($0) }
    }

    /// True when this stream has had something to read so often in a row that its task never waited. The task then
    /// yields: a peer that sends without pause must not keep the loop to itself.
    func isGreedy() -> Bool {
        eager += 1
        guard eager >= Self.eagerMax else { return false }
        eager = 0
        return true
    }

    /// Some microseconds' worth of small requests, or 1 MiB of a large body.
    private static let eagerMax = 16

    /// The next bytes, at most `max`; nil when the peer has closed its side.
    public func read(max: Int = 16 * 1024) async throws -> [UInt8]? {
        while true {
            var outcome = Read.again
            let bytes = try [UInt8](unsafeUninitializedCapacity: max) { buffer, count in
                outcome = try tryRead(UnsafeMutableRawBufferPointer(buffer))
                if case .bytes(let read) = outcome { count = read }
            }
            switch outcome {
            case .bytes:
                if isGreedy() { await Task.yield() }
                return bytes
            case .end: return nil
            case .again: try await waitReadable()
            }
        }
    }

    // MARK: - Writing

    /// Writes what the socket takes of `bytes[start...]` without waiting; how many bytes it took.
    func tryWrite(_ bytes: [UInt8], from start: Int) throws -> Int {
        try bytes.withUnsafeBytes { try tryWrite(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    }

    func tryWrite(_ rest: UnsafeRawBufferPointer) throws -> Int {
        guard let tls else { return try socket.tryWrite(rest) ?? 0 }
        // Ciphertext is held back only by this much, so plain text is taken only when the last piece is gone.
        guard try flushCiphertext() else { return 0 }
        let count = try tls.encrypt(UnsafeRawBufferPointer(rebasing: rest.prefix(TLSSession.recordMax)))
        _ = try flushCiphertext()
        return count
    }

    /// True when nothing is held back on our side.
    func flushCiphertext() throws -> Bool {
        guard let tls else { return true }
        return try tls.drain { try socket.tryWrite($0) ?? 0 }
    }

    func waitWritable() async throws { try await socket.waitWritable() }

    /// Returns when the socket has taken all bytes.
    public func write(_ bytes: [UInt8]) async throws { try await write(bytes, from: 0) }

    func write(_ bytes: [UInt8], from start: Int) async throws {
        var at = start
        while at < bytes.count {
            let count = try tryWrite(bytes, from: at)
            at += count
            if count == 0 { try await waitWritable() }
        }
        while try !flushCiphertext() { try await waitWritable() }
    }

    /// Two pieces with one system call; how many bytes of both were taken.
    func tryWrite(_ first: [UInt8], _ second: [UInt8]) throws -> Int {
        guard tls == nil, !first.isEmpty else {
            if first.isEmpty { return try tryWrite(second, from: 0) }
            let sent = try tryWrite(first, from: 0)
            return sent < first.count ? sent : sent + (try tryWrite(second, from: 0))
        }
        return try first.withUnsafeBytes { one in
            try second.withUnsafeBytes { two in try socket.tryWritev([one, two]) ?? 0 }
        }
    }

    // MARK: - Ending

    /// Wakes whoever waits to read, as if the peer had closed its side. What is written still goes out.
    func shutdownRead() {
        if !isClosed { socket.shutdown(SHUT_RD) }
    }

    /// Tells the peer that nothing more follows.
    public func shutdownWrite() {
        // A closed descriptor's number may be somebody else's by now.
        guard !isClosed else { return }
        tls?.sayGoodbye()
        _ = try? flushCiphertext()
        socket.shutdown(SHUT_WR)
    }

    /// Breaks the stream off: reads end and writes fail, so that whoever waits wakes up and closes.
    public func abort() {
        if !isClosed { socket.shutdown(SHUT_RDWR) }
    }

    public func close() {
        guard !isClosed else { return }
        isClosed = true
        tls?.sayGoodbye()
        _ = try? flushCiphertext()
        socket.close()
    }

    /// Performs the TLS handshake; nothing to do on a plain stream.
    func handshake() async throws {
        guard let tls else { return }
        while true {
            let done = try tls.handshake()
            while try !flushCiphertext() { try await waitWritable() }
            if done { return }
            switch try tls.feed({ try rawRead($0) }) {
            case .bytes: continue
            case .end: throw TLS.Failure("The peer closed during the handshake.")
            case .again: try await waitReadable()
            }
        }
    }
}
