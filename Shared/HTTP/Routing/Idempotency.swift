import Shared

/// Remembers the first answer given under an `Idempotency-Key`. A struct of closures: the router says when, somebody
/// with a database says how (Messaging).
public struct IdempotencyGuard: Sendable {
    /// What a key means: the same key of another person, or on another address, is another key.
    public struct Key: Hashable, Sendable {
        /// User, method and path.
        public let scope: String
        /// The header's value, 1 to 255 visible ASCII characters.
        public let key: String
        /// SHA-256 of the query and the body.
        public let fingerprint: [UInt8]

        public init(scope: String, key: String, fingerprint: [UInt8]) {
            self.scope = scope
            self.key = key
            self.fingerprint = fingerprint
        }
    }

    /// An answer to be given again.
    public struct Stored: Sendable {
        public let status: Int
        public let headers: [(String, String)]
        public let body: [UInt8]

        public init(status: Int, headers: [(String, String)], body: [UInt8]) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    public enum Beginning: Sendable {
        /// Nobody used the key: it is taken now, and `finish` or `abandon` follows.
        case proceed
        case replay(Stored)
        /// The key was used with another fingerprint.
        case mismatch
        /// The first request under the key is still being answered, or its program died less than a minute ago.
        case inProgress
        /// The first request had its effect, and its program died before the answer was kept.
        case carriedOut
    }

    public typealias Work = () async throws -> Response

    public let begin: @Sendable (Key) async throws -> Beginning
    /// Does the work so that its effect and the note of it come to be together.
    public let carryOut: @Sendable (Key, Work) async throws -> Response
    public let finish: @Sendable (Key, Stored) async throws -> Void
    /// Refused: the key may be used again, unless something came to be all the same.
    public let abandon: @Sendable (Key) async throws -> Void

    public init(
        begin: @escaping @Sendable (Key) async throws -> Beginning,
        carryOut: @escaping @Sendable (Key, Work) async throws -> Response = { try await $1() },
        finish: @escaping @Sendable (Key, Stored) async throws -> Void,
        abandon: @escaping @Sendable (Key) async throws -> Void
    ) {
        self.begin = begin
        self.carryOut = carryOut
        self.finish = finish
        self.abandon = abandon
    }
}

extension IdempotencyGuard {
    static let header = "Idempotency-Key"

    /// Answers the request once. What is refused (a status from 400) leaves nothing behind and frees the key; success is
    /// kept. When nobody can say what happened (time was up, the client went away, an error of ours) the key stays taken
    /// until the guard lets it go: better a 409 than doing it twice. A program that dies between its commit and the keeping
    /// of its answer leaves the note that it was carried out, and the repetition is told where to look.
    /// - Parameter shownAt: where what the request makes or changes can be read.
    func once(
        _ request: Request, shownAt: @autoclosure () -> String?, _ log: (any Error) -> Void, _ handler: Route.Handler
    ) async throws -> Response {
        guard let text = request.headers[Self.header] else { return try await handler(request) }
        guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Problem.validation(Self.header, "must have 1 to 255 visible ASCII characters")
        }
        let body = try await request.bytes()
        var request = request
        request.body = Body(body)
        let key = Key(
            scope: "\(request.principal?.user.text ?? "anyone") \(request.method) \(request.path)", key: text,
            fingerprint: Digest.sha256(Array(request.rawQuery.utf8) + [0] + body))
        switch try await begin(key) {
        case .proceed: break
        case .replay(let stored): return Self.replayed(stored)
        case .mismatch:
            throw Problem(.idempotencyMismatch, "This Idempotency-Key was used with other parameters.")
        case .inProgress:
            throw Problem(
                .conflict, "The first request with this Idempotency-Key is still being answered.",
                headers: [("Retry-After", "1")])
        case .carriedOut:
            throw Problem.conflict(
                "The first request with this Idempotency-Key was carried out, but its answer was lost. "
                    + (shownAt().map { "What it did shows at GET \($0); " } ?? "")
                    + "send it again under another key only if it is to be done once more.")
        }
        return try await perform(request, key, log, handler)
    }

    private func perform(
        _ request: Request, _ key: Key, _ log: (any Error) -> Void, _ handler: Route.Handler
    ) async throws -> Response {
        do {
            let response = try await carryOut(key) { try await handler(request) }
            guard response.status < 400, let stored = Self.stored(response) else {
                try await abandon(key)
                return response
            }
            do {
                try await finish(key, stored)
            } catch {
                // The work is done and its answer true; only a repetition will have to wait.
                log(error)
            }
            return response
        } catch let problem as Problem where problem.status < 500 {
            try await abandon(key)
            throw problem
        }
    }

    private static func stored(_ response: Response) -> Stored? {
        let headers = response.headers.map { ($0.name, $0.value) }
        return switch response.body {
        case .empty: Stored(status: response.status, headers: headers, body: [])
        case .bytes(let bytes): Stored(status: response.status, headers: headers, body: bytes)
        case .stream, .upgrade, .webSocket: nil
        }
    }

    private static func replayed(_ stored: Stored) -> Response {
        var response = Response(
            status: stored.status, headers: Headers(stored.headers),
            body: stored.body.isEmpty ? .empty : .bytes(stored.body))
        response.headers.set("Idempotency-Replayed", "true")
        return response
    }
}

extension Route {
    /// The nearest address at or above this request's own that can be read: where a POST's effect shows.
    func shown(at path: some StringProtocol, among routes: [Route]) -> String? {
        var pattern = pattern.split(separator: "/")
        var place = path.split(separator: "/")
        guard pattern.count == place.count else { return nil }
        while !pattern.isEmpty {
            let wanted = "/" + pattern.joined(separator: "/")
            if routes.contains(where: { $0.method == .get && $0.pattern == wanted }) {
                return "/" + place.joined(separator: "/")
            }
            pattern.removeLast()
            place.removeLast()
        }
        return nil
    }
}
