import Glibc
import Runtime
import Shared
import Synchronization
import Testing

@testable import HTTP

@Suite(.serialized) struct ClientTests {
    /// A server that answers with what it was asked, and a client on a loop beside it.
    private func against(
        _ routes: [Route], _ test: @escaping @Sendable (_ base: String, _ client: Client) async throws -> Void
    ) async throws {
        let router = router(routes)
        try await withServer(handler: { await router.respond(to: $0) }) { server in
            let base = "http://127.0.0.1:\(server.boundPort)"
            try await onLoop { try await test(base, Client()) }
        }
    }

    private static let echoing = Route(.post, "/echo", "Echo", access: .everyone) { request in
        let body = try await request.bytes(max: 10 << 20)
        return Response.json { json in
            json.object { json in
                json.field("method", request.method.name)
                json.field("target", request.target)
                json.fieldObject("headers") { json in
                    for (name, value) in request.headers { json.field(name.lowercased(), value) }
                }
                json.field("body", String(decoding: body, as: UTF8.self))
            }
        }
    }

    private static func echoing(_ method: HTTP.Method) -> Route {
        Route(method, "/echo", "Echo", access: .everyone, handler: echoing.handler)
    }

    @Test func `a request arrives as it was meant and its answer comes back`() async throws {
        let routes = [.get, .post, .put, .patch, .delete].map(ClientTests.echoing)
        try await against(routes) { base, client in
            var post = ClientRequest.post("\(base)/echo?a=b%20c", json: ["x": 1] as JSON, headers: ["X-Custom": "ü"])
            post.authorize(user: "AC1", password: "se:cret")
            let echoed = try await client.send(post)
            #expect(echoed.status == 200)
            #expect(echoed.headers["content-type"] == "application/json")
            let json = try echoed.json()
            #expect(json["method"] == "POST")
            #expect(json["target"] == "/echo?a=b%20c")
            #expect(json["body"] == "{\"x\":1}")
            #expect(json["headers"]?["authorization"] == "Basic QUMxOnNlOmNyZXQ=")
            #expect(json["headers"]?["content-type"] == "application/json")
            #expect(json["headers"]?["x-custom"] == "ü")
            #expect(json["headers"]?["expect"] == nil)
            let form = try await client.send(.post("\(base)/echo", form: [("To", "+1 415"), ("Ä", "ö&=")])).json()
            #expect(form["body"] == "To=%2B1%20415&%C3%84=%C3%B6%26%3D")
            for method in [HTTP.Method.get, .put, .patch, .delete] {
                let json = try await client.send(ClientRequest(method, "\(base)/echo")).json()
                #expect(json["method"]?.string == method.name)
                #expect(json["headers"]?["content-type"] == nil)
            }
            let empty = try await client.send(ClientRequest(.post, "\(base)/echo")).json()
            #expect(empty["method"] == "POST")
            #expect(empty["headers"]?["content-length"] == "0")
            let put = ClientRequest(.put, "\(base)/echo", headers: ["Content-Type": "text/plain"], body: [65])
            #expect(try await client.send(put).json()["body"] == "A")
        }
    }

    @Test func `HEAD has no content and a large body arrives whole`() async throws {
        let routes = [
            Route.get("/big", "Big", access: .everyone) { _ in
                .bytes(type: "text/plain", [UInt8](repeating: 66, count: 3_000_000))
            },
            ClientTests.echoing(.post),
        ]
        try await against(routes) { base, client in
            let head = try await client.send(ClientRequest(.head, "\(base)/big"))
            #expect(head.status == 200)
            #expect(head.body.isEmpty)
            #expect(head.headers["Content-Length"] == "3000000")
            #expect(try await client.send(.get("\(base)/big")).body.count == 3_000_000)
            var large = ClientRequest(.post, "\(base)/echo", body: [UInt8](repeating: 67, count: 2_000_000))
            // Under the thread sanitizer, among all other tests, the JSON alone takes more than the usual ten.
            large.timeout = .seconds(60)
            #expect(try await client.send(large).json()["body"]?.string?.utf8.count == 2_000_000)
        }
    }

