import HTTP
import Runtime
import Shared

/// Sends a request on to the program that owns its path and streams the answer back.
struct Forward: Sendable {
    let upstreams: Upstreams

    /// Until the answer begins: longer than any route's own deadline, so that the route's word is the one heard.
    private static let answerMax: Duration = .seconds(35)
    /// Requests of one caller tried on another replica, at most.
    private static let triesMax = 3

    /// Fields a stranger must not say: they are ours.
    private static let ours = ["x-user-", "x-workspace-", "x-forwarded-", "x-deadline-", "forwarded"]

    private static func isOurs(_ name: String) -> Bool {
        // Nearly no field begins with either letter: the others need no lower-cased copy.
        guard let first = name.utf8.first, first | 0x20 == UInt8(ascii: "x") || first | 0x20 == UInt8(ascii: "f") else {
            return false
        }
        let name = name.lowercased()
        return ours.contains { name.hasPrefix($0) }
    }

    /// - Throws: 502 when nobody could be reached or the answer was broken, 504 when it took too long.
    func callAsFunction(_ request: Request, to owner: Owner, from address: String) async throws -> Response {
        let pool = upstreams.pool(owner)
        let headers = Self.headers(request, from: address)
        var tried: Set<Int> = []
        var tries = 0
        pool.retries.earn()
        while true {
            tries += 1
            // After a failure on a kept connection only a fresh one tells a closed connection from a dead replica.
            let lease = try await pool.lease(fresh: tries > 1, tried: &tried)
            do {
                return try await exchange(request, headers, lease, pool)
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
                if lease.connection.hasServed { pool.abandoned(lease) } else { pool.broken(lease) }
                if !lease.connection.hasServed { tried.insert(lease.replica) }
                guard isRepeatable, tries < Self.triesMax, !(error is Problem), pool.retries.spend() else {
                    throw Problem(
                        .upstreamUnavailable, "The part of the system that answers this broke off; try again shortly.",
                        cause: error)
                }
            }
        }
    }

    private func exchange(
        _ request: Request, _ headers: Headers, _ lease: UpstreamPool.Lease, _ pool: UpstreamPool
    ) async throws -> Response {
        // A small answer is read to its end under the same deadline: no stream, one write instead of several.
        let (answer, whole) = try await withDeadline(Self.answerMax) {
            let answer = try await lease.connection.exchange(
                request.method, request.target, headers: headers, body: request.body)
            guard request.method != .head, let length = answer.body.length, length <= Self.wholeMax, length > 0 else {
                return (answer, [UInt8]?.none)
            }
            return (answer, try await answer.body.bytes(max: Self.wholeMax))
        }
        var response = Response(status: answer.head.status, headers: answer.head.headers.endToEnd)
        response.headers.remove("Date")
        if answer.body.isEmpty || request.method == .head {
            pool.done(lease)
            response.body = .empty
            return response
        }
        if let whole {
            pool.done(lease)
            response.body = .bytes(whole)
            return response
        }
        response.body = .stream(length: answer.body.length) { writer in
            do {
                while let chunk = try await answer.body.next() { try await writer.write(chunk) }
                pool.done(lease)
            } catch {
                pool.abandoned(lease)
                throw error
            }
        }
        return response
    }

    private static let wholeMax = 64 * 1024

    /// The caller's end-to-end fields without those that are ours to say, and ours.
    static func headers(_ request: Request, from address: String) -> Headers {
        var headers = Headers()
        for (name, value) in request.headers.endToEnd where !isOurs(name) { headers.add(name, value) }
        headers.add("X-Forwarded-For", address)
        headers.add("X-Forwarded-Proto", request.isSecure ? "https" : "http")
        headers.add("X-Forwarded-Host", request.headers["Host"] ?? "")
        headers.set("X-Request-Id", request.id)
        if let trace = request.trace { headers.set("traceparent", trace.traceparent) }
        return headers
    }
}
