import TestSupport
import Testing

@testable import Shared

@Suite struct `Reading JSON` {
    @Test(
        arguments: [
            ("null", JSON.null), ("true", true), ("false", false), ("0", 0), ("-1", -1), ("1.5", 1.5), ("1.0", 1.0),
            ("-0", .double(-0.0)), ("1e2", 100.0), ("1E-2", 0.01), ("9223372036854775807", .int(Int64.max)),
            ("-9223372036854775808", .int(Int64.min)), ("9223372036854775808", 9223372036854775808.0),
            ("\"\"", ""), ("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "a\"\\/\u{8}\u{C}\n\r\t"), ("\"\\u00e9\\u20AC\"", "é€"),
            ("\"\\uD83D\\uDE00\"", "😀"), ("\"😀é\"", "😀é"), ("[]", []), ("{}", [:]), (" [ 1 , 2 ] ", [1, 2]),
            ("{\"a\":{\"b\":[null]}}", ["a": ["b": [.null]]]), ("\t\r\n {} \n", [:]), ("\"\u{7F}\"", "\u{7F}"),
            ("{\"\":1}", ["": 1]), ("{\"a\":1,\"a\":2}", ["a": 2]), ("\"\\u0000\"", "\0"),
        ] as [(String, JSON)])
    func `every kind of value is read`(_ text: String, _ value: JSON) throws {
        #expect(try JSON.parse(text) == value)
    }

    @Test(arguments: [
        ("", 1, 1), (" ", 1, 2), ("nul", 1, 1), ("nullx", 1, 5), ("True", 1, 1), ("01", 1, 1), ("-", 1, 2),
        ("+1", 1, 1), ("1.", 1, 3), (".5", 1, 1), ("1e", 1, 3), ("1e+", 1, 4), ("0x10", 1, 2), ("1e999", 1, 1),
        ("-1e999", 1, 1), ("NaN", 1, 1), ("Infinity", 1, 1), ("\"", 1, 2), ("\"\\", 1, 3), ("\"\\x\"", 1, 2),
        ("\"\\u12\"", 1, 2), ("\"\\u12G4\"", 1, 2), ("\"\\uD800\"", 1, 2), ("\"\\uDC00\"", 1, 2),
        ("\"\\uD800\\u0041\"", 1, 2), ("\"\\uD800x\"", 1, 2), ("\"\\uDC00\\uDC00\"", 1, 2), ("\"a\nb\"", 1, 3),
        ("\"\t\"", 1, 2), ("'a'", 1, 1),
        ("[1,]", 1, 4), ("[1 2]", 1, 4), ("[,1]", 1, 2), ("[", 1, 2), ("]", 1, 1), ("[1}", 1, 3), ("{\"a\"}", 1, 5),
        ("{\"a\":}", 1, 6), ("{\"a\":1,}", 1, 8), ("{a:1}", 1, 2), ("{1:2}", 1, 2), ("{\"a\":1", 1, 7),
        ("{} {}", 1, 4), ("// x\n1", 1, 1), ("1 # x", 1, 3), ("{\n  \"a\": é\n}", 2, 8), ("[\n1,\n\"é\" x]", 3, 5),
        ("\u{FEFF}{}", 1, 1), ("[1]\u{A0}", 1, 4), ("\u{0}", 1, 1), ("truefalse", 1, 5), ("--1", 1, 2),
    ])
    func `what is not JSON is refused with its place`(_ text: String, _ line: Int, _ column: Int) throws {
        let error = #expect(throws: JSON.SyntaxError.self) { try JSON.parse(text) }
        #expect(error?.line == line, "\(text): \(String(describing: error))")
        #expect(error?.column == column, "\(text): \(String(describing: error))")
    }

    @Test(
        arguments: [
            [0x22, 0x80, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
            [0x22, 0xE2, 0x82, 0x22], [0x22, 0xFF, 0x22], [0xEF, 0xBB, 0xBF, 0x31], [0x22, 0x61, 0xC3],
            [0x22, 0x5C, 0x6E, 0xFF, 0x22],
        ] as [[UInt8]])
    func `bytes that are no UTF-8 are refused`(_ bytes: [UInt8]) {
        #expect(throws: JSON.SyntaxError.self) { try JSON.parse(bytes) }
    }

    @Test func `nesting is limited`() throws {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try JSON.parse(deep).array != nil)
        #expect(throws: JSON.SyntaxError.self) { try JSON.parse("[" + deep + "]") }
        #expect(throws: JSON.SyntaxError.self) { try JSON.parse(String(repeating: "{\"a\":", count: 100_000)) }
        #expect(throws: JSON.SyntaxError.self) { try JSON.parse("[[1]]", depthMax: 1) }
    }

