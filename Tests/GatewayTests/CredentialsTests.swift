import Access
import HTTP
import Kafka
import Runtime
import Shared
import TestSupport
import Testing

@testable import Gateway

@Suite struct CredentialsTests {
    /// Stands in for auth: exchanges what it knows, and counts how often it was asked.
    private final class Exchange: Sendable {
        let key: SigningKey
        private let state = Guarded<(asked: Int, refuses: Bool)>((0, false))
        var asked: Int { state.withLock { $0.asked } }

        init() throws { key = try SigningKey.generate() }

        func refuse() { state.withLock { $0.refuses = true } }

        func answer(_ secret: Credentials.Secret) async throws -> String {
            let refuses = state.withLock { state in
                state.asked += 1
                return state.refuses
            }
            // As long as a password check takes: others come meanwhile.
            try await EventLoop.sleep(for: .milliseconds(20))
            switch secret {
            case .key("sk_good") where !refuses, .basic("ann", "correct:horse") where !refuses:
                return try token(SessionID())
            default: throw Problem.unauthorized("no")
            }
        }

        func token(_ session: SessionID?) throws -> String {
            let now = Instant.now()
            return try key.sign(
                Claims(
                    subject: UserID(), role: .user, session: session, issuer: "i", audience: "a", issuedAt: now,
                    expires: now + .seconds(60)))
        }
    }

    private func run(
        basic: Bool = true, anonymous: Int = 0,
        _ body: @escaping @Sendable (Credentials, Exchange) async throws -> Void
    ) async throws {
        let exchange = try Exchange()
        let tokens = TokenVerifier.fixed(
            KeySet(keys: [exchange.key]), issuer: "i", audience: "a",
            kafka: KafkaSettings(brokers: "127.0.0.1:1", profile: .local, clientID: "test"),
            log: Log(program: "test", least: .error))
        var limits = RateLimits.Settings()
        limits.anonymous = anonymous
        let credentials = Credentials(
            tokens: tokens, limits: RateLimits(limits), proxies: TrustedProxies([]), allowsBasic: basic
        ) { secret, _ in try await exchange.answer(secret) }
        try await onLoop { try await body(credentials, exchange) }
    }

    private static func request(_ fields: [(String, String)], _ path: String = "/api/v1/calls") -> Request {
        Request(.get, path, headers: Headers(fields), peer: "203.0.113.9")
    }

    private static let basic = ("Authorization", "Basic " + Digest.base64(Array("ann:correct:horse".utf8)))

    @Test func `a key becomes a token, in either header, and goes no further`() async throws {
        try await run { credentials, exchange in
            for fields in [[("Authorization", "Bearer sk_good")], [("X-Api-Key", "sk_good")], [Self.basic]] {
                var request = Self.request(fields)
                let principal = try await credentials.admit(&request)
                #expect(principal != nil)
                let token = try #require(request.bearerToken)
                #expect(token.split(separator: ".").count == 3)
                #expect(request.headers["X-Api-Key"] == nil)
                #expect(!request.headers.contains { $0.1.contains("sk_good") || $0.1.hasPrefix("Basic") })
            }
            // One key in two headers is one key.
            #expect(exchange.asked == 2)
        }
    }

    @Test func `a hundred requests at once ask once, and later ones not at all`() async throws {
        try await run { credentials, exchange in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        try await onLoop {
                            var request = Self.request([Self.basic])
                            _ = try await credentials.admit(&request)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(exchange.asked == 1)
        }
    }

    @Test func `a token is passed as it is, and nothing is nobody`() async throws {
        try await run { credentials, exchange in
            let token = try exchange.token(SessionID())
            var request = Self.request([("Authorization", "Bearer \(token)")])
            #expect(try await credentials.admit(&request) != nil)
            #expect(request.bearerToken == token)
            var silent = Self.request([])
            #expect(try await credentials.admit(&silent) == nil)
            #expect(exchange.asked == 0)
        }
    }

    @Test(arguments: [
        ("Authorization", "Bearer sk_bad"), ("X-Api-Key", "sk_bad"), ("X-Api-Key", "token"), ("Authorization", "Basic"),
        ("Authorization", "Basic %%%"), ("Authorization", "Basic YW5u"), ("Authorization", "Basic YW5uOndyb25n"),
        ("Authorization", "Basic //8="), ("Authorization", "Bearer a.b.c"),
    ])
    func `what does not count is refused`(_ name: String, _ value: String) async throws {
        try await run { credentials, _ in
            let error = await #expect(throws: Problem.self) {
                var request = Self.request([(name, value)])
                if try await credentials.admit(&request) == nil { throw Problem.unauthorized() }
            }
            #expect(error?.status == 401)
            // Where one logs in, it is only not looked at.
            var login = Self.request([(name, value)], "/api/auth/login/")
            let nobody = try await credentials.admit(&login)
            #expect(nobody == nil)
        }
    }

    @Test func `Basic is refused where it is not allowed`() async throws {
        try await run(basic: false) { credentials, exchange in
            await #expect(throws: Problem.self) {
                var request = Self.request([Self.basic])
                _ = try await credentials.admit(&request)
            }
            #expect(exchange.asked == 0)
        }
    }

    @Test func `guessing is counted like any anonymous request`() async throws {
        try await run(anonymous: 5) { credentials, exchange in
            var statuses: [Int] = []
            for number in 0..<20 {
                do {
                    var request = Self.request([("X-Api-Key", "sk_\(number)")])
                    _ = try await credentials.admit(&request)
                } catch let problem as Problem { statuses.append(problem.status) }
            }
            // The minute may turn once.
            #expect(statuses.count { $0 == 401 } <= 10 && statuses.contains(429))
            #expect(exchange.asked == statuses.count { $0 == 401 })
        }
    }

    @Test func `a socket may be opened with a key`() async throws {
        try await run { credentials, exchange in
            let opened = try await credentials.verify("sk_good", of: Self.request([]))
            #expect(opened.token.split(separator: ".").count == 3)
            exchange.refuse()
            // Known: nobody is asked.
            _ = try await credentials.verify("sk_good", of: Self.request([]))
            await #expect(throws: Problem.self) { try await credentials.verify("sk_bad", of: Self.request([])) }
        }
    }
}
