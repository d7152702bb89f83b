enum PlainText {
    /// Paragraphs stand apart by empty lines; lines broken at a width are put together again.
    static func parse(_ text: String, _ limits: DocumentLimits) throws(Unreadable) -> Document {
        var blocks = Blocks(limits)
        var paragraph = ""
        var isAfterGap = true
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map {
            Text.line(String($0))
        }
        for (place, line) in lines.enumerated() {
            if line.isEmpty {
                try blocks.add(.paragraph, paragraph)
                paragraph = ""
                isAfterGap = true
                continue
            }
            let next = place + 1 < lines.count ? lines[place + 1] : ""
            if let item = Line.item(line) {
                try blocks.add(.paragraph, paragraph)
                paragraph = ""
                try blocks.add(.item, item)
            } else if isAfterGap, Line.isHeading(line), next.isEmpty || line.hasSuffix(":") {
                try blocks.add(.heading, line, level: 2)
            } else if paragraph.isEmpty {
                paragraph = line
            } else if Line.endsSentence(paragraph) && paragraph.count < widthLeast {
                try blocks.add(.paragraph, paragraph)
                paragraph = line
            } else {
                paragraph = Line.joined(paragraph, line)
            }
            isAfterGap = false
        }
        try blocks.add(.paragraph, paragraph)
        return Document(kind: .txt, blocks: blocks.list)
    }

    /// A shorter line that ends a sentence was not broken at a width.
    private static let widthLeast = 40
}
