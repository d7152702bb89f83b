import Shared
import Testing

@Suite struct `Problems` {
    private func manager(_ problem: Problem) throws -> JSON {
        var json = JSONWriter()
        problem.writeManager(to: &json)
        return try JSON.parse(json.bytes)
    }

    private func classic(_ problem: Problem) throws -> JSON {
        var json = JSONWriter()
        problem.writeClassic(to: &json)
        return try JSON.parse(json.bytes)
    }

    @Test func `the manager family has an error object`() throws {
        #expect(
            try manager(.notFound(.callNotFound)) == [
                "error": ["code": "CALL_NOT_FOUND", "message": "Call not found."]
            ])
        let bad = Problem.validation([("to_number", "is required"), ("page", "must be 1"), ("to_number", "is odd")])
        #expect(
            try manager(bad) == [
                "error": [
                    "code": "VALIDATION_ERROR", "message": "3 fields are not valid: to_number, page.",
                    "details": ["fields": ["to_number": ["is required", "is odd"], "page": ["must be 1"]]],
                ]
            ])
        var both = Problem.validation("page", "must be 1")
        both.details = ["hint": "pages start at 1", "fields": "overwritten"]
        #expect(
            try manager(both)["error"]?["details"] == ["hint": "pages start at 1", "fields": ["page": ["must be 1"]]])
        #expect(
            try manager(.limitReached("100 minutes are used up.", details: ["limit": 100])) == [
                "error": [
                    "code": "PAYMENT_REQUIRED", "message": "100 minutes are used up.", "details": ["limit": 100],
                ]
            ])
    }

    @Test func `the classic family satisfies both of document 004's examples`() throws {
        #expect(
            try classic(.validation("email", "is required")) == [
                "detail": "email is required.", "status": 400, "code": "VALIDATION_ERROR", "error": "Invalid data",
                "message": "email is required.", "errors": ["email": ["is required"]],
            ])
        #expect(
            try classic(.unauthorized("Log in again.")) == [
                "detail": "Log in again.", "status": 401, "code": "UNAUTHORIZED",
                "error": "Authentication required", "message": "Log in again.",
            ])
    }

    @Test func `malformed JSON is a 400 with its place`() throws {
        let error = try #require(#expect(throws: JSON.SyntaxError.self) { try JSON.parse("{\n  nope") })
        let problem = Problem.malformedJSON(error)
        #expect(problem.status == 400)
        #expect(problem.message.contains("line 2, column 3"))
        #expect(try manager(problem)["error"]?["details"] == ["offset": 4, "line": 2, "column": 3])
    }

    @Test func `a cause stays inside`() throws {
        struct Secret: Error { let password = "hunter2" }
        let problem = Problem.internalError(Secret())
        #expect(problem.status == 500)
        #expect(!(try manager(problem).jsonText.contains("hunter2")))
        #expect(!(try classic(problem).jsonText.contains("hunter2")))
        #expect(problem.description.contains("hunter2"))
    }

    @Test(arguments: Problem.Code.allCases)
    func `every code has a status, a title and a name in capitals`(_ code: Problem.Code) {
        #expect((400...599).contains(code.status))
        #expect(!code.title.isEmpty && !code.title.hasSuffix("."))
        #expect(code.rawValue.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == 0x5F })
        #expect(code.rawValue.hasSuffix("NOT_FOUND") == (code.status == 404))
    }

    @Test func `answers carry the headers HTTP wants`() {
        #expect(Problem.rateLimited(retryAfter: 7).headers.first?.1 == "7")
        #expect(Problem.methodNotAllowed(["GET", "POST"]).headers.first?.1 == "GET, POST")
        #expect(Problem.unauthorized().headers.first?.0 == "WWW-Authenticate")
        #expect(Problem(.conflict, status: 400).status == 400)
        #expect(Problem.payloadTooLarge(max: 10).status == 413)
        #expect(Problem.unsupportedMediaType(expected: "application/json").status == 415)
        #expect(Problem.unavailable().status == 503)
    }
}
