import HTTP
import Runtime
import Shared

/// Sends a request on to the program that owns its path and streams the answer back.
struct Forward: Sendable {
    let upstreams: Upstreams

    /// Seconds until the answer begins: longer than any route's own deadline, so that the route's word is the one heard.
    private static let answerSeconds = 35
    /// Requests of one caller tried on another replica, at most.
    private static let triesMax = 3
    /// A small answer is read to its end under the same time limit: no stream, one write instead of several.
    private static let wholeMax = 64 * 1024

    /// What the program behind is told of where a request comes from.
    struct Origin: Sendable {
        let address: String
        let id: String
        let trace: TraceContext

        init(from address: String, id: String, trace: TraceContext) {
            self.address = address
            self.id = id
            self.trace = trace
        }
    }

    /// - Throws: 502 when nobody could be reached or the answer was broken, 504 when it took too long.
    func callAsFunction(_ request: Request, to owner: Owner, _ origin: Origin) async throws -> Response {
        let pool = upstreams.pool(owner)
        let headers = Self.headers(request, origin)
        var tried: Set<Int> = []
        var tries = 0
        pool.retries.earn()
        while true {
            tries += 1
            // After a failure on a kept connection only a fresh one tells a closed connection from a dead replica.
            let chosen = tries == 1 ? pool.choose() : (kept: nil, replica: nil)
            let lease: UpstreamPool.Lease
            if let kept = chosen.kept {
                lease = kept
            } else {
                lease = try await pool.lease(fresh: tries > 1, chosen: chosen.replica, tried: &tried)
            }
            let wasKept = lease.connection.hasServed
            do {
                var answer = try await lease.connection.exchange(
                    request.method, request.target, headers: headers, body: request.body, within: Self.answerSeconds,
                    wholeMax: Self.wholeMax)
                return Self.response(to: request, &answer, lease, pool)
            } catch is CancellationError {
                pool.abandoned(lease)
                throw CancellationError()
            } catch let error as DeadlineExceeded {
                pool.abandoned(lease)
                throw Problem(.deadlineExceeded, "No answer was ready in time; try again.", cause: error)
            } catch {
                // What was never answered may be sent again if doing it twice is doing it once, or if the server had
                // closed an idle connection before it saw anything of a body we still hold.
                let isRepeatable = request.method.isIdempotent && request.body.isEmpty
                if wasKept {
                    pool.abandoned(lease)
                } else {
                    pool.broken(lease)
                    tried.insert(lease.replica)
                }
                guard isRepeatable, tries < Self.triesMax, !(error is Problem), pool.retries.spend() else {
                    throw Problem(
                        .upstreamUnavailable, "The part of the system that answers this broke off; try again shortly.",
                        cause: error)
                }
            }
        }
    }

    private static func response(
        to request: Request, _ answer: inout Upstream.Answer, _ lease: UpstreamPool.Lease, _ pool: UpstreamPool
    ) -> Response {
        var response = Response(status: answer.head.status)
        // Traded, not copied.
        swap(&response.headers, &answer.head.headers)
        response.headers.keepEndToEnd(without: .date)
        if answer.body.isEmpty || request.method == .head {
            pool.done(lease)
        } else if let whole = answer.body.takeReady() {
            pool.done(lease)
            response.body = .bytes(whole)
        } else {
            let body = answer.body
            response.body = .stream(length: body.length) { writer in
                do {
                    while let chunk = try await body.next() { try await writer.write(chunk) }
                    pool.done(lease)
                } catch {
                    pool.abandoned(lease)
                    throw error
                }
            }
        }
        return response
    }

    /// The caller's end-to-end fields without those that are ours to say, and ours.
    static func headers(_ request: Request, _ origin: Origin) -> Headers {
        var headers = request.headers
        // First, so that this makes the only copy.
        headers.reserve(fields: 5, bytes: 256)
        headers.keepEndToEnd(without: [.ours, .requestID, .traceparent])
        headers.addTrusted("X-Forwarded-For", origin.address)
        headers.addTrusted("X-Forwarded-Proto", request.isSecure ? "https" : "http")
        headers.addTrusted("X-Forwarded-Host", sameAs: "Host")
        headers.addTrusted("X-Request-Id", origin.id)
        origin.trace.withTraceparent { headers.addTrusted("traceparent", $0) }
        return headers
    }
}