    @Test func `connections are used again and many requests run at once`() async throws {
        let route = Route.get("/x", "X", access: .everyone) { _ in .text(200, "x") }
        try await against([route]) { base, client in
            for _ in 1...50 { #expect(try await client.send(.get("\(base)/x")).text == "x") }
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 1...200 {
                    group.addTask(executorPreference: EventLoop.required()) {
                        try await client.send(.get("\(base)/x")).status
                    }
                }
                for try await status in group { #expect(status == 200) }
            }
        }
    }

    @Test func `the trace goes along`() async throws {
        try await against([ClientTests.echoing(.get)]) { base, client in
            let trace = TraceContext.new()
            let json = try await TraceContext.$current.withValue(trace) {
                try await client.send(.get("\(base)/echo")).json()
            }
            let sent = try #require(json["headers"]?["traceparent"]?.string.flatMap { TraceContext(traceparent: $0) })
            #expect(sent.traceIDText == trace.traceIDText)
            #expect(sent.spanID != trace.spanID)
        }
    }

    @Test func `a redirect is an answer, not an errand`() async throws {
        try await against([Route.get("/old", "X", access: .everyone) { _ in .redirect(302, to: "/new") }]) {
            base, client in
            let response = try await client.send(.get("\(base)/old"))
            #expect(response.status == 302)
            #expect(response.headers["Location"] == "/new")
        }
    }

    @Test func `a stream arrives while it is being made`() async throws {
        let gate = Guarded<UnsafeContinuation<Void, Never>?>(nil)
        let route = Route.get("/stream", "Stream", access: .everyone) { _ in
            .stream(type: "text/event-stream") { writer in
                try await writer.write("first")
                await withUnsafeContinuation { waiting in gate.withLock { $0 = waiting } }
                try await writer.write("second")
            }
        }
        try await against([route]) { base, client in
            let stream = try await client.stream(.get("\(base)/stream"))
            #expect(stream.status == 200)
            #expect(stream.headers["Content-Type"] == "text/event-stream")
            // The server is still waiting: had the client waited for the end, nothing would come.
            #expect(try await stream.body.next() == Array("first".utf8))
            // The bytes may be here before their sender has reached its wait.
            let end = ContinuousClock.now + .seconds(5)
            while gate.withLock({ $0 == nil }), ContinuousClock.now < end {
                try await EventLoop.sleep(for: .milliseconds(1))
            }
            try #require(gate.withLock { $0 }).resume()
            var rest: [UInt8] = []
            while let chunk = try await stream.body.next() { rest += chunk }
            #expect(rest == Array("second".utf8))
        }
    }

    @Test func `a stream that nobody reads is held back and arrives whole later`() async throws {
        let written = Atomic<Int>(0)
        let route = Route.get("/stream", "Stream", access: .everyone) { _ in
            .stream(type: "text/plain") { writer in
                for _ in 0..<320 {
                    try await writer.write([UInt8](repeating: 65, count: 64 * 1024))
                    written.add(65536, ordering: .relaxed)
                }
            }
        }
        try await against([route]) { base, client in
            var request = ClientRequest.get("\(base)/stream")
            request.bodyMax = 100 << 20
            let stream = try await client.stream(request)
            // Wait until the sender has made no progress for a while.
            var seen = -1
            while written.load(ordering: .relaxed) != seen {
                seen = written.load(ordering: .relaxed)
                try await EventLoop.sleep(for: .milliseconds(200))
            }
            #expect(seen < 320 * 65536, "everything was taken although nobody read")
            var total = 0
            while let chunk = try await stream.body.next() { total += chunk.count }
            #expect(total == 320 * 65536)
        }
    }

    @Test func `limits hold: size, time, silence`() async throws {
        let routes = [
            Route.get("/big", "Big", access: .everyone) { _ in .text(200, String(repeating: "a", count: 5000)) },
            Route.get("/never", "Never", access: .everyone, deadline: .seconds(60)) { _ in
                try await EventLoop.sleep(for: .seconds(60))
                return .empty()
            },
            Route.get("/silent", "Silent", access: .everyone) { _ in
                .stream(type: "text/plain") { writer in
                    try await writer.write("x")
                    try await EventLoop.sleep(for: .seconds(60))
                }
            },
        ]
        try await against(routes) { base, client in
            var big = ClientRequest.get("\(base)/big")
            big.bodyMax = 4999
            await #expect(throws: ClientError.tooLarge(max: 4999)) { try await client.send(big) }
            big.bodyMax = 5000
            #expect(try await client.send(big).body.count == 5000)
            var never = ClientRequest.get("\(base)/never")
            never.timeout = .milliseconds(50)
            await #expect(throws: ClientError.timeout) { try await client.send(never) }
            var silent = ClientRequest.get("\(base)/silent")
            silent.silenceMax = .seconds(1)
            let stream = try await client.stream(silent)
            #expect(try await stream.body.next() == [120])
            await #expect(throws: ClientError.timeout) { try await stream.body.next() }
        }
    }

    @Test func `a cancelled task gets no answer and leaves nothing behind`() async throws {
        let route = Route.get("/never", "Never", access: .everyone, deadline: .seconds(60)) { _ in
            try await EventLoop.sleep(for: .seconds(60))
            return .empty()
        }
        try await against([route, ClientTests.echoing(.get)]) { base, client in
            await #expect(throws: DeadlineExceeded.self) {
                try await withDeadline(.milliseconds(50)) { try await client.send(.get("\(base)/never")) }
            }
            let next = try await client.send(.get("\(base)/echo"))
            #expect(next.status == 200)
        }
    }

