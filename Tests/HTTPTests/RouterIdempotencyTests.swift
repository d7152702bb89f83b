import HTTP
import Runtime
import Shared
import Testing

/// A guard that keeps everything in memory, and what it was asked.
private final class Memory: Sendable {
    private enum Entry {
        case taken([UInt8])
        case kept([UInt8], IdempotencyGuard.Stored)
    }

    private let entries = Guarded<[String: Entry]>([:])
    /// How often a handler ran.
    private let runs = Guarded(0)
    var made: Int { runs.withLock { $0 } }

    func make() -> Int {
        runs.withLock { runs in
            runs += 1
            return runs
        }
    }

    var count: Int { entries.withLock { $0.count } }

    var idempotency: IdempotencyGuard {
        IdempotencyGuard(
            begin: { [self] key in
                entries.withLock { entries in
                    switch entries[key.scope + key.key] {
                    case nil:
                        entries[key.scope + key.key] = .taken(key.fingerprint)
                        return .proceed
                    case .taken(let fingerprint): return fingerprint == key.fingerprint ? .inProgress : .mismatch
                    case .kept(let fingerprint, let stored):
                        return fingerprint == key.fingerprint ? .replay(stored) : .mismatch
                    }
                }
            },
            finish: { [self] key, stored in
                entries.withLock { $0[key.scope + key.key] = .kept(key.fingerprint, stored) }
            },
            abandon: { [self] key in entries.withLock { $0[key.scope + key.key] = nil } })
    }
}

@Suite struct RouterIdempotencyTests {
    private let memory = Memory()

    private func client(_ handler: @escaping Route.Handler) -> TestClient {
        let routes = [
            Route.post("/api/v1/things", "Make a thing", access: .member, idempotent: true, handler: handler),
            Route.post("/api/v1/tokens", "Make a token", access: .member, handler: handler),
        ]
        return TestClient(router(routes, idempotency: memory.idempotency), token: "user")
    }

    private func counting() -> TestClient {
        client { [memory] request in
            let number = memory.make()
            var response = Response.json(201, ["number": .int(number), "body": try await request.json()] as JSON)
            response.headers.set("Location", "/api/v1/things/\(number)")
            return response
        }
    }

    @Test func `the first answer is given again, byte for byte`() async throws {
        let client = counting()
        let first = await client.post("/api/v1/things", json: ["a": 1], headers: ["Idempotency-Key": "k"])
        let second = await client.post("/api/v1/things", json: ["a": 1], headers: ["Idempotency-Key": "k"])
        #expect(first.status == 201)
        #expect(second.status == 201)
        #expect(first.body == second.body)
        #expect(second.headers["Location"] == "/api/v1/things/1")
        #expect(second.headers["Idempotency-Replayed"] == "true")
        #expect(second.headers["X-Request-Id"] != first.headers["X-Request-Id"])
        #expect(memory.made == 1)
    }

    @Test func `other parameters under the same key are 422`() async throws {
        let client = counting()
        _ = await client.post("/api/v1/things", json: ["a": 1], headers: ["Idempotency-Key": "k"])
        let other = await client.post("/api/v1/things", json: ["a": 2], headers: ["Idempotency-Key": "k"])
        #expect(other.status == 422)
        #expect(other.code == "IDEMPOTENCY_MISMATCH")
    }

    @Test func `keys belong to their person, and routes that hand out secrets take none`() async throws {
        let client = counting()
        for token in ["user", "agent"] {
            _ = await client.post("/api/v1/things", json: ["a": 1], headers: ["Idempotency-Key": "k"], token: token)
        }
        #expect(memory.made == 2)
        for _ in 1...2 { _ = await client.post("/api/v1/tokens", json: [:], headers: ["Idempotency-Key": "t"]) }
        #expect(memory.made == 4)
        for _ in 1...2 { _ = await client.post("/api/v1/things", json: [:]) }
        #expect(memory.made == 6)
    }

    @Test func `while the first is being answered the second is told to wait`() async throws {
        let gate = Guarded<UnsafeContinuation<Void, Never>?>(nil)
        let client = client { _ in
            await withUnsafeContinuation { waiting in gate.withLock { $0 = waiting } }
            return .empty(201)
        }
        async let first = client.post("/api/v1/things", json: [:], headers: ["Idempotency-Key": "k"])
        try await onLoop {
            let end = ContinuousClock.now + .seconds(5)
            while gate.withLock({ $0 == nil }), ContinuousClock.now < end {
                try await EventLoop.sleep(for: .milliseconds(1))
            }
        }
        let second = await client.post("/api/v1/things", json: [:], headers: ["Idempotency-Key": "k"])
        #expect(second.status == 409)
        #expect(second.headers["Retry-After"] == "1")
        try #require(gate.withLock { $0 }).resume()
        #expect(await first.status == 201)
    }

    @Test func `what was refused leaves the key free, and an unknown outcome leaves it taken`() async throws {
        let refusing = client { _ in throw Problem.validation("a", "is bad") }
        #expect(await refusing.post("/api/v1/things", json: [:], headers: ["Idempotency-Key": "k"]).status == 400)
        #expect(memory.count == 0)
        struct Broken: Error {}
        let failing = client { _ in throw Broken() }
        #expect(await failing.post("/api/v1/things", json: [:], headers: ["Idempotency-Key": "k"]).status == 500)
        #expect(await failing.post("/api/v1/things", json: [:], headers: ["Idempotency-Key": "k"]).status == 409)
    }

    @Test(arguments: ["", "a b", "ä", String(repeating: "k", count: 256)])
    func `a key must be visible ASCII`(_ key: String) async throws {
        let response = await counting().post("/api/v1/things", json: [:], headers: ["Idempotency-Key": key])
        #expect(response.status == 400)
    }
}
