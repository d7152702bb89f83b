import CPoppler

enum PDF {
    static func parse(_ bytes: [UInt8], _ limits: DocumentLimits) throws(Unreadable) -> Document {
        guard let data = bytes.withUnsafeBytes({ g_bytes_new($0.baseAddress, gsize($0.count)) }) else {
            throw Unreadable("cannot be held in memory")
        }
        defer { g_bytes_unref(data) }
        var error: UnsafeMutablePointer<GError>?
        guard let document = poppler_document_new_from_bytes(data, nil, &error) else {
            let isEncrypted = error.map {
                $0.pointee.domain == poppler_error_quark() && $0.pointee.code == Int32(POPPLER_ERROR_ENCRYPTED.rawValue)
            }
            g_clear_error(&error)
            throw Unreadable(
                isEncrypted == true ? "is encrypted; upload it without a password" : "is a broken PDF")
        }
        defer { g_object_unref(UnsafeMutableRawPointer(document)) }
        let pages = Int(poppler_document_get_n_pages(document))
        guard pages > 0 else { throw Unreadable("has no pages") }
        guard pages <= limits.pagesMax else { throw Unreadable("has \(pages) pages, more than \(limits.pagesMax)") }
        var texts: [[TypeLine]] = []
        for number in 0..<min(pages, limits.pagesRead) {
            guard let page = poppler_document_get_page(document, Int32(number)) else {
                throw Unreadable("has a page \(number + 1) that cannot be read")
            }
            texts.append(lines(of: page))
            g_object_unref(UnsafeMutableRawPointer(page))
        }
        return Document(kind: .pdf, pages: pages, blocks: try blocks(Layout(texts), limits))
    }

    private static func lines(of page: OpaquePointer) -> [TypeLine] {
        guard let text = poppler_page_get_text(page) else { return [] }
        defer { g_free(text) }
        let scalars = Array(String(cString: text).unicodeScalars)
        var sizes = [Float](repeating: 0, count: scalars.count)
        let attributes = poppler_page_get_text_attributes(page)
        var next = attributes
        while let node = next {
            if let run = node.pointee.data?.assumingMemoryBound(to: PopplerTextAttributes.self).pointee {
                let start = max(0, Int(run.start_index))
                let end = min(scalars.count - 1, Int(run.end_index))
                if start <= end { for place in start...end { sizes[place] = Float(run.font_size) } }
            }
            next = node.pointee.next
        }
        poppler_page_free_text_attributes(attributes)
        return scalars.indices.split { scalars[$0] == "\n" }.compactMap { places in
            var line = String.UnicodeScalarView()
            for place in places { line.append(scalars[place]) }
            let clean = Text.line(String(line))
            guard !clean.isEmpty else { return nil }
            let size = places.map { sizes[$0] }.sorted()[places.count / 2]
            return TypeLine(text: clean, size: size)
        }
    }

    private static func blocks(_ layout: Layout, _ limits: DocumentLimits) throws(Unreadable) -> [Block] {
        var blocks = Blocks(limits)
        var open: (kind: Block.Kind, text: String, page: Int)?
        func flush(_ blocks: inout Blocks) throws(Unreadable) {
            if let done = open { try blocks.add(done.kind, done.text, page: done.page) }
            open = nil
        }
        for (page, lines) in layout.pages.enumerated() {
            for (place, line) in lines.enumerated() {
                if let level = layout.heading(line) {
                    try flush(&blocks)
                    try blocks.add(.heading, line.text, level: level, page: page + 1)
                } else if let item = Line.item(line.text) {
                    try flush(&blocks)
                    open = (.item, item, page + 1)
                } else if let begun = open, place > 0 || !Line.endsSentence(begun.text) {
                    open?.text = Line.joined(begun.text, line.text)
                } else {
                    try flush(&blocks)
                    open = (.paragraph, line.text, page + 1)
                }
                // A line that stops before the margin ends its paragraph.
                if Line.endsSentence(line.text), line.text.count * 10 < layout.width * 8 { try flush(&blocks) }
            }
        }
        try flush(&blocks)
        return blocks.list
    }
}

private struct TypeLine {
    var text: String
    /// Points.
    var size: Float
}

/// What is usual in a document: the type its text is set in, how long its lines are, what repeats on every page.
private struct Layout {
    private(set) var pages: [[TypeLine]]
    /// Characters of a full line.
    let width: Int
    private let bodySize: Float
    /// So many times the size of the text is no accident.
    private static let larger: Float = 1.15

    init(_ read: [[TypeLine]]) {
        var characters: [Float: Int] = [:]
        for line in read.joined() { characters[line.size.rounded(), default: 0] += line.text.count }
        bodySize = characters.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 0
        let lengths = read.joined().map(\.text.count).sorted()
        width = lengths.isEmpty ? 0 : lengths[lengths.count * 9 / 10]
        let repeated = Self.repeated(read)
        let usual = bodySize
        pages = read.map { page in
            page.enumerated().filter { place, line in
                let isEdge = place < 2 || place == page.count - 1
                // What is set larger is a heading, even if every page begins with one.
                let isSmall = line.size <= usual * Self.larger
                return !(isEdge && isSmall && repeated.contains(Self.shape(line.text)))
            }.map(\.element)
        }
    }

    /// Running heads and page numbers: alike but for their digits on most pages.
    private static func repeated(_ pages: [[TypeLine]]) -> Set<String> {
        guard pages.count >= 3 else { return [] }
        var counts: [String: Int] = [:]
        for page in pages {
            for shape in Set((page.prefix(2) + page.suffix(1)).map { shape($0.text) }) {
                counts[shape, default: 0] += 1
            }
        }
        return Set(counts.filter { $0.value * 3 >= pages.count * 2 }.keys)
    }

    private static func shape(_ text: String) -> String { String(text.filter { !$0.isNumber }) }

    /// 1 for what is set largest.
    func heading(_ line: TypeLine) -> Int? {
        let words = line.text.split(separator: " ").count
        guard line.size > bodySize * Self.larger, bodySize > 0, words <= 16 else { return nil }
        return line.size > bodySize * 1.6 ? 1 : line.size > bodySize * 1.3 ? 2 : 3
    }
}