    @Test func `a dropped stream ends the exchange at the server`() async throws {
        let ended = Atomic<Bool>(false)
        let route = Route.get("/endless", "Endless", access: .everyone) { _ in
            .stream(type: "text/plain") { writer in
                defer { ended.store(true, ordering: .relaxed) }
                while true { try await writer.write([UInt8](repeating: 65, count: 64 * 1024)) }
            }
        }
        try await against([route]) { base, client in
            var request = ClientRequest.get("\(base)/endless")
            request.bodyMax = .max
            do {
                let stream = try await client.stream(request)
                #expect(try await stream.body.next()?.isEmpty == false)
            }
            let end = ContinuousClock.now + .seconds(5)
            while !ended.load(ordering: .relaxed), ContinuousClock.now < end {
                try await EventLoop.sleep(for: .milliseconds(5))
            }
            let hasEnded = ended.load(ordering: .relaxed)
            #expect(hasEnded)
        }
    }

    @Test(arguments: [
        ("http://127.0.0.1:1/", ClientError.unreachable("Couldn't connect to server")),
        ("http://nothing.invalid/", .unresolved), ("ftp://127.0.0.1/", .invalidURL),
        ("file:///etc/passwd", .invalidURL),
        ("gopher://127.0.0.1/", .invalidURL), ("http://a b/", .invalidURL), ("", .invalidURL),
    ])
    func `a request that cannot be made says why`(_ url: String, _ error: ClientError) async throws {
        try await onLoop {
            let client = Client()
            await #expect(throws: error) { try await client.send(.get(url)) }
        }
        #expect(error.isBeforeSending)
    }

    @Test func `a server that hangs up in the middle is noticed`() async throws {
        let route = Route.get("/torn", "Torn", access: .everyone) { _ in
            .stream(type: "text/plain", length: 1000) { writer in
                try await writer.write("only this")
                throw CancellationError()
            }
        }
        try await against([route]) { base, client in
            await #expect(throws: ClientError.self) { try await client.send(.get("\(base)/torn")) }
        }
    }

    @Test(arguments: [
        "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0", "[::1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "%31%32%37.0.0.1", "127.0.0.1.",
    ])
    func `a guarded request reaches no private address however it is written`(_ host: String) async throws {
        let reached = Atomic<Int>(0)
        let route = Route.get("/x", "X", access: .everyone) { _ in
            reached.add(1, ordering: .relaxed)
            return .empty()
        }
        let router = router([route])
        try await withServer(handler: { await router.respond(to: $0) }) { server in
            let port = server.boundPort
            let refusal = try await onLoop {
                let client = Client()
                // A connection made without the guard must not help one with it.
                _ = try await client.send(.get("http://127.0.0.1:\(port)/x"))
                var request = ClientRequest.get("http://\(host):\(port)/x")
                request.refusePrivate = true
                return await failure(client, request)
            }
            // A name with a dot at its end goes to the resolver, which knows none made of digits.
            #expect(refusal == (host == "127.0.0.1." ? .unresolved : .privateAddress))
        }
        let count = reached.load(ordering: .relaxed)
        #expect(count == 1)
    }

    @Test func `a guarded request may go to a public address`() async throws {
        let refusal = try await onLoop {
            var request = ClientRequest.get("http://9.9.9.9:1/")
            request.refusePrivate = true
            request.connectTimeout = .milliseconds(50)
            return await failure(Client(), request)
        }
        // What comes of it depends on the network here, if there is one; the guard is not what stops it.
        #expect(refusal != .privateAddress)
    }
}

private func failure(_ client: Client, _ request: ClientRequest) async -> ClientError? {
    do {
        _ = try await client.send(request)
        return nil
    } catch {
        return error as? ClientError
    }
}

@Suite struct PublicAddressTests {
    private func bytes(_ text: String) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 { return Array(buffer.prefix(4)) }
        return inet_pton(AF_INET6, text, &buffer) == 1 ? buffer : []
    }

    private func isPublic(_ text: String) -> Bool {
        let bytes = bytes(text)
        return bytes.count == 4 ? PublicAddress.isPublic(v4: bytes) : PublicAddress.isPublic(v6: bytes)
    }

    @Test(arguments: [
        "0.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
        "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::1",
        "3fff::1", "100::1", "nonsense",
    ])
    func `an address of no public network is refused`(_ text: String) { #expect(!isPublic(text)) }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.0.1", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.1.1", "198.17.255.255",
        "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1",
        "2001:4860:4860::8888",
    ])
    func `a public one is not`(_ text: String) { #expect(isPublic(text)) }
}
