import HTTP
import Shared
import Testing

@Suite struct OpenAPITests {
    static let note = Schema.ref(
        "Note", .object(.required("text", .string), .optional("author", .ref("Person", person))))
    static let person = Schema.object(
        .required("id", .uuid), .required("name", .string(max: 100)), .optional("manager", .ref("Person")),
        .required("role", .choice(Role.self)), .required("left_at", .nullable(.instant)))

    static let routes = [
        Route.get(
            "/api/v1/notes", "List notes", access: .member, query: .managerPage + [.query("author", .uuid, "Whose.")],
            returns: [200: .page("notes", of: note)]
        ) { _ in .empty() },
        Route.post(
            "/api/v1/notes", "Write a note", detail: "One note.", id: "writeNote", access: .may(.readAudit),
            limit: .analytics, body: note, returns: [201: note, 402: nil], idempotent: true
        ) { _ in .empty() },
        Route.delete("/api/notes/{id}/", "Delete a note", access: .may(.createUsers)) { _ in .empty() },
        Route.put(
            "/api/notes/{slug}/", "Replace", tag: "other", access: .member, path: [.path("slug", .string(max: 9))],
            consumes: .form
        ) {
            _ in .empty()
        },
        Route.post("/api/notes/upload/", "Upload", access: .everyone, consumes: .multipart) { _ in .empty() },
        Route.get("/media/{file*}", "Files", access: .everyone, returns: [200: nil], produces: "image/png") { _ in
            .empty()
        },
        Route.post("/hook", "Hook", access: .signed, consumes: .form, returns: .ok()) { _ in .empty() },
    ]
    let document = OpenAPI.document(routes, title: "Notes", program: "note-keeper")

    private func operation(_ path: String, _ method: String) throws -> JSON {
        try #require(document["paths"]?[path]?[method])
    }

    @Test func `a route describes itself`() throws {
        let list = try operation("/api/v1/notes", "get")
        #expect(list["operationId"] == "getV1Notes")
        #expect(list["tags"] == ["notes"])
        #expect(list["x-switchboard-access"] == "member")
        #expect(list["x-switchboard-limit"] == "standard")
        #expect(list["x-switchboard-scope"] == "notes:read")
        #expect(list["parameters"]?.array?.map { $0["name"]?.string } == ["page", "limit", "cursor", "author"])
        #expect(list["security"] == [["bearer": []], ["apiKey": []], ["basic": []]])
        let write = try operation("/api/v1/notes", "post")
        #expect(write["operationId"] == "writeNote")
        #expect(write["description"] == "One note.")
        #expect(write["x-switchboard-access"] == "audit.read")
        #expect(write["parameters"]?.array?.last?["name"] == "Idempotency-Key")
        #expect(
            write["requestBody"]?["content"]?["application/json"]?["schema"] == ["$ref": "#/components/schemas/Note"])
        #expect(
            write["responses"]?.object?.names.sorted()
                == [
                    "201", "400", "401", "402", "403", "404", "409", "413", "415", "422", "429", "500", "502", "503",
                    "504",
                ])
    }

    @Test func `errors are described in the family's shape`() throws {
        func error(_ path: String, _ method: String, _ status: String) throws -> JSON? {
            try operation(path, method)["responses"]?[status]?["content"]?["application/json"]?["schema"]?["$ref"]
        }
        #expect(try error("/api/v1/notes", "get", "401") == "#/components/schemas/ManagerError")
        #expect(try error("/api/notes/{id}/", "delete", "404") == "#/components/schemas/ClassicError")
        #expect(try error("/api/v1/notes", "post", "402") == "#/components/schemas/ManagerError")
        #expect(try operation("/hook", "post")["responses"]?.object?.names == ["200"])
        #expect(try operation("/hook", "post")["security"] == [])
    }

    @Test func `path parameters come from the pattern`() throws {
        let delete = try operation("/api/notes/{id}/", "delete")
        #expect(delete["parameters"]?[0]?["schema"]?["format"] == "uuid")
        #expect(delete["parameters"]?[0]?["required"] == true)
        let put = try operation("/api/notes/{slug}/", "put")
        #expect(put["parameters"]?[0]?["schema"]?["maxLength"] == 9)
        #expect(put["requestBody"]?["content"]?["application/x-www-form-urlencoded"] != nil)
        #expect(try operation("/media/{file}", "get")["parameters"]?[0]?["name"] == "file")
    }

    @Test func `components are collected by name, also from within others`() throws {
        let schemas = try #require(document["components"]?["schemas"]?.object)
        #expect(Set(schemas.names) == ["Note", "Person", "Pagination", "ManagerError", "ClassicError"])
        #expect(schemas["Person"]?["properties"]?["manager"] == ["$ref": "#/components/schemas/Person"])
        #expect(schemas["Person"]?["properties"]?["role"]?["enum"] == ["admin", "user", "agent"])
        #expect(schemas["Person"]?["required"] == ["id", "name", "role", "left_at"])
    }

    @Test func `several programs make one document without what is internal`() throws {
        let other = OpenAPI.document(
            [
                Route.get(
                    "/api/v1/people", "List", id: "writeNote", access: .member,
                    returns: .ok(.ref("Person", .object(.required("other", .string))))
                ) { _ in .empty() },
                Route.get("/api/v1/notes", "Somebody else's", access: .everyone) { _ in .empty() },
                Route.get("/inside", "Internal", access: .internal) { _ in .empty() },
            ], title: "Other", program: "people")
        let merged = OpenAPI.merge([document, other], title: "All", servers: ["https://calls.example"])
        #expect(merged["info"]?["title"] == "All")
        #expect(merged["servers"]?[0]?["url"] == "https://calls.example")
        #expect(merged["paths"]?["/inside"] == nil)
        #expect(merged["paths"]?["/api/v1/notes"]?["get"]?["summary"] == "List notes")
        let people = merged["paths"]?["/api/v1/people"]?["get"]
        #expect(people?["operationId"] == "writeNote2")
        #expect(
            people?["responses"]?["200"]?["content"]?["application/json"]?["schema"]
                == ["$ref": "#/components/schemas/PeoplePerson"])
        #expect(merged["components"]?["schemas"]?["PeoplePerson"]?["properties"]?["other"] != nil)
        #expect(merged["components"]?["schemas"]?["Person"]?["properties"]?["other"] == nil)
        #expect(
            merged["components"]?["schemas"]?["ManagerError"] == document["components"]?["schemas"]?["ManagerError"])
    }

    @Test func `merging a document with itself changes nothing`() throws {
        let merged = OpenAPI.merge([document, document], title: "Notes")
        #expect(merged["paths"] == document["paths"])
        #expect(merged["components"] == document["components"])
    }

    @Test func `a router serves what it describes`() async throws {
        let router = router(OpenAPITests.routes)
        #expect(router.openAPI["paths"]?["/openapi.json"]?["get"]?["x-switchboard-access"] == "internal")
        let served = try await TestClient(router).get("/openapi.json").json()
        #expect(served == router.openAPI)
        for route in router.routes {
            let path = String(route.pattern.filter { $0 != "*" })
            #expect(served["paths"]?[path]?[route.method.name.lowercased()] != nil, "\(route.pattern)")
        }
    }
}
