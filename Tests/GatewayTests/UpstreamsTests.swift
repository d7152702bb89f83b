import HTTP
import Runtime
import Shared
import TestSupport
import Testing

@testable import Gateway

@Suite struct UpstreamsTests {
    /// Two replicas under one port, on addresses of their own as in a cluster; each answers with its address.
    private func withReplicas(
        _ body: @escaping @Sendable (_ first: Endpoint, _ second: Endpoint) async throws -> Void
    ) async throws {
        let servers = try await onLoop {
            let first = Server(port: 0, host: "127.0.0.1") { _ in .text(200, "127.0.0.1") }
            try await first.start(on: testLoops)
            let second = Server(port: first.boundPort, host: "127.0.0.2") { _ in .text(200, "127.0.0.2") }
            try await second.start(on: testLoops)
            return [first, second]
        }
        let port = servers[0].boundPort
        try await onLoop(testLoops.loops[0]) {
            try await body(Endpoint(host: "127.0.0.1", port: port), Endpoint(host: "127.0.0.2", port: port))
        }
        for server in servers { await server.stop(deadline: .milliseconds(500)) }
    }

    private static func ask(_ upstreams: Upstreams) async throws -> String {
        let request = Request(.get, "/api/v1/analytics/overview", headers: ["Host": "h"], peer: "203.0.113.9")
        let origin = Forward.Origin(from: "203.0.113.9", id: "r", trace: TraceContext.new())
        let answer = try await Forward(upstreams: upstreams)(request, to: .qaAnalytics, origin)
        guard case .bytes(let bytes) = answer.body else { return "no small answer" }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `every address of a name is a replica, and replicas come and go with them`() async throws {
        try await withReplicas { first, second in
            let answers = Guarded<[Endpoint]?>([first])
            let named = Endpoint(host: "qa-analytics.test", port: first.port)
            struct Away: Error {}
            let upstreams = Upstreams([.qaAnalytics: [named]], Log(program: "test", least: .error)) { _ in
                guard let known = answers.withLock({ $0 }) else { throw Away() }
                return known
            }
            func answering() async -> Set<String> {
                var seen: Set<String> = []
                for _ in 0..<6 { seen.insert((try? await Self.ask(upstreams)) ?? "nobody") }
                return seen
            }
            await upstreams.look()
            #expect(await answering() == ["127.0.0.1"])
            answers.withLock { $0 = [second, first] }
            await upstreams.look()
            #expect(await answering() == ["127.0.0.1", "127.0.0.2"])
            answers.withLock { $0 = [second] }
            await upstreams.look()
            #expect(await answering() == ["127.0.0.2"])
            // A resolver that is away takes nobody with it.
            answers.withLock { $0 = nil }
            await upstreams.look()
            #expect(await answering() == ["127.0.0.2"])
        }
    }

    @Test func `names are looked up while the program runs`() async throws {
        try await withReplicas { first, second in
            let named = Endpoint(host: "localhost", port: second.port)
            let upstreams = Upstreams([.qaAnalytics: [named]], Log(program: "test", least: .error)) { _ in [second] }
            try await upstreams.start(on: testLoops)
            try await eventually { try await Self.ask(upstreams) == "127.0.0.2" }
        }
    }
}
