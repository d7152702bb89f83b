import Shared
import Testing

@Suite struct `Forms` {
    private enum Colour: String, CaseIterable { case red, green }

    private func form(_ json: JSON) throws -> Form { try Form(json) }

    @Test func `a body that is no object is refused`() {
        for json in [.null, [], "text", 5] as [JSON] {
            let problem = #expect(throws: Problem.self) { try Form(json) }
            #expect(problem?.status == 400)
        }
    }

    @Test func `good fields are read`() throws {
        let id = CallID()
        var form = try form([
            "name": "  Anna  ", "secret": " x ", "count": 5, "ratio": 0.5, "whole": 2.0, "on": true,
            "call": .string(id.text), "phone": "+1 415 555 0123", "email": "Anna@Example.com",
            "at": "2026-01-02T03:04:05Z", "tags": ["a", " b "], "meta": ["k": [1]], "colour": "green",
            "colours": ["red", "green"], "price": "29.99", "cost": 5.5, "ids": [.string(id.text)], "nothing": .null,
        ])
        same(form.string("name"), "Anna")
        same(form.string("secret", trimmed: false), " x ")
        same(form.int("count", in: 1...10), 5)
        same(form.int("whole"), 2)
        same(form.double("ratio", in: 0...1), 0.5)
        same(form.optionalDouble("count"), 5)
        same(form.bool("on"), true)
        same(form.id("call", as: CallID.self), id)
        same(form.phone("phone").text, "+14155550123")
        same(form.email("email").text, "Anna@example.com")
        same(form.instant("at").seconds, 1_767_323_045)
        same(form.strings("tags"), ["a", "b"])
        same(form.object("meta"), ["k": [1]])
        same(form.choice("colour", as: Colour.self), .green)
        same(form.choices("colours", as: Colour.self), [.red, .green])
        same(form.money("price").minor, 2999)
        same(form.optionalMoney("cost")?.minor, 550)
        same(form.ids("ids", as: CallID.self), [id])
        #expect(form.has("nothing"))
        #expect(!form.has("absent"))
        same(form.optionalString("nothing"), nil)
        same(form.optionalInt("absent", default: 7), 7)
        try form.finishRefusingUnknown()
    }

