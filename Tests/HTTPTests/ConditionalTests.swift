import HTTP
import Shared
import Testing

@Suite struct ConditionalTests {
    @Test(arguments: [
        ("\"v1\"", true), ("W/\"v1\"", true), ("\"v2\"", false), ("\"v2\", W/\"v1\"", true), ("*", true), ("v1", false),
        ("", false), ("\"v1", false), ("\"a,\", \"v1\"", true), ("\"v1,\"", false),
    ])
    func `If-None-Match compares weakly`(_ field: String, _ matches: Bool) {
        #expect(ETag.weak("v1").isNamed(by: field) == matches)
        #expect(ETag.strong("v1").isNamed(by: field) == matches)
    }

    @Test func `If-Match compares strongly`() {
        #expect(ETag.strong("v1").isMatched(by: "\"v1\""))
        #expect(ETag.strong("v1").isMatched(by: "*"))
        #expect(!ETag.strong("v1").isMatched(by: "W/\"v1\""))
        #expect(!ETag.weak("v1").isMatched(by: "\"v1\""))
    }

    @Test func `a tag cannot break out of its quotes`() {
        #expect(ETag.strong("a\"b\r\n c").text == "\"abc\"")
        #expect(ETag.weak("7").text == "W/\"7\"")
    }

    @Test func `a list is sent once and then confirmed`() async throws {
        let route = Route.get("/api/v1/x", "X", access: .everyone) { _ in Response.json(["a": 1] as JSON) }
        let client = TestClient(router([route]))
        let first = await client.get("/api/v1/x")
        let tag = try #require(first.headers["ETag"])
        #expect(tag.hasPrefix("W/\""))
        let second = await client.get("/api/v1/x", headers: ["If-None-Match": tag])
        #expect(second.status == 304)
        #expect(second.body.isEmpty)
        #expect(second.headers["ETag"] == tag)
        #expect(second.headers["Content-Type"] == nil)
        #expect(second.headers["Cache-Control"] == "private, no-cache")
        #expect(await client.get("/api/v1/x", headers: ["If-None-Match": "\"other\""]).status == 200)
    }

    @Test func `errors, other methods and plain routes get no tag of their own`() async throws {
        let routes = [
            Route.get("/api/v1/bad", "X", access: .everyone) { _ in throw Problem.notFound() },
            Route.post("/api/v1/x", "X", access: .everyone) { _ in Response.json([:] as JSON) },
            Route.get("/plain", "X", access: .everyone) { _ in Response.json([:] as JSON) },
        ]
        let client = TestClient(router(routes))
        #expect(await client.get("/api/v1/bad", headers: ["If-None-Match": "*"]).status == 404)
        #expect(await client.post("/api/v1/x", headers: ["If-None-Match": "*"]).status == 200)
        #expect(await client.get("/plain").headers["ETag"] == nil)
    }

    @Test func `a version answers before anything is read`() {
        let request = Request(.get, "/x", headers: ["If-None-Match": "W/\"7\""])
        #expect(Response.notModified(request, .weak("7"))?.status == 304)
        #expect(Response.notModified(request, .weak("8")) == nil)
    }
}
