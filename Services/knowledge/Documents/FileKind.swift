/// What a file is. Its content decides; the name only tells kinds of text from each other.
public enum FileKind: String, Sendable, CaseIterable {
    case pdf, docx, txt, md, html

    public init(of bytes: [UInt8], name: String) throws(Unreadable) {
        guard bytes.contains(where: { $0 > 0x20 }) else { throw Unreadable("is empty") }
        if Self.find(Array("%PDF-".utf8), in: bytes.prefix(1024)) {
            self = .pdf
        } else if bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
            self = .docx
        } else if bytes.starts(with: [0x50, 0x4B, 0x05, 0x06]) {
            throw Unreadable("is an empty archive")
        } else if bytes.starts(with: [0xD0, 0xCF, 0x11, 0xE0]) {
            throw Unreadable("is an encrypted or an old (.doc) Office document; save it as an open .docx")
        } else if bytes.starts(with: Array("{\\rtf".utf8)) {
            throw Unreadable("is RTF; save it as PDF, DOCX or text")
        } else if Text.isBinary(bytes) {
            throw Unreadable("is no PDF, DOCX, HTML, Markdown or text")
        } else {
            self = Self.text(bytes, name.lowercased())
        }
    }

    private static func text(_ bytes: [UInt8], _ name: String) -> FileKind {
        let start = bytes.prefix(4096).map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
        if ["<!doctype html", "<html", "<head", "<body"].contains(where: { find(Array($0.utf8), in: start[...]) }) {
            return .html
        }
        if name.hasSuffix(".html") || name.hasSuffix(".htm"), start.contains(UInt8(ascii: "<")) { return .html }
        return name.hasSuffix(".md") || name.hasSuffix(".markdown") ? .md : .txt
    }

    private static func find(_ needle: [UInt8], in bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.count >= needle.count else { return false }
        return (bytes.startIndex...(bytes.endIndex - needle.count)).contains { bytes[$0...].starts(with: needle) }
    }
}
