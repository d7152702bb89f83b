import Documents
import Glibc
import Runtime
import Shared

/// `knowledge parse`: what a `Worker` runs to read a stranger's file. In: a line of JSON `{"name","pages"}`, then the file.
/// Out: the document, or why it is none. It has no files, no network it could name, and little memory and time.
enum ParseCommand {
    static let name = "parse"
    /// Address space; the program and its libraries take a part of it before they do anything.
    private static let memoryMax = 1024 << 20
    /// Of computing.
    private static let secondsMax = 30

    static func run() -> Never {
        Confinement.enter(memory: memoryMax, seconds: secondsMax)
        let input = Confinement.input()
        guard let line = input.firstIndex(of: UInt8(ascii: "\n")),
            let head = try? JSON.parse(Array(input[..<line])), let name = head["name"]?.string
        else { exit(64) }
        var limits = DocumentLimits()
        if let pages = head["pages"]?.int { limits.pagesRead = pages }
        var json = JSONWriter()
        do {
            try Documents.parse(Array(input[(line + 1)...]), name: name, limits: limits).write(to: &json)
        } catch {
            json.object { $0.field("refused", error.reason) }
        }
        exit(Confinement.output(json.bytes) ? 0 : 1)
    }

    static func input(_ file: [UInt8], name: String, pages: Int?) -> [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.field("name", name)
            json.field("pages", ifPresent: pages)
        }
        return json.bytes + [UInt8(ascii: "\n")] + file
    }

    static func read(_ output: [UInt8]) throws -> Document {
        let json = try JSON.parse(output)
        if let reason = json["refused"]?.string { throw Unreadable(reason) }
        guard let document = Document(json) else { throw Unreadable("could not be read") }
        return document
    }
}

extension Document {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("kind", kind.rawValue)
            json.field("title", ifPresent: title)
            json.field("pages", ifPresent: pages)
            json.fieldArray("blocks") { json in for block in blocks { block.write(to: &json) } }
        }
    }

    init?(_ json: JSON) {
        guard let kind = json["kind"]?.string.flatMap(FileKind.init(rawValue:)), let blocks = json["blocks"]?.array
        else {
            return nil
        }
        self.init(
            kind: kind, title: json["title"]?.string, pages: json["pages"]?.int, blocks: blocks.compactMap(Block.init))
    }

    /// As an entry shows it.
    var text: String { blocks.map(\.shown).joined(separator: "\n") }
}

extension Block {
    var json: JSON {
        var object: JSONObject = ["kind": .string(kind.rawValue), "text": .string(text)]
        if level > 0 { object["level"] = .int(level) }
        object["page"] = page.map { .int($0) }
        return .object(object)
    }

    func write(to json: inout JSONWriter) { json.value(self.json) }

    init?(_ json: JSON) {
        guard let kind = json["kind"]?.string.flatMap(Kind.init(rawValue:)), let text = json["text"]?.string else {
            return nil
        }
        self.init(kind, text, level: json["level"]?.int ?? 0, page: json["page"]?.int)
    }

    fileprivate var shown: String {
        switch kind {
        case .heading: String(repeating: "#", count: max(level, 1)) + " " + text
        case .item: "- " + text
        case .paragraph, .row: text
        }
    }
}
