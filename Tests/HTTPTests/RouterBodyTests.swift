import Shared
import Testing

@testable import HTTP

@Suite struct RouterBodyTests {
    private static let routes = [
        Route.post("/api/v1/x", "X", access: .everyone, bodyMax: 100) { request in
            Response.json(200, try await request.json())
        },
        Route.post("/api/v1/optional", "X", access: .everyone) { request in
            var form = try await request.optionalForm()
            let name = form.optionalString("name", max: 10)
            try form.finish()
            return Response.text(200, name ?? "nobody")
        },
        Route.post("/api/x/", "X", access: .everyone) { request in
            var form = try await request.anyForm()
            let name = form.string("name", max: 10)
            try form.finish()
            return Response.text(200, name)
        },
    ]
    let client = TestClient(router(RouterBodyTests.routes))

    @Test(arguments: [
        ("application/json", 200), ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=\"UTF-8\"", 200),
        ("application/problem+json", 200), ("application/json; charset=latin1", 415), ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415), ("", 415), ("application/jsonp", 415),
    ])
    func `JSON must be declared as such`(_ type: String, _ status: Int) async throws {
        let headers: Headers = type.isEmpty ? [:] : ["Content-Type": type]
        let response = await client.send(.post, "/api/v1/x", headers: headers, body: Array("{}".utf8))
        #expect(response.status == status)
        if status == 415 { #expect(response.code == "UNSUPPORTED_MEDIA_TYPE") }
    }

    @Test func `a body over the limit is 413`() async throws {
        let fits = await client.post("/api/v1/x", json: .string(String(repeating: "a", count: 98)))
        #expect(fits.status == 200)
        let over = await client.post("/api/v1/x", json: .string(String(repeating: "a", count: 99)))
        #expect(over.status == 413)
        #expect(over.code == "PAYLOAD_TOO_LARGE")
    }

    @Test func `malformed JSON is 400 and says where`() async throws {
        let response = await client.send(
            .post, "/api/v1/x", headers: ["Content-Type": "application/json"], body: Array("{\n  \"a\": 1,\n}".utf8))
        #expect(response.status == 400)
        let error = try response.json()["error"]
        #expect(error?["code"] == "VALIDATION_ERROR")
        #expect(error?["details"]?["line"] == 3)
        #expect(error?["details"]?["column"] == 1)
        let empty = await client.send(.post, "/api/v1/x", headers: ["Content-Type": "application/json"])
        #expect(empty.status == 400)
    }

    @Test func `a body that may be missing may be missing`() async throws {
        #expect(await client.post("/api/v1/optional").text == "nobody")
        #expect(await client.post("/api/v1/optional", json: ["name": "Anna"]).text == "Anna")
        #expect(await client.send(.post, "/api/v1/optional", body: Array("name".utf8)).status == 415)
    }

    @Test func `classic bodies may be forms`() async throws {
        #expect(await client.post("/api/x/", form: [("name", "Anna B+")]).text == "Anna B+")
        #expect(await client.post("/api/x/", json: ["name": "Anna"]).text == "Anna")
        let refused = await client.post("/api/x/", form: [("nam", "Anna")])
        #expect(refused.status == 400)
        #expect(try refused.json()["errors"]?["name"]?.array?.count == 1)
    }
}
