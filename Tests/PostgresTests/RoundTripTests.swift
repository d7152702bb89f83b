import Postgres
import Runtime
import Shared
import TestSupport
import Testing

/// Values go to the server and come back the same, through real columns.
@Suite struct RoundTripTests {
    private enum Mood: String, PostgresValue, PostgresElement { case calm, angry }

    @Test func `every value type comes back as it went`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await expectRoundTrip(
                ["", "plain", "ünïcødé 😀 \u{202E}", "'; DROP TABLE x; --", "a\\b\"c\n"], "text", database)
            try await expectRoundTrip([0, 1, -1, .max, .min] as [Int], "bigint", database)
            try await expectRoundTrip([0, .max, .min] as [Int64], "bigint", database)
            try await expectRoundTrip([0, .max, .min] as [Int32], "integer", database)
            try await expectRoundTrip([0, .max, .min] as [Int16], "smallint", database)
            try await expectRoundTrip(
                [
                    0, -0.0, 0.1, 1 / 3, .pi * 1e300, .leastNonzeroMagnitude, .infinity, -.infinity,
                    .greatestFiniteMagnitude,
                ],
                "double precision", database)
            try await expectRoundTrip([true, false], "boolean", database)
            try await expectRoundTrip(
                [[], [0, 1, 255, 92], (0...255).map(UInt8.init)] as [[UInt8]], "bytea", database)
            try await expectRoundTrip(
                [CallID(), CallID(high: 0, low: 0), CallID(high: .max, low: .max)], "uuid", database)
            try await expectRoundTrip([Mood.calm, .angry], "text", database)
            try await expectRoundTrip([Role.admin, .agent], "text", database)
            let phone = try #require(PhoneNumber("+15551234567"))
            try await expectRoundTrip([phone], "text", database)
            let instants: [Int64] = [
                0, 1, -1, 1_767_322_996_789_012, 951_782_400_000_000, -62_135_596_800_000_001, 253_402_300_800_000_000,
            ]
            try await expectRoundTrip(instants.map { Instant(microseconds: $0) }, "timestamptz", database)
            let documents: [JSON] = [
                .null, .bool(true), .int(.max), .double(0.5), .string("ü\"\\\u{1F600}"), .array([.int(1), .null]),
                ["a": ["b": [1, 2, 3]], "c": ""],
            ]
            try await expectRoundTrip(documents, "jsonb", database)
        }
    }

    @Test func `every array type comes back as it went, with NULL elements where allowed`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await expectRoundTrip([[], ["a", "", "NULL", "q\"\\,{}", "ü😀"]] as [[String]], "text[]", database)
            try await expectRoundTrip([[nil, "x", nil]] as [[String?]], "text[]", database)
            try await expectRoundTrip([[], [1, .min, .max]] as [[Int64]], "bigint[]", database)
            try await expectRoundTrip([[1, -5]] as [[Int]], "bigint[]", database)
            try await expectRoundTrip([[1, nil]] as [[Int32?]], "integer[]", database)
            try await expectRoundTrip([[0.25, -.infinity]] as [[Double]], "double precision[]", database)
            try await expectRoundTrip([[true, nil, false]] as [[Bool?]], "boolean[]", database)
            try await expectRoundTrip([[CallID(), CallID()]], "uuid[]", database)
            try await expectRoundTrip([[nil, CallID()]] as [[CallID?]], "uuid[]", database)
            try await expectRoundTrip([[Instant.now(), Instant(seconds: 0)]], "timestamptz[]", database)
            try await expectRoundTrip([[["a": "q\"\\"], .null, .int(1)]] as [[JSON]], "jsonb[]", database)
            try await expectRoundTrip([[Mood.calm, .angry]], "text[]", database)
        }
    }

    @Test func `nil is NULL for every type`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await expectRoundTrip([nil, "x"] as [String?], "text", database)
            try await expectRoundTrip([nil, 1] as [Int?], "bigint", database)
            try await expectRoundTrip([nil, 1.5] as [Double?], "double precision", database)
            try await expectRoundTrip([nil, true] as [Bool?], "boolean", database)
            try await expectRoundTrip([nil, [1]] as [[UInt8]?], "bytea", database)
            try await expectRoundTrip([nil, CallID()] as [CallID?], "uuid", database)
            try await expectRoundTrip([nil, Instant.now()] as [Instant?], "timestamptz", database)
            try await expectRoundTrip([nil, .null] as [JSON?], "jsonb", database)
            try await expectRoundTrip([nil, ["a"]] as [[String]?], "text[]", database)
            try await expectRoundTrip([nil, .calm] as [Mood?], "text", database)
        }
    }

    @Test func `large values survive`() async throws {
        try await TestDatabase.fresh { database async throws in
            let text = String(repeating: "größe ", count: 500_000)
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let row = try #require(try await database.queryOne("SELECT \(text) AS t, \(bytes) AS b"))
            #expect(try row["t"] == text)
            #expect(try row["b"] == bytes)
        }
    }

    @Test func `a vector goes through its text form`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await database.execute("CREATE EXTENSION IF NOT EXISTS vector")
            let vector: [Float] = [0.1, -2, 3.5e-8]
            let row = try #require(
                try await database.queryOne("SELECT \(vector)::vector AS v, \(vector)::vector <-> \(vector) AS d"))
            #expect(try row["v"] == vector)
            #expect(try row["d"] == 0.0)
        }
    }

    @Test func `an injection attempt stays a value`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await database.execute("CREATE TABLE students (name text)")
            let names = ["Robert'); DROP TABLE students;--", "' OR '1'='1", "$1", "\\'; SELECT pg_sleep(10); --"]
            for name in names { try await database.execute("INSERT INTO students VALUES (\(name))") }
            let stored = try await database.query("SELECT name FROM students").map { try $0["name"] as String }
            #expect(stored == names)
            #expect(try await database.query("SELECT 1 FROM students WHERE name = \("' OR '1'='1")").count == 1)
        }
    }

    @Test func `many rows are inserted by arrays in one statement`() async throws {
        try await TestDatabase.fresh { database async throws in
            try await database.execute(
                "CREATE TABLE items (id uuid, name text, score float8, at timestamptz, seen bool)")
            let ids = (0..<1000).map { _ in CallID() }
            let names = ids.indices.map { "name \($0), \"quoted\"" }
            let scores = ids.indices.map { Double($0) / 3 }
            let times = ids.indices.map { Instant(microseconds: Int64($0)) }
            let seen = ids.indices.map { $0 % 3 == 0 ? nil : $0 % 2 == 0 }
            let count = try await database.execute(
                "INSERT INTO items SELECT * FROM unnest(\(ids), \(names), \(scores), \(times), \(seen))")
            #expect(count == 1000)
            let rows = try await database.query("SELECT * FROM items WHERE id = ANY(\(ids)) ORDER BY at")
            #expect(try rows.map { try $0["id"] as CallID } == ids)
            #expect(try rows.map { try $0["name"] as String } == names)
            #expect(try rows.map { try $0["score"] as Double } == scores)
            #expect(try rows.map { try $0["seen"] as Bool? } == seen)
        }
    }

    @Test func `a column that cannot be read says which, what it is and why`() async throws {
        try await TestDatabase.fresh { database async throws in
            let row = try #require(
                try await database.queryOne("SELECT 'abc'::text AS word, NULL::int4 AS nothing, 1.5::numeric AS half"))
            func message<Value: PostgresValue>(_ column: String, _ type: Value.Type) -> String {
                do throws(UnreadableColumn) {
                    _ = try row.decode(column, as: type)
                    return "no error"
                } catch {
                    return error.description
                }
            }
            #expect(
                message("word", Int.self) == "column \"word\" (text) cannot be read as Int: it is not a whole number")
            #expect(message("nothing", Int.self) == "column \"nothing\" (int4) cannot be read as Int: it is NULL")
            #expect(message("half", Int.self).contains("(numeric)"))
            #expect(message("word", Mood.self).contains("\"abc\" is none of its cases"))
            #expect(
                message("wor", String.self) == "column \"wor\" cannot be read as String: the result has no such column")
            #expect(message("words", String.self).contains("no such column"))
            #expect(message("half", Double.self) == "no error")
            #expect(throws: UnreadableColumn.self) { try row.decode(3, as: Int.self) }
        }
    }

    @Test func `text that PostgreSQL cannot hold is refused before it is sent`() async throws {
        try await TestDatabase.fresh { database async throws in
            await #expect(throws: UnsendableValue.self) { try await database.query("SELECT \("a\0b")") }
            #expect(try await database.queryOne("SELECT 1 AS n")?["n"] == 1)
        }
    }
}

private func expectRoundTrip<Value: PostgresValue & Equatable>(
    _ values: [Value], _ type: String, _ database: Database, line: Int = #line
) async throws {
    let table = "t\(CallID().text)"
    try await database.execute("CREATE TABLE \(quoting: table) (place bigint, value \(fragment: try typeName(type)))")
    for (place, value) in values.enumerated() {
        try await database.execute("INSERT INTO \(quoting: table) VALUES (\(place), \(value))")
    }
    let rows = try await database.query("SELECT value FROM \(quoting: table) ORDER BY place")
    let stored = try rows.map { try $0["value"] as Value }
    #expect(stored == values, "\(type), line \(line)")
}

/// The literal for a type, because SQL cannot be made from a run-time string.
private func typeName(_ name: String) throws -> Query {
    let types: [Query] = [
        "text", "bigint", "integer", "smallint", "double precision", "boolean", "bytea", "uuid", "timestamptz", "jsonb",
        "text[]", "bigint[]", "integer[]", "double precision[]", "boolean[]", "uuid[]", "timestamptz[]", "jsonb[]",
    ]
    return try #require(types.first { $0.sql == name })
}
