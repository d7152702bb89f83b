import Glibc
import Runtime
import Shared

/// One loop's listening socket and the connections it accepted.
///
/// `@unchecked Sendable`: confined to its loop; the tasks it starts there capture it.
final class Listener: @unchecked Sendable {
    let handler: @Sendable (Request) async -> Response
    let limits: ServerLimits
    let scratch = Scratch.ofLoop()
    let encoder = ResponseEncoder()
    private let tls: TLS.Context?
    private let log: Log
    private let socket: Socket
    private var accepting: Watch?
    private var sweep: Runtime.Timer?
    private var connections: [Connection] = []
    private var emptied: (() -> Void)?
    private(set) var isDraining = false
    /// Seconds since the listener opened; connections compare their time limits with it.
    private(set) var seconds = 0

    init(
        _ socket: Socket, tls: TLS.Context?, limits: ServerLimits, log: Log,
        handler: @escaping @Sendable (Request) async -> Response
    ) {
        self.socket = socket
        self.tls = tls
        self.limits = limits
        self.log = log
        self.handler = handler
    }

    var port: Int { socket.localPort }
    var count: Int { connections.count }

    func open() {
        listen()
        tickLater()
    }

    // MARK: - Accepting

    private func listen() {
        accepting = EventLoop.required().watch(socket.descriptor) { [unowned self] _ in accept() }
        accepting?.set(read: true, write: false)
    }

    /// Takes a bounded number at once, so that a storm of connections does not starve those that are being served.
    private func accept() {
        for _ in 0..<64 {
            do {
                guard let accepted = try socket.accept() else { return }
                begin(accepted)
            } catch {
                // Out of descriptors, most likely: let some connections end first.
                log.warn("accept_failed", ("error", "\(error)"))
                return pause()
            }
            if connections.count >= limits.connectionsMax { return pause() }
        }
    }

    private func pause() {
        accepting?.cancel()
        accepting = nil
        _ = EventLoop.required().after(.milliseconds(100)) { [weak self] in
            guard let self, !isDraining, accepting == nil else { return }
            if connections.count >= limits.connectionsMax { pause() } else { listen() }
        }
    }

    private func begin(_ accepted: Socket) {
        let transport: Transport
        do {
            transport = Transport(accepted, tls: try tls.map { try TLSSession(server: $0) })
        } catch {
            log.warn("tls_failed", ("error", "\(error)"))
            return accepted.close()
        }
        let connection = Connection(transport, self)
        connection.index = connections.count
        connections.append(connection)
        EventLoop.required().spawn("connection") { [self] in
            await connection.run()
            guard let takeover = connection.takeover else { return remove(connection) }
            EventLoop.required().spawn("takeover") { [self] in
                await connection.run(takeover)
                remove(connection)
            }
        }
    }

    private func remove(_ connection: Connection) {
        let last = connections.removeLast()
        if last !== connection {
            last.index = connection.index
            connections[connection.index] = last
        }
        if connections.isEmpty { emptied?() }
    }

    // MARK: - Time

    /// The sweep at which so many whole seconds from now have certainly passed.
    func tick(after limit: Int) -> Int { seconds + limit + 1 }

    /// One timer for all connections: looking at each once a second is cheaper than winding up a timer per request.
    private func tickLater() {
        sweep = EventLoop.required().after(.seconds(1)) { [weak self] in
            guard let self else { return }
            seconds += 1
            for connection in connections where connection.expires <= seconds { connection.expire() }
            tickLater()
        }
    }

    // MARK: - Ending

    /// Accepts nothing more; every connection's next answer is its last.
    func close() {
        guard !isDraining else { return }
        isDraining = true
        accepting?.cancel()
        accepting = nil
        socket.close()
    }

    /// Stops accepting, lets requests be answered and idle connections go, and breaks off what is left in the end.
    func drain(within limit: Duration) async {
        close()
        for connection in connections { connection.drain() }
        if !connections.isEmpty {
            await withUnsafeContinuation { (done: UnsafeContinuation<Void, Never>) in
                var isOver = false
                let finish = {
                    if isOver { return }
                    isOver = true
                    done.resume()
                }
                emptied = finish
                _ = EventLoop.required().after(limit) { [weak self] in
                    for connection in self?.connections ?? [] { connection.transport.abort() }
                    // A handler that hangs does not hold up the stop.
                    _ = EventLoop.required().after(.milliseconds(100), finish)
                }
            }
        }
        sweep?.cancel()
        sweep = nil
    }

    /// A connection that ended badly is the peer's affair; it is worth a line only to somebody who debugs.
    func note(_ error: any Error, _ peer: String) {
        log.debug("connection_ended", ("peer", "\(peer)"), ("error", "\(error)"))
    }
}
