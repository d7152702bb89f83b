/// One verb of a TwiML document, as far as the simulator acts on it.
struct Verb: Equatable, Sendable {
    var name: String
    var attributes: [String: String] = [:]
    var text = ""
    var children: [Verb] = []
}

/// Reads TwiML: elements, attributes, text and the five entities. Anything else is refused, as the carrier refuses it
/// (error 12100, "document parse failure").
struct Instructions {
    struct Unreadable: Error, CustomStringConvertible {
        let reason: String
        var description: String { "12100 document parse failure: \(reason)" }
    }

    private let bytes: [UInt8]
    private var at = 0

    /// The verbs inside `<Response>`.
    static func read(_ document: [UInt8]) throws(Unreadable) -> [Verb] {
        var reader = Instructions(bytes: document)
        reader.skipSpace()
        if reader.starts("<?xml") { try reader.skip(past: "?>") }
        reader.skipSpace()
        let root = try reader.element()
        reader.skipSpace()
        guard root.name == "Response", reader.at == reader.bytes.count else {
            throw Unreadable(reason: "no single <Response>")
        }
        return root.children
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func element() throws(Unreadable) -> Verb {
        try expect("<")
        var verb = Verb(name: name())
        guard !verb.name.isEmpty else { throw Unreadable(reason: "an element without a name") }
        while true {
            skipSpace()
            if starts("/>") {
                at += 2
                return verb
            }
            if starts(">") {
                at += 1
                break
            }
            let key = name()
            try expect("=")
            try expect("\"")
            verb.attributes[key] = try text(until: 0x22)
            try expect("\"")
        }
        while true {
            verb.text += try text(until: 0x3C)
            if starts("</") {
                at += 2
                guard name() == verb.name else { throw Unreadable(reason: "<\(verb.name)> is not closed") }
                skipSpace()
                try expect(">")
                return verb
            }
            verb.children.append(try element())
        }
    }

    private mutating func text(until end: UInt8) throws(Unreadable) -> String {
        var out: [UInt8] = []
        while at < bytes.count, bytes[at] != end {
            if bytes[at] == 0x26 {
                guard let close = bytes[at...].prefix(8).firstIndex(of: 0x3B) else {
                    throw Unreadable(reason: "a bare &")
                }
                let name = String(decoding: bytes[(at + 1)..<close], as: UTF8.self)
                let entities = ["amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'"]
                guard let value = entities[name] else { throw Unreadable(reason: "unknown entity \(name)") }
                out += value.utf8
                at = close + 1
            } else {
                guard bytes[at] != 0x3C else { throw Unreadable(reason: "< inside a value") }
                out.append(bytes[at])
                at += 1
            }
        }
        guard at < bytes.count else { throw Unreadable(reason: "the document ends too early") }
        return String(decoding: out, as: UTF8.self)
    }

    private mutating func name() -> String {
        let start = at
        while at < bytes.count, bytes[at] | 0x20 >= 0x61 && bytes[at] | 0x20 <= 0x7A { at += 1 }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private mutating func skipSpace() {
        while at < bytes.count, bytes[at] <= 0x20 { at += 1 }
    }

    private func starts(_ text: StaticString) -> Bool {
        let wanted = Array("\(text)".utf8)
        return at + wanted.count <= bytes.count && Array(bytes[at..<(at + wanted.count)]) == wanted
    }

    private mutating func expect(_ text: StaticString) throws(Unreadable) {
        guard starts(text) else { throw Unreadable(reason: "expected \(text) at byte \(at)") }
        at += text.utf8CodeUnitCount
    }

    private mutating func skip(past text: StaticString) throws(Unreadable) {
        while at < bytes.count, !starts(text) { at += 1 }
        try expect(text)
    }
}
