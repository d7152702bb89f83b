/// DOCX (ECMA-376 part 1, §17): the text of `word/document.xml`, with headings by their styles.
enum Word {
    static func parse(_ bytes: [UInt8], _ limits: DocumentLimits) throws(Unreadable) -> Document {
        let archive = try Archive(bytes, limits)
        guard let text = try archive.part("word/document.xml") else {
            if archive.has("xl/workbook.xml") { throw Unreadable("is a spreadsheet; save it as PDF, DOCX or text") }
            if archive.has("ppt/presentation.xml") { throw Unreadable("is a presentation; save it as PDF or text") }
            throw Unreadable("is an archive, but no DOCX")
        }
        let styles = try archive.part("word/styles.xml").map { (part) throws(Unreadable) in try Styles(part, limits) }
        var reader = BodyReader(styles ?? Styles(), limits)
        let events = try XMLEvents(text, limits)
        while let event = try events.next() { try reader.take(event, events) }
        return reader.document
    }
}

/// Which paragraph styles are headings.
private struct Styles {
    private var levels: [String: Int] = [:]
    private var bases: [String: String] = [:]
    private static let basesMax = 10

    init() {}

    init(_ text: [UInt8], _ limits: DocumentLimits) throws(Unreadable) {
        let events = try XMLEvents(text, limits)
        var id: String?
        while let event = try events.next() {
            switch event {
            case .open("style"): id = events.attribute("styleId")
            case .open("basedOn"): if let id { bases[id] = events.attribute("val") }
            case .open("name"):
                let name = events.attribute("val")?.lowercased() ?? ""
                if let id, let level = Self.level(named: name) { levels[id] = level }
            case .open("outlineLvl"):
                if let id, let level = events.attribute("val").flatMap({ Int($0) }), (0...8).contains(level) {
                    levels[id] = level + 1
                }
            default: continue
            }
        }
    }

    private static func level(named name: String) -> Int? {
        if name == "title" { return 1 }
        guard name.hasPrefix("heading ") else { return nil }
        return Int(name.dropFirst("heading ".count))
    }

    func level(of style: String) -> Int? {
        var next: String? = style
        for _ in 0..<Self.basesMax {
            guard let style = next else { return nil }
            if let level = levels[style] { return level }
            next = bases[style]
        }
        return nil
    }
}

private struct BodyReader {
    private struct Paragraph {
        var text = ""
        var level: Int?
        var isItem = false
    }

    private let styles: Styles
    private var blocks: Blocks
    /// A text box in a paragraph has paragraphs of its own.
    private var open: [Paragraph] = []
    private var isInText = false
    /// Depth in what was deleted, or is there a second time for older programs.
    private var skipped = 0
    private var tables = 0
    private var cells: [String] = []
    private var cell = ""
    private var page = 1
    private var title: String?

    init(_ styles: Styles, _ limits: DocumentLimits) {
        self.styles = styles
        blocks = Blocks(limits)
    }

    /// Pages are known where Word has noted where they broke.
    var document: Document {
        var blocks = blocks
        if page == 1 { blocks.forgetPages() }
        return Document(kind: .docx, title: title, pages: page > 1 ? page : nil, blocks: blocks.list)
    }

    mutating func take(_ event: XMLEvents.Event, _ events: XMLEvents) throws(Unreadable) {
        switch event {
        case .open("del"), .open("Fallback"), .open("moveFrom"): skipped += 1
        case .close("del"), .close("Fallback"), .close("moveFrom"): skipped -= 1
        case _ where skipped > 0: return
        case .open(let name): opened(name, events)
        case .close(let name): try closed(name)
        case .text(let text): if isInText { write(text) }
        }
    }

    private mutating func write(_ text: String) {
        if !open.isEmpty { open[open.count - 1].text += text }
    }

    private mutating func opened(_ name: String, _ events: XMLEvents) {
        switch name {
        case "p": open.append(Paragraph())
        case "t": isInText = true
        case "tab", "br", "cr": write(" ")
        case "noBreakHyphen": write("-")
        case "lastRenderedPageBreak": page += 1
        case "pStyle":
            if let level = events.attribute("val").flatMap({ styles.level(of: $0) }), !open.isEmpty {
                open[open.count - 1].level = level
            }
        case "outlineLvl":
            if let level = events.attribute("val").flatMap({ Int($0) }), (0...8).contains(level), !open.isEmpty {
                open[open.count - 1].level = level + 1
            }
        case "numPr": if !open.isEmpty { open[open.count - 1].isItem = true }
        case "tbl": tables += 1
        case "tr": if tables == 1 { cells = [] }
        case "tc": if tables == 1 { cell = "" }
        default: return
        }
    }

    private mutating func closed(_ name: String) throws(Unreadable) {
        switch name {
        case "t": isInText = false
        case "p": if let paragraph = open.popLast() { try add(paragraph) }
        case "tc": if tables == 1 { cells.append(Text.line(cell)) }
        case "tr":
            if tables == 1 {
                try blocks.add(.row, cells.filter { !$0.isEmpty }.joined(separator: " | "), page: page)
            }
        case "tbl": tables -= 1
        default: return
        }
    }

    private mutating func add(_ paragraph: Paragraph) throws(Unreadable) {
        if tables > 0 {
            cell += " " + paragraph.text
        } else if let level = paragraph.level {
            if title == nil, level == 1 { title = Text.line(paragraph.text) }
            try blocks.add(.heading, paragraph.text, level: level, page: page)
        } else {
            try blocks.add(paragraph.isItem ? .item : .paragraph, paragraph.text, page: page)
        }
    }
}
