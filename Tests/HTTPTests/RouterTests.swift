import Runtime
import Shared
import Testing

@testable import HTTP

@Suite struct RouterTests {
    static let table = [
        echo("/"), echo("/api/v1/calls"), echo("/api/v1/calls/{call_id}"), echo("/api/v1/calls/active"),
        echo("/api/v1/calls/{call_id}/notes"), echo("/api/users/users/me/"), echo("/api/users/users/{id}/"),
        echo("/files/{path*}"), echo("/a/b/c"), echo("/a/{x}/d"),
    ]

    @Test(
        arguments: [
            ("/", "/", []), ("/api/v1/calls", "/api/v1/calls", []), ("/api/v1/calls/", "/api/v1/calls", []),
            ("/api/v1/calls?page=2", "/api/v1/calls", []),
            ("/api/v1/calls/7", "/api/v1/calls/{call_id}", ["call_id=7"]),
            ("/api/v1/calls/7/", "/api/v1/calls/{call_id}", ["call_id=7"]),
            ("/api/v1/calls/active", "/api/v1/calls/active", []),
            ("/api/v1/calls/%61ctive", "/api/v1/calls/active", []),
            ("/api/v1/calls/7/notes", "/api/v1/calls/{call_id}/notes", ["call_id=7"]),
            ("/api/v1/calls/active/notes", "/api/v1/calls/{call_id}/notes", ["call_id=active"]),
            ("/api/users/users/me", "/api/users/users/me/", []), ("/api/users/users/me/", "/api/users/users/me/", []),
            ("/api/users/users/5", "/api/users/users/{id}/", ["id=5"]),
            ("/api/users/users/a%20b%2Fc/", "/api/users/users/{id}/", ["id=a b/c"]),
            ("/api/users/users/%zz/", "/api/users/users/{id}/", ["id=%zz"]),
            ("/files/a/b.js", "/files/{path*}", ["path=a/b.js"]), ("/files/", "/files/{path*}", ["path="]),
            ("/a/b/c", "/a/b/c", []), ("/a/b/d", "/a/{x}/d", ["x=b"]),
        ] as [(String, String, [String])])
    func `a path finds its most specific route`(_ path: String, _ pattern: String, _ parameters: [String]) async throws
    {
        var route = RouterTests.table
        if path == "/api/v1/calls?page=2" {
            route[1] = Route.get("/api/v1/calls", "List", access: .everyone, query: [.query("page")]) { _ in
                Response.json(["pattern": "/api/v1/calls", "parameters": []] as JSON)
            }
        }
        let json = try await TestClient(router(route)).get(path).json()
        #expect(json["pattern"]?.string == pattern)
        #expect(json["parameters"]?.array == parameters.map { .string($0) })
    }

    @Test(arguments: [
        "/nothing", "/api/v1/calls/7/nothing", "/api/v1//calls", "/api/v1/calls//", "/API/v1/calls", "/a/b",
    ])
    func `a path that nobody serves is ROUTE_NOT_FOUND`(_ path: String) async throws {
        let response = await TestClient(router(RouterTests.table)).get(path)
        #expect(response.status == 404)
        #expect(response.code == "ROUTE_NOT_FOUND")
    }

    @Test func `every family gives errors in its own shape`() async throws {
        let client = TestClient(router([]))
        let manager = try await client.get("/api/v1/nothing").json()
        #expect(manager["error"]?["code"] == "ROUTE_NOT_FOUND")
        #expect(manager["error"]?["message"]?.string?.isEmpty == false)
        #expect(manager["detail"] == nil)
        let classic = try await client.get("/api/nothing/").json()
        #expect(classic["code"] == "ROUTE_NOT_FOUND")
        #expect(classic["status"] == 404)
        #expect(classic["detail"] == classic["message"])
        let plain = try await client.get("/nothing").json()
        #expect(plain["error"]?["code"] == "ROUTE_NOT_FOUND")
    }

