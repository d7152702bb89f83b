import Documents
import Glibc
import Runtime
import Shared
import TestSupport
import Testing

@testable import Knowledge

@Suite struct DocumentTests {
    private func blocks(_ text: String, _ name: String) throws -> [Block] {
        try Documents.parse(Array(text.utf8), name: name).blocks
    }

    @Test func `text is cut at empty lines, and lines broken at a width are joined`() throws {
        let text = """
            RETURNS

            You can return what you bought within thirty days, if you have the re-
            ceipt and the box.
            Ask for both.

            - a receipt
            2. the box
            """
        #expect(
            try blocks(text, "a.txt") == [
                Block(.heading, "RETURNS", level: 2),
                Block(
                    .paragraph,
                    "You can return what you bought within thirty days, if you have the receipt and the box. Ask for both."
                ),
                Block(.item, "a receipt"), Block(.item, "the box"),
            ])
    }

    @Test func `markdown keeps its structure and loses its marks`() throws {
        let text = """
            # Returns *policy*
            See [the rules](https://example.com).

            * with `receipt`

            | level | days |
            |-------|------|
            | gold  | 90   |

            Money
            -----
            ```
            # no heading
            ```
            """
        let document = try Documents.parse(Array(text.utf8), name: "a.md")
        #expect(document.title == "Returns policy")
        #expect(
            document.blocks == [
                Block(.heading, "Returns policy", level: 1), Block(.paragraph, "See the rules."),
                Block(.item, "with receipt"), Block(.row, "level | days"), Block(.row, "gold | 90"),
                Block(.heading, "Money", level: 2), Block(.paragraph, "# no heading"),
            ])
    }

    @Test func `HTML tells its text and nothing of its scripts`() throws {
        let text = """
            <!DOCTYPE html><html><head><title>Our&nbsp;rules</title><script>evil()</script></head><body>
            <h2>Returns</h2><p>Within <b>thirty</b> days &amp; with a receipt.</p><style>p{}</style>
            <ul><li>box<li>receipt</ul><table><tr><th>level</th><td>days</td></tr></table>loose
            """
        let document = try Documents.parse(Array(text.utf8), name: "x.bin")
        #expect(document.kind == .html && document.title == "Our rules")
        #expect(
            document.blocks == [
                Block(.heading, "Returns", level: 2), Block(.paragraph, "Within thirty days & with a receipt."),
                Block(.item, "box"), Block(.item, "receipt"), Block(.row, "level | days"), Block(.paragraph, "loose"),
            ])
    }

    @Test func `a DOCX tells headings by style, lists, tables and pages, and not what was deleted`() throws {
        let body = """
            <w:p><w:pPr><w:pStyle w:val="Titel"/></w:pPr><w:r><w:t>Handbook</w:t></w:r></w:p>
            <w:p><w:pPr><w:pStyle w:val="Mine"/></w:pPr><w:r><w:t>Returns</w:t></w:r></w:p>
            <w:p><w:r><w:t xml:space="preserve">Within </w:t></w:r><w:r><w:t>30 days</w:t></w:r>
            <w:del><w:r><w:delText>never</w:delText><w:t>never</w:t></w:r></w:del></w:p>
            <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>receipt</w:t></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>gold</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>90</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
            <w:p><w:r><w:lastRenderedPageBreak/><w:t>Page two.</w:t></w:r></w:p>
            """
        let styles = """
            <w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>
            <w:style w:styleId="Head"><w:name w:val="heading 2"/></w:style>
            <w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="Head"/></w:style>
            """
        let document = try Documents.parse(docx(body, styles: styles), name: "handbook.pdf")
        #expect(document.kind == .docx && document.title == "Handbook" && document.pages == 2)
        #expect(
            document.blocks == [
                Block(.heading, "Handbook", level: 1, page: 1), Block(.heading, "Returns", level: 2, page: 1),
                Block(.paragraph, "Within 30 days", page: 1), Block(.item, "receipt", page: 1),
                Block(.row, "gold | 90", page: 1), Block(.paragraph, "Page two.", page: 2),
            ])
    }

    @Test func `a PDF tells its pages, headings by their type, and paragraphs`() throws {
        let file = pdf([
            [
                "Returns", "You can return what you bought within thirty days", "if you have the receipt.",
                "Ask for it.",
            ],
            ["Refunds", "Money is paid back to the card within ten days of it."],
        ])
        let document = try Documents.parse(file, name: "x")
        #expect(document.kind == .pdf && document.pages == 2)
        #expect(document.blocks.map(\.kind) == [.heading, .paragraph, .paragraph, .heading, .paragraph])
        #expect(document.blocks.map(\.page) == [1, 1, 1, 2, 2])
        #expect(
            document.blocks[1].text == "You can return what you bought within thirty days if you have the receipt.")
        var limits = DocumentLimits()
        limits.pagesRead = 1
        #expect(try Documents.parse(file, name: "x", limits: limits).blocks.count == 3)
    }

    @Test func `running heads and page numbers are left out, headings are not`() throws {
        let pages = (1...4).map { number in
            ["Chapter \(number)", "House rules of the shop", "Text number \(number * 7) of it all.", "Page \(number)"]
        }
        let blocks = try Documents.parse(pdf(pages), name: "x").blocks
        #expect(blocks.filter { $0.kind == .heading }.count == 4)
        #expect(!blocks.contains { $0.text.contains("House rules") || $0.text.contains("Page") })
        #expect(blocks.contains { $0.text == "Text number 28 of it all." })
    }

    @Test func `old encodings are read`() throws {
        #expect(try Documents.parse([0x47, 0x72, 0xF6, 0xDF, 0x65, 0x80], name: "a.txt").blocks[0].text == "Größe€")
        let wide: [UInt8] = [0xFF, 0xFE] + "Größe".utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
        #expect(try Documents.parse(wide, name: "a.txt").blocks[0].text == "Größe")
    }

    private static let nested = String(repeating: "<w:sdt>", count: 230) + String(repeating: "</w:sdt>", count: 230)

    /// Hostile, broken or simply nothing for us, and a part of the reason.
    private static let refused: [([UInt8], String)] = [
        file([], "empty"), text(" \n ", "empty"), file([0x7F, 0x45, 0x4C, 0x46, 0, 1, 2, 0], "no PDF"),
        file([0xD0, 0xCF, 0x11, 0xE0, 0xA1], "encrypted"), text(#"{\rtf1 x}"#, "RTF"),
        text("%PDF-1.4\nnothing", "broken PDF"), file(Array(pdf([["A", "b"]]).prefix(60)), "broken PDF"),
        file(pdf([[]]), "no text"), file(archive([("xl/workbook.xml", "<x/>")]), "spreadsheet"),
        file(archive([("a.txt", "x")]), "no DOCX"), file(Array(docx("<w:p/>").prefix(80)), "broken or truncated"),
        file(docx("<w:p><w:r><w:t>a</w:p>"), "broken XML"), file(docx("<w:p/>"), "no text"),
        file(docx(nested), "nested too deeply"),
        file(docx("<w:p><w:r><w:t>&x;</w:t></w:r></w:p>", declaration: outside), "document type"),
        text("<html><body>" + String(repeating: "<div>", count: 5000), "nested too deeply"),
    ]
    private static let outside = #"<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>"#

    private static func file(_ bytes: [UInt8], _ reason: String) -> ([UInt8], String) { (bytes, reason) }
    private static func text(_ text: String, _ reason: String) -> ([UInt8], String) { (Array(text.utf8), reason) }

    @Test(arguments: refused)
    func `a file that is no document is refused with the reason`(file: [UInt8], reason: String) {
        do {
            let document = try Documents.parse(file, name: "a.pdf")
            Issue.record("\(document.blocks)")
        } catch let error {
            #expect(error.reason.contains(reason), "\(error.reason)")
        }
    }

    @Test func `limits hold`() {
        var limits = DocumentLimits()
        limits.textMax = 10
        #expect(throws: Unreadable.self) {
            try Documents.parse(Array("more than ten letters".utf8), name: "a.txt", limits: limits)
        }
        limits = DocumentLimits()
        limits.blocksMax = 1
        #expect(throws: Unreadable.self) { try Documents.parse(Array("a\n\nb".utf8), name: "a.txt", limits: limits) }
        limits.entriesMax = 1
        #expect(throws: Unreadable.self) { try Documents.parse(docx("<w:p/>"), name: "a", limits: limits) }
    }

    @Test func `what the parsing process answers is read back the same`() throws {
        let document = Document(
            kind: .pdf, title: "T", pages: 3,
            blocks: [Block(.heading, "H \"q\"", level: 2, page: 1), Block(.row, "a | b")])
        var json = JSONWriter()
        document.write(to: &json)
        #expect(try ParseCommand.read(json.bytes) == document)
        #expect(throws: Unreadable("is empty")) { try ParseCommand.read(Array(#"{"refused":"is empty"}"#.utf8)) }
    }
}
