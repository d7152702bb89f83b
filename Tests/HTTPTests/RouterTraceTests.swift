import Runtime
import Shared
import Testing

@testable import HTTP

@Suite struct RouterTraceTests {
    @Test(arguments: [
        ("abc-123_X.y", true), (String(repeating: "a", count: 128), true), (String(repeating: "a", count: 129), false),
        ("", false), ("a b", false), ("a\"b", false), ("ä", false),
    ])
    func `a harmless X-Request-Id is kept and any other replaced`(_ given: String, _ isKept: Bool) async throws {
        let response = await TestClient(router([echo("/x")])).get("/x", headers: ["X-Request-Id": given])
        let id = try #require(response.headers["X-Request-Id"])
        #expect((id == given) == isKept)
        #expect(!id.isEmpty)
    }

    @Test func `a trace is continued, through the handler and the log`() async throws {
        let lines = LogLines()
        let route = Route.get("/x", "X", access: .everyone) { _ in
            Response.text(200, TraceContext.current?.traceIDText ?? "")
        }
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let response = await TestClient(router([route], lines: lines)).get("/x", headers: ["traceparent": parent])
        #expect(response.text == "0af7651916cd43dd8448eb211c80319c")
        let out = try #require(response.headers["traceparent"].flatMap { TraceContext(traceparent: $0) })
        #expect(out.traceIDText == "0af7651916cd43dd8448eb211c80319c")
        #expect(response.headers["traceparent"] != parent)
        #expect(lines.all("request").first?["trace_id"] == "0af7651916cd43dd8448eb211c80319c")
    }

    @Test func `a request is one line that holds neither address nor token`() async throws {
        let lines = LogLines()
        let client = TestClient(router([echo("/ws/relay/{token}", access: .member)], lines: lines), token: "user")
        _ = await client.get("/ws/relay/secret-token?password=geheim")
        _ = await client.get("/secret-path")
        let requests = lines.all("request")
        #expect(requests.count == 2)
        #expect(requests.first?["route"] == "/ws/relay/{token}")
        #expect(requests.first?["status"] == 200)
        #expect(requests.first?["user"]?.string == people["user"]?.user.text)
        #expect(requests.last?["route"] == "unknown")
        #expect(requests.last?["code"] == "ROUTE_NOT_FOUND")
        for secret in ["secret", "geheim", "Bearer"] { #expect(!lines.text.contains(secret)) }
    }

    @Test func `who was refused is in the log`() async throws {
        let lines = LogLines()
        _ = await TestClient(router([echo("/x", access: .may(.createUsers))], lines: lines), token: "user").get("/x")
        #expect(lines.all("request").first?["user"]?.string == people["user"]?.user.text)
        #expect(lines.all("request").first?["code"] == "FORBIDDEN")
    }

    @Test func `a stream is logged when it has ended, whole or cut`() async throws {
        struct Gone: Error {}
        let lines = LogLines()
        let routes = [
            Route.get("/whole", "Stream", access: .everyone) { _ in
                .stream(type: "text/plain") { writer in
                    try await writer.write("hello ")
                    try await writer.write("world")
                }
            },
            Route.get("/cut", "Stream", access: .everyone) { _ in
                .stream(type: "text/plain") { writer in
                    try await writer.write("hel")
                    throw Gone()
                }
            },
        ]
        let client = TestClient(router(routes, lines: lines))
        #expect(await client.get("/whole").text == "hello world")
        #expect(await client.get("/cut").status == 0)
        let requests = lines.all("request")
        #expect(requests.map { $0["bytes"] } == [11, 3])
        #expect(requests.map { $0["cut"]?.bool } == [nil, true])
    }

    @Test func `answers are not kept by anybody unless they say so`() async throws {
        let routes = [
            echo("/api/v1/x"), echo("/api/v1/x", .post),
            Route.get("/api/v1/cached", "X", access: .everyone) { _ in
                var response = Response.text(200, "x")
                response.headers.set("Cache-Control", "public, max-age=5")
                return response
            },
        ]
        let client = TestClient(router(routes))
        let list = await client.get("/api/v1/x")
        #expect(list.headers["Cache-Control"] == "private, no-cache")
        #expect(list.headers["X-Content-Type-Options"] == "nosniff")
        #expect(await client.post("/api/v1/x").headers["Cache-Control"] == "no-store")
        #expect(await client.get("/api/v1/nothing").headers["Cache-Control"] == "no-store")
        #expect(await client.get("/api/v1/cached").headers["Cache-Control"] == "public, max-age=5")
        #expect(await client.get("/nothing").headers["X-Frame-Options"] == "DENY")
    }

    @Test func `requests are counted by their route`() async throws {
        let client = TestClient(router([echo("/api/v1/counted/{id}")]))
        for id in 1...3 { _ = await client.get("/api/v1/counted/\(id)") }
        let text = Metrics.shared.render()
        let labels = "method=\"GET\",route=\"/api/v1/counted/{id}\""
        #expect(text.contains("http_request_duration_seconds_count{\(labels)} 3\n"))
        #expect(text.contains("http_responses_total{\(labels),status=\"2xx\"} 3\n"))
    }
}

@Suite struct RouterProbeTests {
    @Test func `the process is up and its parts are listed`() async throws {
        let isReady = Guarded(false)
        let client = TestClient(
            router([], parts: { [("database", isReady.withLock { $0 } ? nil : "not connected"), ("http", nil)] }))
        #expect(try await client.get("/healthz").json() == ["status": "ok"])
        let waiting = await client.get("/readyz")
        #expect(waiting.status == 503)
        #expect(try waiting.json() == ["ready": false, "parts": ["database": "not connected", "http": .null]])
        isReady.withLock { $0 = true }
        #expect(await client.get("/readyz").status == 200)
    }

    @Test func `strangers get probes and nothing else that is internal`() async throws {
        let inside = TestClient(router([]))
        #expect(await inside.get("/metrics").headers["Content-Type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(try await inside.get("/openapi.json").json()["openapi"] == "3.1.0")
        let outside = TestClient(router([], facesStrangers: true))
        #expect(await outside.get("/healthz").status == 200)
        #expect(await outside.get("/metrics").status == 404)
        #expect(await outside.get("/openapi.json").status == 404)
    }
}
