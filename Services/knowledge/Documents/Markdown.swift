enum Markdown {
    static func parse(_ text: String, _ limits: DocumentLimits) throws(Unreadable) -> Document {
        var blocks = Blocks(limits)
        var paragraph = ""
        var title: String?
        var isCode = false
        func heading(_ text: String, _ level: Int, _ blocks: inout Blocks) throws(Unreadable) {
            let clean = plain(text)
            if level == 1, title == nil { title = Text.line(clean) }
            try blocks.add(.heading, clean, level: level)
        }
        for raw in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            let line = raw.drop { $0 == " " || $0 == "\t" || $0 == ">" }
            if line.hasPrefix("```") || line.hasPrefix("~~~") {
                isCode.toggle()
            } else if isCode {
                try blocks.add(.paragraph, String(line))
                continue
            }
            let marks = line.prefix { $0 == "#" }.count
            let isRule = line.count >= 3 && line.allSatisfy { $0 == "=" || $0 == "-" }
            if isRule, !paragraph.isEmpty {
                try heading(paragraph, line.hasPrefix("=") ? 1 : 2, &blocks)
                paragraph = ""
            } else if (1...6).contains(marks), line.dropFirst(marks).first?.isWhitespace == true {
                try blocks.add(.paragraph, plain(paragraph))
                paragraph = ""
                try heading(String(line.dropFirst(marks + 1)), marks, &blocks)
            } else if line.hasPrefix("|") {
                try blocks.add(.paragraph, plain(paragraph))
                paragraph = ""
                // The rule below a table's head says nothing.
                if line.contains(where: { !"|-: ".contains($0) }) { try blocks.add(.row, row(line)) }
            } else if let item = Line.item(line) {
                try blocks.add(.paragraph, plain(paragraph))
                paragraph = ""
                try blocks.add(.item, plain(item))
            } else if line.isEmpty || isRule || line.hasPrefix("```") || line.hasPrefix("~~~") {
                try blocks.add(.paragraph, plain(paragraph))
                paragraph = ""
            } else {
                paragraph += (paragraph.isEmpty ? "" : " ") + line
            }
        }
        try blocks.add(.paragraph, plain(paragraph))
        return Document(kind: .md, title: title, blocks: blocks.list)
    }

    private static func row(_ line: some StringProtocol) -> String {
        line.split(separator: "|").map { Text.line(plain(String($0))) }.filter { !$0.isEmpty }.joined(separator: " | ")
    }

    /// Without emphasis, and links by their words.
    private static func plain(_ text: String) -> String {
        var plain = ""
        var rest = text[...]
        while let character = rest.first {
            if character == "[" || rest.hasPrefix("!["), let link = link(rest) {
                plain += link.words
                rest = link.rest
            } else {
                if !"*`".contains(character) { plain.append(character) }
                rest = rest.dropFirst()
            }
        }
        return plain
    }

    /// `[words](address)`, with a `!` in front for a picture.
    private static func link(_ text: Substring) -> (words: Substring, rest: Substring)? {
        guard let open = text.firstIndex(of: "["), let middle = text[open...].firstIndex(of: "]") else { return nil }
        let after = text[text.index(after: middle)...]
        guard after.first == "(", let close = after.firstIndex(of: ")") else { return nil }
        return (text[text.index(after: open)..<middle], after[after.index(after: close)...])
    }
}