    @Test func `repeated names can be refused`() {
        #expect(throws: JSON.SyntaxError.self) {
            try JSON.parse(Array("{\"a\":1,\"b\":2,\"a\":3}".utf8), depthMax: 4, duplicates: .refused)
        }
    }

    @Test func `an object with very many names is read in linear time`() throws {
        let text = "{" + (0..<100_000).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}"
        var object: JSON = .null
        let spent = try ContinuousClock().measure { object = try JSON.parse(text) }
        #expect(object["k99999"]?.int == 99_999)
        // Squared it would be minutes.
        #expect(spent < .seconds(20))
    }

    @Test func `accessors convert numbers and nothing else`() {
        let json: JSON = ["i": 5, "d": 5.0, "x": 5.5, "s": "5", "b": true, "n": .null, "a": [1], "big": 1e300]
        #expect(json["i"]?.int == 5)
        #expect(json["d"]?.int == 5)
        #expect(json["x"]?.int == nil)
        #expect(json["s"]?.int == nil)
        #expect(json["i"]?.double == 5)
        #expect(json["b"]?.int == nil)
        #expect(json["big"]?.int == nil)
        #expect(json["n"] == .null)
        #expect(json["n"]?.isNull == true)
        #expect(json["none"] == nil)
        #expect(json["a"]?[0] == 1)
        #expect(json["a"]?[1] == nil)
        #expect(JSON.null["a"] == nil)
    }

    @Test func `objects keep their order and compare without it`() throws {
        let object = try #require(try JSON.parse("{\"z\":1,\"a\":2,\"m\":3}").object)
        #expect(object.names == ["z", "a", "m"])
        let same: JSONObject = ["a": 2, "m": 3, "z": 1]
        #expect(object == same)
        #expect(object.hashValue == same.hashValue)
        #expect(object != ["a": 2, "m": 3, "z": 2])
        var changed = object
        changed["a"] = nil
        changed["z"] = .null
        #expect(changed.names == ["z", "m"])
        #expect(changed["z"] == .null)
        #expect(object.merging(["a": 9, "q": 1]) == ["z": 1, "a": 9, "m": 3, "q": 1])
    }

    @Test func `a large object behaves like a small one`() {
        var object = JSONObject()
        for index in 0..<40 { object["k\(index)"] = .int(index) }
        for index in stride(from: 0, to: 40, by: 2) { object["k\(index)"] = nil }
        object["k1"] = "one"
        #expect(object.count == 20)
        #expect(object["k39"] == 39)
        #expect(object["k38"] == nil)
        #expect(object["k1"] == "one")
        #expect(object.names.first == "k1")
    }
}

@Suite struct `Writing JSON` {
    private func text(_ body: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter(capacity: 0)
        body(&json)
        return json.text
    }

    @Test func `fields, nesting and commas`() throws {
        let id = CallID(high: 1, low: 2)
        let written = text { json in
            json.object { json in
                json.field("text", "a\"b")
                json.field("int", -5)
                json.field("long", Int64.min)
                json.field("double", 0.1)
                json.field("yes", true)
                json.field("id", id)
                json.field("at", Instant(microseconds: 1_500_000))
                json.field("phone", PhoneNumber("+14155550123"))
                json.field("none", nil as String?)
                json.field("left_out", ifPresent: nil as String?)
                json.field("some", ifPresent: "x" as String?)
                json.null("null")
                json.field("role", Role.admin)
                json.field("tags", ["a", "b"])
                json.field("map", ["b": 1, "a": 2])
                json.field("tree", ["k": [1, .null]] as JSON)
                json.fieldObject("empty") { _ in }
                json.fieldArray("list") { json in
                    json.value(1)
                    json.value("two")
                    json.object { $0.field("three", 3) }
                    json.array { _ in }
                    json.null()
                }
                let dynamic = "dyn\"amic"
                json.field(dynamic, 1)
                json.field("raw", raw: "{\"x\":1}")
                json.field("nothing", raw: [])
                json.field("money", Money(minor: 2999))
            }
        }
        let expected =
            #"{"text":"a\"b","int":-5,"long":-9223372036854775808,"double":0.1,"yes":true,"#
            + #""id":"00000000-0000-0001-0000-000000000002","at":"1970-01-01T00:00:01.500Z","phone":"+14155550123","#
            + #""none":null,"some":"x","null":null,"role":"admin","tags":["a","b"],"map":{"a":2,"b":1},"#
            + #""tree":{"k":[1,null]},"empty":{},"list":[1,"two",{"three":3},[],null],"dyn\"amic":1,"raw":{"x":1},"#
            + #""nothing":null,"money":"29.99"}"#
        #expect(written == expected)
        _ = try JSON.parse(written)
    }

