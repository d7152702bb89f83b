import Runtime
import Shared

/// An HTTP/1.1 server: one listener per loop on the same port (SO_REUSEPORT), so a connection and all of its requests
/// stay on the loop that accepted them.
public final class Server: Component {
    public let name: String
    private let host: String
    private let port: Int
    private let tls: TLS.Files?
    private let limits: ServerLimits
    private let log: Log
    private let handler: @Sendable (Request) async -> Response
    private let state = Guarded(State())

    private struct State {
        var port = 0
        var open: [Opened] = []
    }

    /// A listener and the loop it lives on.
    ///
    /// `@unchecked Sendable`: the listener is only touched by work that runs on its loop.
    private struct Opened: @unchecked Sendable {
        let loop: EventLoop
        let listener: Listener
    }

    /// Port 0 takes a free one; ``boundPort`` says which. `handler` never throws: errors are responses by then.
    public init(
        port: Int, host: String = "0.0.0.0", tls: TLS.Files? = nil, limits: ServerLimits = ServerLimits(),
        name: String = "http", log: Log = Log(program: "http"), handler: @escaping @Sendable (Request) async -> Response
    ) {
        self.name = name
        self.host = host
        self.port = port
        self.tls = tls
        self.limits = limits
        self.log = log
        self.handler = handler
    }

    /// The port it listens on, once started.
    public var boundPort: Int { state.withLock { $0.port } }

    public func start(on group: EventLoopGroup) async throws {
        let context = try tls.map { try TLS.Context(server: $0) }
        var wanted = port
        for loop in group.loops {
            let opened = try await open(on: loop, port: wanted, context)
            // The first listener of port 0 decides for the others.
            wanted = opened.port
            state.withLock {
                $0.port = wanted
                $0.open.append(opened.opened)
            }
        }
    }

    private func open(
        on loop: EventLoop, port: Int, _ context: TLS.Context?
    ) async throws -> (opened: Opened, port: Int) {
        let outcome = Guarded<Result<(opened: Opened, port: Int), any Error>?>(nil)
        let (host, limits, log, handler) = (host, limits, log, handler)
        await loop.spawn("listen") {
            let result = Result {
                let socket = try Socket.listen(host: host, port: port, reusePort: true)
                let listener = Listener(socket, tls: context, limits: limits, log: log, handler: handler)
                listener.open()
                return (opened: Opened(loop: loop, listener: listener), port: listener.port)
            }
            outcome.withLock { $0 = result }
        }.value
        guard let result = outcome.withLock({ $0 }) else { throw CancellationError() }
        return try result.get()
    }

    /// Answers probes while the other parts of its program still wait for what is away.
    public var startsFirst: Bool { true }

    /// Returns when no loop accepts any more: who is sent away afterwards cannot come back here.
    public func leave() async {
        let open = state.withLock { $0.open }
        let leaving = open.map { opened in opened.loop.spawn("leave") { opened.listener.close() } }
        for each in leaving { await each.value }
    }

    public func stop(deadline: Duration) async {
        let open = state.withLock { state in
            defer { state.open = [] }
            return state.open
        }
        let limit = min(deadline, .seconds(limits.drainSeconds))
        let drains = open.map { opened in
            opened.loop.spawn("drain") { await opened.listener.drain(within: limit) }
        }
        for drain in drains { await drain.value }
    }
}
