import Shared
import Testing

@testable import Postgres

@Suite struct QueryTests {
    @Test func `an interpolated value becomes a numbered parameter and its text a bound value`() {
        let name = "Robert'); DROP TABLE students;--"
        let query: Query = "SELECT * FROM students WHERE name = \(name) AND age > \(17) AND \(true)"
        #expect(query.sql == "SELECT * FROM students WHERE name = $1 AND age > $2 AND $3")
        #expect(query.bound == [name, "17", "t"])
        #expect(query.parameters.types == [25, 20, 16])
    }

    @Test func `a query without values is its text`() {
        let query: Query = "SELECT 1"
        #expect(query.sql == "SELECT 1")
        #expect(query.parameters.count == 0)
    }

    @Test func `a fragment brings its values along and is numbered after the ones before it`() {
        let none: Int? = nil
        let condition: Query = "status = \("open") OR status IS NOT DISTINCT FROM \(none)"
        let query: Query = "SELECT \(1) FROM calls WHERE (\(fragment: condition)) AND id < \(9)"
        #expect(query.sql == "SELECT $1 FROM calls WHERE (status = $2 OR status IS NOT DISTINCT FROM $3) AND id < $4")
        #expect(query.bound == ["1", "open", nil, "9"])
    }

    @Test func `identifiers are quoted so that they can be nothing else`() {
        let hostile = "x\" WHERE 1=1; --"
        let query: Query = "SELECT \(identifier: "order") FROM \(quoting: hostile)"
        #expect(query.sql == "SELECT \"order\" FROM \"x\"\" WHERE 1=1; --\"")
    }

    @Test(arguments: ["a\0b", "\0"])
    func `text with a NUL is refused instead of cut short`(text: String) {
        let query: Query = "SELECT \(text)"
        #expect(query.parameters.refusal?.contains("NUL") == true)
        let list: Query = "SELECT \([text])"
        #expect(list.parameters.refusal?.contains("NUL") == true)
        let wrapped: Query = "SELECT \(1), \(fragment: query)"
        #expect(wrapped.parameters.refusal != nil)
        #expect(("SELECT \(quoting: text)" as Query).parameters.refusal != nil)
    }

    @Test func `only statements that read may run again by themselves`() {
        let reads: [Query] = [
            "SELECT 1", "  select 1", "(SELECT 1) UNION (SELECT 2)", "VALUES (1)", "TABLE calls", "SHOW all",
        ]
        let writes: [Query] = [
            "INSERT INTO a VALUES (1)", "WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x", "UPDATE a SET b = 1",
            "SELECTED", "", "\(1)",
        ]
        for query in reads { #expect(query.isRead, "\(query.sql)") }
        for query in writes { #expect(!query.isRead, "\(query.sql)") }
    }

    @Test func `statements with a plan are prepared, others are not`() {
        let yes: [Query] = ["select 1", "INSERT INTO a VALUES (1)", "WITH x AS (SELECT 1) TABLE x", "MERGE INTO a"]
        let no: [Query] = ["BEGIN", "CREATE TABLE a ()", "DEALLOCATE s1", "SET LOCAL x = 1"]
        for query in yes { #expect(query.isPreparable, "\(query.sql)") }
        for query in no { #expect(!query.isPreparable, "\(query.sql)") }
    }

    @Test(arguments: [
        (["a", "", "NULL", "q\"b\\c", "ü{},"] as [String?], #"{"a","","NULL","q\"b\\c","ü{},"}"#),
        ([nil, "x", nil], #"{NULL,"x",NULL}"#),
        ([], "{}"),
    ])
    func `arrays are written with every element quoted`(elements: [String?], text: String) {
        let query: Query = "SELECT \(elements)"
        #expect(query.bound == [text])
    }

    @Test func `bytes are hex and floats a vector`() {
        let query: Query = "SELECT \([0, 255, 16] as [UInt8]), \([0.5, -1, 1e-7] as [Float]), \([] as [UInt8])"
        #expect(query.bound == ["\\x00ff10", "[0.5,-1.0,1e-07]", "\\x"])
        #expect(query.parameters.types == [17, 0, 17])
    }

    @Test func `an id is written as Shared writes it`() {
        for id in [CallID(), CallID(high: 0, low: 0), CallID(high: .max, low: 0x0123_4567_89ab_cdef)] {
            #expect(("SELECT \(id)" as Query).bound == [id.text])
        }
    }

    @Test(arguments: [
        (0 as Int64, "1970-01-01 00:00:00.000000+00"),
        (1_767_322_996_789_012, "2026-01-02 03:03:16.789012+00"),
        (-1, "1969-12-31 23:59:59.999999+00"),
        (951_782_400_000_000, "2000-02-29 00:00:00.000000+00"),
        (-62_135_596_800_000_001, "0001-12-31 23:59:59.999999+00 BC"),
        (253_402_300_800_000_000, "10000-01-01 00:00:00.000000+00"),
    ])
    func `an instant is written to the microsecond`(microseconds: Int64, text: String) {
        #expect(("SELECT \(Instant(microseconds: microseconds))" as Query).bound == [text])
    }
}

extension Query {
    var bound: [String?] { (0..<parameters.count).map(parameters.value) }
}
