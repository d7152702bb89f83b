/// Recursive descent over bytes (RFC 8259). Depth is limited, so a hostile text cannot exhaust the stack.
struct JSONParser {
    enum Duplicates { case lastWins, refused }

    private let bytes: [UInt8]
    private let depthMax: Int
    private let duplicates: Duplicates
    private var at = 0
    private var depth = 0

    init(_ bytes: [UInt8], depthMax: Int, duplicates: Duplicates) {
        self.bytes = bytes
        self.depthMax = depthMax
        self.duplicates = duplicates
    }

    mutating func document() throws(JSON.SyntaxError) -> JSON {
        skipSpace()
        let value = try value()
        skipSpace()
        guard at == bytes.count else { throw fault("expected the end of the text") }
        return value
    }

    private mutating func value() throws(JSON.SyntaxError) -> JSON {
        switch peek {
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"): return try number()
        case nil: throw fault("expected a value, found the end of the text")
        default:
            guard digit != nil else { throw fault("expected a value") }
            return try number()
        }
    }

    private mutating func object() throws(JSON.SyntaxError) -> JSONObject {
        try enter()
        var object = JSONObject()
        if skip(UInt8(ascii: "}")) { return leave(object) }
        while true {
            guard peek == UInt8(ascii: "\"") else { throw fault("expected a member name in double quotes") }
            let start = at
            let name = try string()
            if duplicates == .refused && object.contains(name) {
                throw fault("the member name appears twice", at: start)
            }
            guard skip(UInt8(ascii: ":")) else { throw fault("expected \":\"") }
            object[name] = try value()
            if skip(UInt8(ascii: ",")) { continue }
            guard skip(UInt8(ascii: "}")) else { throw fault("expected \",\" or \"}\"") }
            return leave(object)
        }
    }

    private mutating func array() throws(JSON.SyntaxError) -> [JSON] {
        try enter()
        var array: [JSON] = []
        if skip(UInt8(ascii: "]")) { return leave(array) }
        while true {
            array.append(try value())
            if skip(UInt8(ascii: ",")) { continue }
            guard skip(UInt8(ascii: "]")) else { throw fault("expected \",\" or \"]\"") }
            return leave(array)
        }
    }

    private mutating func enter() throws(JSON.SyntaxError) {
        guard depth < depthMax else { throw fault("nested deeper than \(depthMax) levels") }
        depth += 1
        at += 1
        skipSpace()
    }

    private mutating func leave<Value>(_ value: Value) -> Value {
        depth -= 1
        return value
    }

    // MARK: Strings

    private mutating func string() throws(JSON.SyntaxError) -> String {
        at += 1
        let start = at
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                let text = try text(start, at)
                at += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try stringWithEscapes(from: start) }
            guard byte >= 0x20 else { throw fault("control characters in a string must be escaped") }
            at += 1
        }
        throw fault("the string does not end")
    }

    private mutating func stringWithEscapes(from start: Int) throws(JSON.SyntaxError) -> String {
        var result = try text(start, at)
        var plain = at
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                result += try text(plain, at)
                at += 1
                return result
            }
            if byte == UInt8(ascii: "\\") {
                result += try text(plain, at)
                result.unicodeScalars.append(try escape())
                plain = at
                continue
            }
            guard byte >= 0x20 else { throw fault("control characters in a string must be escaped") }
            at += 1
        }
        throw fault("the string does not end")
    }

    private func text(_ start: Int, _ end: Int) throws(JSON.SyntaxError) -> String {
        let part = bytes.span.extracting(start..<end)
        do {
            return String(copying: try UTF8Span(validating: part))
        } catch {
            throw fault("not valid UTF-8", at: start + error.byteOffsets.lowerBound)
        }
    }

    private mutating func escape() throws(JSON.SyntaxError) -> Unicode.Scalar {
        let start = at
        at += 1
        guard let letter = peek else { throw fault("the string does not end") }
        at += 1
        switch letter {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw fault("unknown escape", at: start)
        }
        let first = try fourDigits(start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        // A high surrogate, which only counts together with the low one after it.
        guard first < 0xDC00, peek == UInt8(ascii: "\\"), at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: "u")
        else { throw fault("a lone surrogate is no character", at: start) }
        at += 2
        let second = try fourDigits(start)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw fault("a lone surrogate is no character", at: start) }
        return scalar
    }

    private mutating func fourDigits(_ start: Int) throws(JSON.SyntaxError) -> UInt16 {
        guard at + 4 <= bytes.count else { throw fault("\\u needs four hexadecimal digits", at: start) }
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = Hex.value(bytes[at]) else {
                throw fault("\\u needs four hexadecimal digits", at: start)
            }
            value = value << 4 | UInt16(digit)
            at += 1
        }
        return value
    }

    // MARK: Numbers and words

    private mutating func number() throws(JSON.SyntaxError) -> JSON {
        let start = at
        let negative = peek == UInt8(ascii: "-")
        if negative { at += 1 }
        let firstDigit = at
        var integer: Int64 = 0
        var fits = true
        while let digit = digit {
            if at > firstDigit, bytes[firstDigit] == UInt8(ascii: "0") {
                throw fault("a number does not start with 0", at: start)
            }
            if fits {
                let (product, tooBig) = integer.multipliedReportingOverflow(by: 10)
                let (sum, overflow) =
                    negative
                    ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
                fits = !tooBig && !overflow
                integer = sum
            }
            at += 1
        }
        guard at > firstDigit else { throw fault("expected a digit") }
        var integral = true
        if peek == UInt8(ascii: ".") {
            integral = false
            at += 1
            try digits()
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            integral = false
            at += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        let isMinusZero = negative && integer == 0
        if integral && fits && !isMinusZero { return .int(integer) }
        guard let value = Double(try text(start, at)), value.isFinite else {
            throw fault("the number is too large", at: start)
        }
        return .double(value)
    }

    private var digit: Int64? {
        guard let byte = peek, (0x30...0x39).contains(byte) else { return nil }
        return Int64(byte - 0x30)
    }

    private mutating func digits() throws(JSON.SyntaxError) {
        guard digit != nil else { throw fault("expected a digit") }
        while digit != nil { at += 1 }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(JSON.SyntaxError) -> JSON {
        let length = word.utf8CodeUnitCount
        for index in 0..<length {
            guard at + index < bytes.count, bytes[at + index] == word.utf8Start[index] else {
                throw fault("expected a value")
            }
        }
        at += length
        return value
    }

    // MARK: Bytes

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    /// Takes the byte when it comes next, with the white space around it.
    private mutating func skip(_ byte: UInt8) -> Bool {
        skipSpace()
        guard peek == byte else { return false }
        at += 1
        skipSpace()
        return true
    }

    private mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return
            }
        }
    }

    private func fault(_ reason: String, at place: Int? = nil) -> JSON.SyntaxError {
        let offset = min(place ?? at, bytes.count)
        var line = 1
        var column = 1
        for index in 0..<offset {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return JSON.SyntaxError(offset: offset, line: line, column: column, reason: reason)
    }
}