    @Test func `the wrong method is 405 and says which are right`() async throws {
        let client = TestClient(router([echo("/api/v1/x"), echo("/api/v1/x", .post), echo("/api/y/", .delete)]))
        let manager = await client.put("/api/v1/x")
        #expect(manager.status == 405)
        #expect(manager.code == "METHOD_NOT_ALLOWED")
        #expect(manager.headers["Allow"] == "GET, POST, HEAD, OPTIONS")
        let classic = await client.get("/api/y/")
        #expect(classic.status == 405)
        #expect(try classic.json()["code"] == "METHOD_NOT_ALLOWED")
        #expect(classic.headers["Allow"] == "DELETE, OPTIONS")
        let options = await client.send(.options, "/api/v1/x/")
        #expect(options.status == 204)
        #expect(options.headers["Allow"] == "GET, POST, HEAD, OPTIONS")
        #expect(await client.send(.options, "*").status == 204)
        let custom = await client.send(.other("BREW"), "/api/v1/x")
        #expect(custom.status == 405)
    }

    @Test func `HEAD is answered by GET without its content`() async throws {
        let client = TestClient(router([echo("/api/v1/x")]))
        let head = await client.send(.head, "/api/v1/x")
        #expect(head.status == 200)
        #expect(head.body.isEmpty)
        #expect(head.headers["ETag"] != nil)
    }

    @Test func `v1 refuses unknown query parameters by name and classic ignores them`() async throws {
        let routes = [
            Route.get("/api/v1/x", "X", access: .everyone, query: [.query("status"), .query("page")]) { _ in .empty() },
            Route.get("/api/v1/none", "None", access: .everyone) { _ in .empty() },
            Route.get("/api/x/", "X", access: .everyone) { _ in .empty() },
        ]
        let client = TestClient(router(routes))
        #expect(await client.get("/api/v1/x?status=a&page=1").status == 204)
        let refused = await client.get("/api/v1/x?staus=a&page=1&foo")
        #expect(refused.status == 400)
        let fields = try refused.json()["error"]?["details"]?["fields"]
        #expect(fields?.object?.names == ["staus", "foo"])
        #expect(await client.get("/api/v1/none?x=1").status == 400)
        #expect(await client.get("/api/x/?foo=1").status == 204)
    }

