import Runtime
import Shared

/// Outgoing HTTP and HTTPS by libcurl, on the loop of whoever calls: connections are kept alive per loop, redirects are
/// never followed, proxies of the environment are not used, and certificates are always verified.
public final class Client: Sendable {
    /// Connections per loop that may stand open between requests.
    public static let idleConnectionsMax = 100
    /// Connections per loop to one host; more requests wait for one of them.
    public static let hostConnectionsMax = 64

    private let engines = Engines()
    private let authorities: String?

    /// - Parameter authorities: a PEM file of certificate authorities to trust instead of the system's.
    public init(authorities: String? = nil) { self.authorities = authorities }

    /// One exchange, content and all.
    /// - Throws: ``ClientError``, or `CancellationError`.
    public func send(_ request: ClientRequest) async throws -> ClientResponse {
        let transfer = try start(request, streams: false)
        try await transfer.untilFinished()
        return ClientResponse(status: transfer.status, headers: transfer.headers, body: transfer.take())
    }

    /// Returns when the response's head is there.
    public func stream(_ request: ClientRequest) async throws -> ClientStream {
        let transfer = try start(request, streams: true)
        try await transfer.untilHead()
        let lease = Lease(transfer)
        let body = Body(length: nil) { try await lease.transfer.chunk() }
        return ClientStream(status: transfer.status, headers: transfer.headers, body: body)
    }

    private func start(_ request: ClientRequest, streams: Bool) throws(ClientError) -> Transfer {
        let engine = engines.engine(on: .required(), guarded: request.refusePrivate)
        let transfer = try Transfer(request, streams: streams, authorities: authorities, engine: engine)
        try engine.add(transfer)
        return transfer
    }
}

/// Ends the exchange when nobody can read its content any more.
private final class Lease {
    let transfer: Transfer
    init(_ transfer: Transfer) { self.transfer = transfer }
    deinit { transfer.abandon() }
}

/// The engines of a client: two for each loop, because a connection that was made without the address check must never
/// be reused by a request that wants it.
///
/// `@unchecked Sendable`: the dictionary is only touched under the lock.
private final class Engines: @unchecked Sendable {
    private struct Place: Hashable {
        let loop: ObjectIdentifier
        let guarded: Bool
    }

    private let lock = Lock()
    private var engines: [Place: CurlEngine] = [:]

    func engine(on loop: EventLoop, guarded: Bool) -> CurlEngine {
        lock.withLock {
            let place = Place(loop: ObjectIdentifier(loop), guarded: guarded)
            if let found = engines[place] { return found }
            let made = CurlEngine(loop: loop)
            engines[place] = made
            return made
        }
    }

    deinit {
        // What belongs to a loop ends on it; a loop that has stopped ends with the process.
        for engine in engines.values { engine.loop.execute { engine.close() } }
    }
}
