import Runtime

/// A TCP relay to a port of this machine that a test can cut, for faults no server produces on demand.
///
/// Sendable because tests use it on the loop they made it on.
public final class BreakableLink: @unchecked Sendable {
    public let port: Int
    /// While false, connections are accepted and closed at once.
    public var isOpen = true
    /// Connections that were closed at once.
    public private(set) var refused = 0

    private let target: Int
    private let loop = EventLoop.required()
    private let listener: Socket
    private var watch: Watch?
    private var sockets: [Socket] = []

    public init(to target: Int) throws {
        self.target = target
        listener = try Socket.listen(host: "127.0.0.1", port: 0)
        port = listener.localPort
        watch = loop.watch(listener.descriptor) { [unowned self] _ in accept() }
        watch?.set(read: true, write: false)
    }

    /// Ends every connection, without a word to either side.
    public func cut() {
        for socket in sockets { socket.close() }
        sockets.removeAll()
    }

    public func close() {
        watch?.cancel()
        listener.close()
        cut()
    }

    private func accept() {
        while let client = try? listener.accept() {
            guard isOpen else {
                refused += 1
                client.close()
                continue
            }
            sockets.append(client)
            // Both ends the same until the server's is there.
            let pair = Pair(from: client, to: client)
            loop.spawn("link") { await self.relay(pair.from) }
        }
    }

    private func relay(_ client: Socket) async {
        guard let server = try? await Socket.connect(host: "127.0.0.1", port: target) else { return client.close() }
        sockets.append(server)
        let back = Pair(from: server, to: client)
        loop.spawn("link back") { await Self.pump(back) }
        await Self.pump(Pair(from: client, to: server))
    }

    private static func pump(_ pair: Pair) async {
        while let bytes = try? await pair.from.read(), !bytes.isEmpty {
            guard (try? await pair.to.write(bytes)) != nil else { break }
        }
        pair.from.close()
        pair.to.close()
    }
}

/// Where bytes come from and where they go.
///
/// Sendable because both pumps of a connection run on the link's loop.
private final class Pair: @unchecked Sendable {
    let from: Socket
    let to: Socket

    init(from: Socket, to: Socket) {
        self.from = from
        self.to = to
    }
}