    @Test(
        arguments: [
            ("/everyone", nil, 200), ("/everyone", "nonsense", 200), ("/signed", nil, 200), ("/member", nil, 401),
            ("/member", "nonsense", 401), ("/member", "agent", 200), ("/agents", "user", 403),
            ("/agents", "caller", 200),
            ("/agents", "admin", 200), ("/staff", "user", 403), ("/staff", "staff", 200), ("/staff", "admin", 200),
            ("/admins", "staff", 403), ("/admins", "admin", 200), ("/internal", nil, 200),
        ] as [(String, String?, Int)])
    func `access is enforced before the handler`(_ path: String, _ token: String?, _ status: Int) async throws {
        let routes = [
            echo("/everyone"), echo("/signed", access: .signed), echo("/member", access: .member),
            echo("/agents", access: .may(.placeCalls)), echo("/staff", access: .may(.createUsers)),
            echo("/admins", access: .may(.readAudit)), echo("/internal", access: .internal),
        ]
        let response = await TestClient(router(routes), token: token).get(path)
        #expect(response.status == status)
        if status == 401 { #expect(response.headers["WWW-Authenticate"] == "Bearer") }
    }

    @Test func `an internal route does not exist for what came through a proxy`() async throws {
        let client = TestClient(router([echo("/internal", access: .internal)]))
        #expect(await client.get("/internal", headers: ["X-Forwarded-For": "1.2.3.4"]).code == "ROUTE_NOT_FOUND")
        #expect(await client.get("/metrics", headers: ["X-Forwarded-For": "1.2.3.4"]).status == 404)
    }

    @Test(arguments: [
        ("user", HTTP.Method.post, 200), ("reader", .get, 200), ("reader", .post, 403), ("caller", .post, 200),
        ("caller", .get, 403), ("keyless", .get, 403),
    ])
    func `an API key does only what its scopes say`(_ token: String, _ method: HTTP.Method, _ status: Int) async throws
    {
        let path = "/api/v1/calls"
        let client = TestClient(router([echo(path, .get, access: .member), echo(path, .post, access: .member)]))
        let response = await client.send(method, path, token: token)
        #expect(response.status == status)
        if status == 403 { #expect(response.text.contains(method == .post ? "calls:write" : "calls:read")) }
    }

    @Test func `the handler knows who asks`() async throws {
        let route = Route.get("/api/v1/me", "Me", access: .member) { request in
            Response.text(200, try request.requirePrincipal().user.text)
        }
        let client = TestClient(router([route]))
        #expect(await client.get("/api/v1/me", token: "agent").text == people["agent"]?.user.text)
    }

    @Test func `a handler that takes too long is cut with 504 in its family's shape`() async throws {
        let cancelled = Guarded(false)
        let route = Route.get("/api/slow/", "Slow", access: .everyone, deadline: .milliseconds(20)) { _ in
            do {
                try await EventLoop.sleep(for: .seconds(30))
            } catch {
                cancelled.withLock { $0 = true }
                throw error
            }
            return .empty()
        }
        let client = TestClient(router([route]))
        let response = await client.get("/api/slow/")
        #expect(response.status == 504)
        #expect(try response.json()["code"] == "DEADLINE_EXCEEDED")
        let wasCancelled = cancelled.withLock { $0 }
        #expect(wasCancelled)
    }

    @Test func `a caller with less patience shortens the deadline and cannot stretch it`() async throws {
        let route = Route.get("/api/v1/x", "X", access: .everyone, deadline: .milliseconds(50)) { request in
            let left = request.deadline.map { ContinuousClock.now.duration(to: $0) } ?? .seconds(1000)
            return Response.json(["ms": .int(left.milliseconds)] as JSON)
        }
        let client = TestClient(router([route]))
        for (said, most) in [("20", 20), ("100000", 50), ("-5", 50), ("x", 50)] {
            let json = try await client.get("/api/v1/x", headers: ["X-Deadline-Ms": said]).json()
            #expect(json["ms"]?.int.map { $0 <= most && $0 > most - 20 } == true, "\(said)")
        }
    }

    @Test func `a route without a deadline takes its time`() async throws {
        let route = Route.get("/api/v1/x", "X", access: .everyone, deadline: Route.noDeadline) { _ in
            try await EventLoop.sleep(for: .milliseconds(30))
            return .text(200, "done")
        }
        let client = TestClient(router([route]))
        #expect(await client.get("/api/v1/x", headers: ["X-Deadline-Ms": "1"]).text == "done")
    }

    @Test func `what a stranger sees of an unexpected error is nothing, and the log has it`() async throws {
        struct Secret: Error {}
        let lines = LogLines()
        let route = Route.get("/api/v1/x", "X", access: .everyone) { _ in throw Secret() }
        let response = await TestClient(router([route], lines: lines)).get("/api/v1/x")
        #expect(response.status == 500)
        #expect(response.code == "INTERNAL_ERROR")
        #expect(!response.text.contains("Secret"))
        let failed = try #require(lines.all("request.failed").first)
        #expect(failed["error"]?.string?.contains("Secret") == true)
        #expect(failed["request_id"]?.string == response.headers["X-Request-Id"])
    }

    @Test func `a problem's own fields go out with it`() async throws {
        let route = Route.get("/api/v1/x", "X", access: .everyone) { _ in throw Problem.rateLimited(retryAfter: 7) }
        let response = await TestClient(router([route])).get("/api/v1/x")
        #expect(response.status == 429)
        #expect(response.headers["Retry-After"] == "7")
    }

    @Test func `a malformed id is the same 404 as an unknown one`() async throws {
        let route = Route.get("/api/v1/calls/{call_id}", "Call", access: .everyone) { request in
            _ = try request.pathID("call_id", as: CallID.self, or: .callNotFound)
            throw Problem.notFound(.callNotFound)
        }
        let client = TestClient(router([route]))
        let unknown = await client.get("/api/v1/calls/\(CallID())")
        for id in ["7", "%FF", "not-a-uuid", "%2e%2e%2f"] {
            let malformed = await client.get("/api/v1/calls/\(id)")
            #expect(malformed.status == 404)
            #expect(malformed.body == unknown.body, "\(id)")
        }
    }
}