    @Test func `every character is escaped where RFC 8259 wants it`() throws {
        for length in 0..<20 {
            for scalar in (0...0xFF).compactMap({ Unicode.Scalar(UInt32($0)) }) + ["€", "😀", "\u{2028}"] {
                for place in Set([0, length / 2, length]) {
                    var value = String(repeating: "x", count: length)
                    value.insert(Character(scalar), at: value.index(value.startIndex, offsetBy: place))
                    let written = value.jsonText
                    #expect(try JSON.parse(written) == .string(value))
                    #expect(!written.unicodeScalars.contains { $0.value < 0x20 })
                }
            }
        }
        #expect("\u{1}\u{1F}\n\r\t\"\\/".jsonText == #""\u0001\u001f\n\r\t\"\\/""#)
    }

    @Test(arguments: [
        (0.0, "0.0"), (-0.0, "-0.0"), (0.1, "0.1"), (1e20, "1e+20"), (.leastNonzeroMagnitude, "5e-324"), (-1.5, "-1.5"),
        (.greatestFiniteMagnitude, "1.7976931348623157e+308"), (.nan, "null"), (.infinity, "null"),
        (-.infinity, "null"),
    ])
    func `doubles are the shortest text that reads back, and never NaN`(_ value: Double, _ written: String) throws {
        #expect(value.jsonText == written)
        _ = try JSON.parse(written)
    }

    @Test func `integers at every length`() {
        var value: Int64 = 0
        for digit in 1...18 {
            value = value * 10 + Int64(digit % 10)
            for number in [value, -value] { #expect(number.jsonText == "\(number)") }
        }
        for number in [0, 9, 10, 99, 100, -1, Int64.max, Int64.min, 999_999_999_999_999_999, 1_000_000_000_000_000_000]
        {
            #expect(number.jsonText == "\(number)")
        }
    }

    @Test(arguments: [1, 7, 77, 777, 7777] as [UInt64])
    func `random trees read back as they were written`(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            let value = Trees.value(depth: 5, using: &random)
            let text = value.jsonText
            #expect(try JSON.parse(text) == value, "seed \(seed): \(text)")
        }
    }

    @Test(arguments: [2, 22, 222] as [UInt64])
    func `damaged texts never crash the reader`(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<2000 {
            var bytes = Trees.value(depth: 4, using: &random).jsonBytes
            for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes = Array(bytes[..<place])
                }
            }
            // Whatever is still accepted must be the same value when written again.
            if let value = try? JSON.parse(bytes) { #expect((try? JSON.parse(value.jsonBytes)) == value) }
        }
    }
}

/// Random JSON values.
enum Trees {
    static func value(depth: Int, using random: inout SplitMix64) -> JSON {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2: return .int(Int64(bitPattern: random.next() >> UInt64.random(in: 0..<64, using: &random)))
        case 3:
            let value = Double(bitPattern: random.next())
            return .double(value.isFinite ? value : 0.5)
        case 4, 5: return .string(text(using: &random))
        case 6:
            return .array(
                (0..<Int.random(in: 0..<5, using: &random)).map { _ in value(depth: depth - 1, using: &random) })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                object[text(using: &random)] = value(depth: depth - 1, using: &random)
            }
            return .object(object)
        }
    }

    static func text(using random: inout SplitMix64) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0..<24, using: &random) {
            let top: UInt32 = [0x20, 0x7F, 0x7F, 0x7F, 0x800, 0x11_0000][Int.random(in: 0..<6, using: &random)]
            text.unicodeScalars.append(Unicode.Scalar(UInt32.random(in: 0..<top, using: &random)) ?? "?")
        }
        return text
    }
}
