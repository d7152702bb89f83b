import Shared
import Testing

@testable import Postgres

@Suite struct CellTests {
    private func read<Value: PostgresValue>(_ text: String, as type: PostgresType = .text) throws -> Value {
        var text = text
        return try text.withUTF8 { bytes in
            try Value(
                postgres: Cell(type: type, start: bytes.baseAddress ?? UnsafePointer(bitPattern: 1), count: bytes.count)
            )
        }
    }

    @Test(arguments: [
        ("1970-01-01 00:00:00+00", 0 as Int64),
        ("2026-01-02 03:03:16.789012+00", 1_767_322_996_789_012),
        ("2026-01-02 03:03:16.7+00", 1_767_322_996_700_000),
        ("2026-01-02 08:33:16.789012+05:30", 1_767_322_996_789_012),
        ("2026-01-01 23:33:16.789012-03:30", 1_767_322_996_789_012),
        ("1969-12-31 23:59:59.999999+00", -1),
        ("2000-02-29 00:00:00", 951_782_400_000_000),
        ("2000-02-29", 951_782_400_000_000),
        ("0001-12-31 23:59:59.999999+00 BC", -62_135_596_800_000_001),
        ("10000-01-01 00:00:00+00", 253_402_300_800_000_000),
    ])
    func `timestamps are read exactly`(text: String, microseconds: Int64) throws {
        #expect(try (read(text) as Instant).microseconds == microseconds)
    }

    @Test(arguments: ["infinity", "-infinity", "", "2026", "2026-13-01", "2026-01-02 03:04", "2026-01-02x", "12:00:00"])
    func `what is no finite timestamp is refused`(text: String) {
        #expect(throws: UnreadableCell.self) { try read(text) as Instant }
    }

    @Test func `whole numbers are read to their limits and refused beyond`() throws {
        #expect(try read("9223372036854775807") as Int64 == .max)
        #expect(try read("-9223372036854775808") as Int64 == .min)
        #expect(try read("-32768") as Int16 == .min)
        for text in ["9223372036854775808", "-9223372036854775809", "1.5", "", "-", "1e3", " 1"] {
            #expect(throws: UnreadableCell.self, "\(text)") { try read(text) as Int64 }
        }
        #expect(throws: UnreadableCell.self) { try read("2147483648") as Int32 }
    }

    @Test(arguments: [
        ("{}", [] as [String?]), ("{a,b}", ["a", "b"]), ("{NULL,\"NULL\",\"\"}", [nil, "NULL", ""]),
        (#"{"a\"b","c\\d","{x},y"}"#, ["a\"b", "c\\d", "{x},y"]), ("{ü}", ["ü"]),
    ])
    func `arrays are taken apart`(text: String, elements: [String?]) throws {
        #expect(try read(text) as [String?] == elements)
    }

    @Test(arguments: ["", "{", "a", "{{1},{2}}", "{\"a}", "{a,}", "{,a}", "[0:1]={1,2}", "{\"a\"b}"])
    func `what is no one-dimensional array is refused`(text: String) {
        #expect(throws: UnreadableCell.self) { try read(text) as [String] }
    }

    @Test func `NULL is refused where a value is wanted, also inside an array`() throws {
        let null = Cell(type: .text, start: nil, count: 0)
        #expect(throws: UnreadableCell.self) { try String(postgres: null) }
        #expect(try String?(postgres: null) == nil)
        #expect(throws: UnreadableCell.self) { try read("{1,NULL}") as [Int] }
    }

    @Test func `a bool column is a bool, and nothing else is`() throws {
        #expect(try read("t", as: .bool) as Bool)
        #expect(try !(read("f", as: .bool) as Bool))
        #expect(throws: UnreadableCell.self) { try read("t", as: .text) as Bool }
        #expect(try read("{t,f}", as: .boolArray) as [Bool] == [true, false])
    }

    @Test func `an id that is no UUID is refused`() {
        for text in ["", "x", "01890000-0000-7000-8000-00000000000g", "01890000x0000-7000-8000-000000000000"] {
            #expect(throws: UnreadableCell.self) { try read(text) as CallID }
        }
    }
}
