import CXML

enum HTML {
    static func parse(_ bytes: [UInt8], _ limits: DocumentLimits) throws(Unreadable) -> Document {
        let isWide = bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE])
        let text = isWide ? Array(try Text.decoded(bytes).utf8) : bytes
        // Anything else says its encoding in a meta element, or is Latin-1.
        let encoding = isWide || String(validating: text, as: UTF8.self) != nil ? "UTF-8" : nil
        let options =
            HTML_PARSE_RECOVER.rawValue | HTML_PARSE_NOERROR.rawValue | HTML_PARSE_NOWARNING.rawValue
            | HTML_PARSE_NONET.rawValue | HTML_PARSE_COMPACT.rawValue
        let tree = text.withUnsafeBytes { buffer in
            htmlReadMemory(
                buffer.bindMemory(to: CChar.self).baseAddress, Int32(buffer.count), nil, encoding, Int32(options))
        }
        guard let tree else { throw Unreadable("is no HTML that can be read") }
        defer { xmlFreeDoc(tree) }
        var reader = TreeReader(limits)
        if let root = xmlDocGetRootElement(tree) { try reader.read(root) }
        return Document(kind: .html, title: reader.title, blocks: reader.blocks.list)
    }
}

/// Walks over the elements without recursion: nesting is the file's choice, the stack is ours.
private struct TreeReader {
    var blocks: Blocks
    private(set) var title: String?
    private let limits: DocumentLimits
    private var line = ""
    private var kind = Block.Kind.paragraph
    private var level = 0
    /// The cells of the table row that is open.
    private var cells: [String]?

    private static let silent: Set<String> = [
        "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "nav", "select", "button",
    ]
    private static let apart: Set<String> = [
        "p", "div", "section", "article", "main", "header", "footer", "aside", "blockquote", "pre", "ul", "ol", "dl",
        "table", "tbody", "thead", "form", "figure", "figcaption", "address", "body", "hr", "dt", "dd", "caption",
        "details", "summary",
    ]

    init(_ limits: DocumentLimits) {
        self.limits = limits
        blocks = Blocks(limits)
    }

    mutating func read(_ root: xmlNodePtr) throws(Unreadable) {
        var node: xmlNodePtr? = root
        var depth = 0
        while let current = node {
            let isOpen = try open(current)
            if isOpen, let child = current.pointee.children {
                depth += 1
                guard depth <= limits.depthMax else { throw Unreadable("is nested too deeply") }
                node = child
                continue
            }
            if isOpen { try close(current) }
            var last = current
            while last != root, last.pointee.next == nil, let parent = last.pointee.parent {
                try close(parent)
                depth -= 1
                last = parent
            }
            node = last == root ? nil : last.pointee.next
        }
        try flush()
    }

    /// Whether what is inside matters.
    private mutating func open(_ node: xmlNodePtr) throws(Unreadable) -> Bool {
        if node.pointee.type == XML_TEXT_NODE || node.pointee.type == XML_CDATA_SECTION_NODE {
            if let content = node.pointee.content { line += String(cString: content) }
            return false
        }
        guard node.pointee.type == XML_ELEMENT_NODE, let name = Self.name(node), !Self.silent.contains(name) else {
            return false
        }
        switch name {
        case "head":
            title = Self.title(in: node)
            return false
        case "h1", "h2", "h3", "h4", "h5", "h6":
            try flush()
            kind = .heading
            level = name.last?.wholeNumberValue ?? 1
        case "li":
            try flush()
            kind = .item
        case "tr":
            try flush()
            cells = []
        case "br": line += " "
        case _ where Self.apart.contains(name): if cells == nil { try flush() } else { line += " " }
        default: break
        }
        return true
    }

    private mutating func close(_ node: xmlNodePtr) throws(Unreadable) {
        guard let name = Self.name(node) else { return }
        switch name {
        case "h1", "h2", "h3", "h4", "h5", "h6", "li": try flush()
        case "td", "th":
            cells?.append(Text.line(line))
            line = ""
        case "tr":
            let row = (cells ?? []).filter { !$0.isEmpty }.joined(separator: " | ")
            cells = nil
            line = ""
            try blocks.add(.row, row)
        case _ where Self.apart.contains(name): if cells == nil { try flush() } else { line += " " }
        default: break
        }
    }

    private mutating func flush() throws(Unreadable) {
        let text = line
        line = ""
        try blocks.add(kind, text, level: level)
        kind = .paragraph
        level = 0
    }

    private static func name(_ node: xmlNodePtr) -> String? {
        node.pointee.type == XML_ELEMENT_NODE ? node.pointee.name.map { String(cString: $0).lowercased() } : nil
    }

    private static func title(in head: xmlNodePtr) -> String? {
        var child = head.pointee.children
        while let node = child {
            if name(node) == "title", let content = node.pointee.children?.pointee.content {
                let title = Text.line(String(cString: content))
                return title.isEmpty ? nil : title
            }
            child = node.pointee.next
        }
        return nil
    }
}
