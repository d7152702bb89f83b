/// A document's text with its structure, as far as the file tells.
public struct Document: Sendable, Hashable {
    public var kind: FileKind
    /// What it calls itself.
    public var title: String?
    /// nil where the file has none.
    public var pages: Int?
    public var blocks: [Block]

    public init(kind: FileKind, title: String? = nil, pages: Int? = nil, blocks: [Block]) {
        self.kind = kind
        self.title = title
        self.pages = pages
        self.blocks = blocks
    }
}

/// What belongs together and is not cut unless it is too long.
public struct Block: Sendable, Hashable {
    public enum Kind: String, Sendable { case heading, paragraph, item, row }

    public var kind: Kind
    /// Of a heading, from 1.
    public var level: Int
    /// One line; words are one space apart.
    public var text: String
    /// From 1.
    public var page: Int?

    public init(_ kind: Kind, _ text: String, level: Int = 0, page: Int? = nil) {
        self.kind = kind
        self.level = level
        self.text = text
        self.page = page
    }
}

/// Why a file is no document we can read. The reason is for whoever sent it.
public struct Unreadable: Error, Sendable, Hashable {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
}

/// What bounds the parsing of a stranger's file, and why.
public struct DocumentLimits: Sendable {
    /// Characters: ten long manuals.
    public var textMax = 2_000_000
    /// Blocks; a table of so many rows is a database.
    public var blocksMax = 100_000
    public var pagesMax = 3000
    /// Parts of a DOCX; a long one with pictures has hundreds.
    public var entriesMax = 2000
    /// Bytes of one part of a DOCX once unpacked.
    public var expandedMax = 48 << 20
    /// Unpacked to packed. XML packs 10 to 30 times; a bomb, 1000 times.
    public var ratioMax = 150
    /// Elements inside elements.
    public var depthMax = 200
    /// Stop after so many pages of a PDF: enough to tell whether it can be read.
    public var pagesRead = Int.max

    public init() {}
}

/// Collects blocks within the limits.
struct Blocks {
    private(set) var list: [Block] = []
    private var characters = 0
    private let limits: DocumentLimits

    init(_ limits: DocumentLimits) { self.limits = limits }

    mutating func add(_ kind: Block.Kind, _ text: String, level: Int = 0, page: Int? = nil) throws(Unreadable) {
        let clean = Text.line(text)
        guard !clean.isEmpty else { return }
        characters += clean.count
        guard characters <= limits.textMax else {
            throw Unreadable("holds more than \(limits.textMax) characters of text; upload it in parts")
        }
        guard list.count < limits.blocksMax else {
            throw Unreadable("holds more than \(limits.blocksMax) paragraphs; upload it in parts")
        }
        list.append(Block(kind, clean, level: level, page: page))
    }

    mutating func forgetPages() { for place in list.indices { list[place].page = nil } }
}

public enum Documents {
    /// Reads a file. It is a stranger's: call this in a process of its own.
    public static func parse(
        _ bytes: [UInt8], name: String, limits: DocumentLimits = DocumentLimits()
    ) throws(Unreadable) -> Document {
        let kind = try FileKind(of: bytes, name: name)
        let document =
            switch kind {
            case .pdf: try PDF.parse(bytes, limits)
            case .docx: try Word.parse(bytes, limits)
            case .html: try HTML.parse(bytes, limits)
            case .md: try Markdown.parse(try Text.decoded(bytes), limits)
            case .txt: try PlainText.parse(try Text.decoded(bytes), limits)
            }
        guard !document.blocks.isEmpty else {
            throw Unreadable(kind == .pdf ? "holds no text; a scan has to go through OCR first" : "holds no text")
        }
        return document
    }
}