    @Test func `every bad field is reported at once, in order`() throws {
        var form = try form([
            "name": "", "count": "5", "ratio": 2, "on": "yes", "call": "x", "phone": "0301234567", "email": "anna",
            "at": "2026-01-02T03:04:05", "tags": ["a", 5], "meta": [1], "colour": "blue", "price": "1.999",
        ])
        _ = form.string("name")
        _ = form.string("title")
        _ = form.int("count")
        _ = form.double("ratio", in: 0...1)
        _ = form.bool("on")
        _ = form.id("call", as: CallID.self)
        _ = form.phone("phone")
        _ = form.email("email")
        _ = form.instant("at")
        _ = form.strings("tags")
        _ = form.object("meta")
        _ = form.choice("colour", as: Colour.self)
        _ = form.money("price")
        let problem = try #require(#expect(throws: Problem.self) { try form.finish() })
        #expect(problem.code == .validationError)
        #expect(problem.status == 400)
        #expect(
            problem.fields.map { "\($0.name) \($0.message)" } == [
                "name must not be empty",
                "title is required",
                "count must be a whole number",
                "ratio must be a number from 0.0 to 1.0",
                "on must be true or false",
                "call must be a UUID such as 0198c5d2-7a10-7cc3-98c5-d27a10acc3f1",
                "phone must be an E.164 phone number such as +14155550123",
                "email must be an e-mail address such as anna@example.com",
                "at must be an ISO 8601 instant with its offset such as 2026-01-31T14:30:00Z",
                "tags must be a list of strings",
                "meta must be an object",
                "colour must be one of red, green",
                "price must be an amount in USD such as 29.99",
            ])
    }

    @Test(
        arguments: [
            (["s": "a\u{0}b"], "must not contain the character U+0000"),
            (["s": 5], "must be a string"), (["s": .null], "is required"), ([:], "is required"),
            (["s": "   "], "must have at least 2 characters"), (["s": "a"], "must have at least 2 characters"),
            (["s": "abcdef"], "may have 5 characters at most"),
        ] as [(JSON, String)])
    func `texts have limits`(_ body: JSON, _ message: String) throws {
        var form = try form(body)
        _ = form.string("s", min: 2, max: 5)
        let problem = #expect(throws: Problem.self) { try form.finish() }
        #expect(problem?.fields.map(\.message) == [message])
    }

    @Test func `length is counted in characters, not bytes`() throws {
        var form = try form(["s": "ééééé"])
        same(form.string("s", max: 5), "ééééé")
        try form.finish()
    }

    @Test(
        arguments: [
            (["n": 0], 1...10), (["n": 11], 1...10), (["n": 5.5], 1...10), (["n": 1e300], 1...10), (["n": true], 0...1),
        ] as [(JSON, ClosedRange<Int>)])
    func `numbers have limits`(_ body: JSON, _ range: ClosedRange<Int>) throws {
        var form = try form(body)
        _ = form.int("n", in: range)
        let problem = #expect(throws: Problem.self) { try form.finish() }
        #expect(
            problem?.fields.first?.message
                == "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
    }

    @Test func `free-form objects have a size and no NUL`() throws {
        var form = try form(["big": ["k": .string(String(repeating: "x", count: 100))], "nul": ["a": [["b": "\0"]]]])
        same(form.object("big", max: 50), nil)
        same(form.object("nul"), nil)
        #expect(form.failed.map(\.name) == ["big", "nul"])
    }

    @Test func `lists have limits`() throws {
        var form = try form(["many": .array((0..<11).map { _ in "x" }), "long": ["abcdef"], "text": "x"])
        same(form.strings("many", max: 10), nil)
        same(form.strings("long", each: 5), nil)
        same(form.strings("text"), nil)
        #expect(form.failed.count == 3)
    }

    @Test func `nested objects name their fields by path`() throws {
        var form = try form([
            "config": ["ai": ["temperature": 9]], "triggers": [["type": "keyword"], ["kind": "x"], 5],
        ])
        form.nested("config") { config in
            config.nested("ai") { ai in _ = ai.double("temperature", in: 0...2) }
        }
        _ = form.each("triggers") { trigger in trigger.string("type") }
        same(form.nested("absent") { $0.string("x") }, nil)
        _ = form.nested("needed", required: true) { $0.string("x") }
        #expect(form.failed.map(\.name) == ["config.ai.temperature", "triggers[1].type", "triggers[2]", "needed"])
    }

    @Test func `a query's text is read as numbers and truth values`() throws {
        var form = Form(query: [
            ("page", "2"), ("min", "0.5"), ("active", "true"), ("inactive", "False"), ("status", ""), ("tag", "a,b"),
            ("tag", "c"), ("limit", "10"), ("limit", "20"), ("from_date", "2026-01-31"),
        ])
        same(form.int("page", in: 1...Int.max), 2)
        same(form.double("min"), 0.5)
        same(form.bool("active"), true)
        same(form.bool("inactive"), false)
        same(form.optionalChoice("status", as: Colour.self), nil)
        same(form.strings("tag"), ["a", "b", "c"])
        same(form.optionalInt("limit"), 20)
        same(form.dateBound("from_date"), .day("2026-01-31"))
        try form.finishRefusingUnknown()
    }

    @Test(arguments: ["1.0", "+1", " 1", "1_000", "0x10", "", "١", "99999999999999999999", "1e2"])
    func `a query's number is digits and nothing else`(_ text: String) {
        var form = Form(query: [("n", text)])
        _ = form.int("n")
        #expect(form.hasFailed)
    }

    @Test(arguments: ["nan", "inf", "0x1p3", "1.", ".5", "1,5"])
    func `a query's decimal number is JSON's`(_ text: String) {
        var form = Form(query: [("n", text)])
        _ = form.double("n")
        #expect(form.hasFailed)
    }

    @Test func `an unknown parameter is refused by name, with what is known`() throws {
        var form = Form(query: [("page", "1"), ("pgae", "2")])
        _ = form.optionalInt("page")
        _ = form.optionalInt("limit")
        let problem = #expect(throws: Problem.self) { try form.finishRefusingUnknown() }
        #expect(problem?.fields.map { "\($0.name) \($0.message)" } == ["pgae is not known; known are page, limit"])
    }

    @Test func `a day is whole: the upper end is inclusive as a date, exclusive as an instant`() throws {
        let day = try #require(DateBound("2026-01-31"))
        #expect(day.firstInUTC.iso == "2026-01-31T00:00:00.000Z")
        #expect(day.endInUTC.iso == "2026-02-01T00:00:00.000Z")
        let instant = try #require(DateBound("2026-01-31T14:00:00+02:00"))
        #expect(instant.firstInUTC.iso == "2026-01-31T12:00:00.000Z")
        #expect(instant.endInUTC == instant.firstInUTC)
        for text in ["2026-02-30", "31.01.2026", "", "2026-01-31x", "today"] { #expect(DateBound(text) == nil) }
    }

    @Test func `a range that ends before it starts is refused`() throws {
        var form = Form(query: [("from_date", "2026-02-01"), ("to_date", "2026-01-30")])
        _ = form.dateRange()
        #expect(form.failed.map(\.name) == ["to_date"])
        var one = Form(query: [("from_date", "2026-02-01"), ("to_date", "2026-02-01")])
        _ = one.dateRange()
        #expect(!one.hasFailed)
        var none = Form(query: [])
        _ = none.dateRange(required: true)
        #expect(none.failed.map(\.name) == ["from_date", "to_date"])
    }
}

/// `#expect(a == b)` for an `a` that reads from a form: the macro itself cannot call a mutating function.
private func same<Value: Equatable>(
    _ value: Value, _ expected: Value, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, sourceLocation: sourceLocation)
}
