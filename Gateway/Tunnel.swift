import HTTP
import Runtime
import Shared

/// Carries a carrier's WebSocket through to the program that talks on it: the handshake is written anew, and after the
/// program's 101 the bytes go both ways as they are.
struct Tunnel: Sendable {
    let upstreams: Upstreams

    private static let handshakeSeconds = 5

    /// - Throws: 426 for a request that is no handshake, 502 when nobody answers it.
    func callAsFunction(_ request: Request, to owner: Owner, _ origin: Forward.Origin) async throws -> Response {
        guard request.method == .get, request.headers.list("Connection", contains: "upgrade"),
            request.headers.list("Upgrade", contains: "websocket")
        else { throw Problem(.upgradeRequired, "This address speaks WebSocket.", headers: [("Upgrade", "websocket")]) }
        let pool = upstreams.pool(owner)
        var headers = Forward.headers(request, origin)
        headers.set("Connection", "Upgrade")
        headers.set("Upgrade", "websocket")
        var tried: Set<Int> = []
        let lease = try await pool.lease(fresh: true, tried: &tried)
        let answer: Upstream.Answer
        do {
            answer = try await lease.connection.exchange(
                .get, request.target, headers: headers, within: Self.handshakeSeconds)
        } catch {
            pool.broken(lease)
            throw Problem(.upstreamUnavailable, "The call's program is not reachable; try again shortly.", cause: error)
        }
        var response = Response(status: answer.head.status, headers: answer.head.headers.endToEnd)
        guard answer.head.status == 101 else {
            let bytes = try await answer.body.bytes(max: 64 * 1024)
            pool.done(lease)
            response.body = bytes.isEmpty ? .empty : .bytes(bytes)
            return response
        }
        response.headers.set("Upgrade", "websocket")
        response.headers.set("Connection", "Upgrade")
        response.body = .upgrade { outside, ahead in
            let inside = lease.connection.detach()
            await tunnel(outside, ahead: ahead, inside.stream, otherAhead: inside.leftover)
            inside.stream.close()
            pool.released(lease)
        }
        return response
    }
}

extension UpstreamPool {
    /// The connection has become a tunnel and ended as one.
    func released(_ lease: Lease) { finish(lease.replica) }
}
