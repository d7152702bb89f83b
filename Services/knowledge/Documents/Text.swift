/// Characters out of bytes.
enum Text {
    /// One line, its words one space apart and nothing invisible in it.
    static func line(_ text: String) -> String {
        var line = ""
        var isApart = false
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator: isApart = !line.isEmpty
            // Soft hyphens, marks of direction and width, halves of pairs.
            case .format, .surrogate, .privateUse, .unassigned: continue
            default:
                if isApart { line += " " }
                isApart = false
                line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    /// UTF-16 is told by its mark; other text has no NUL and hardly any control characters.
    static func isBinary(_ bytes: [UInt8]) -> Bool {
        if wide(bytes) != nil { return false }
        let start = bytes.prefix(65_536)
        let odd = start.count { $0 < 0x20 && ![0x09, 0x0A, 0x0C, 0x0D, 0x1B].contains($0) || $0 == 0x7F }
        return start.contains(0) || odd * 100 > start.count
    }

    private static func wide(_ bytes: [UInt8]) -> (high: Int, low: Int)? {
        if bytes.starts(with: [0xFE, 0xFF]) { return (0, 1) }
        if bytes.starts(with: [0xFF, 0xFE]) { return (1, 0) }
        return nil
    }

    /// UTF-8, UTF-16 with a mark, or else Windows-1252, which every byte is valid in.
    static func decoded(_ bytes: [UInt8]) throws(Unreadable) -> String {
        if let (high, low) = wide(bytes) {
            let units = stride(from: 2, to: bytes.count - 1, by: 2).map {
                UInt16(bytes[$0 + high]) << 8 | UInt16(bytes[$0 + low])
            }
            return String(decoding: units, as: UTF16.self)
        }
        let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        if let text = String(validating: body, as: UTF8.self) { return text }
        var text = String.UnicodeScalarView()
        for byte in body {
            let code = (0x80...0x9F).contains(byte) ? windows[Int(byte) - 0x80] : UInt16(byte)
            if let scalar = UnicodeScalar(code) { text.append(scalar) }
        }
        return String(text)
    }

    /// Windows-1252 from 0x80 to 0x9F.
    private static let windows: [UInt16] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x9D, 0x017E, 0x0178,
    ]
}

/// What single lines look like.
enum Line {
    /// The text of a list item, without its bullet or number.
    static func item(_ line: some StringProtocol) -> String? {
        let text = line.drop { $0 == " " || $0 == "\t" }
        guard let first = text.first else { return nil }
        if "-*•‣◦▪–+".contains(first), text.dropFirst().first?.isWhitespace == true { return String(text.dropFirst(2)) }
        let number = text.prefix { $0.isNumber }
        guard !number.isEmpty, number.count <= 3, let mark = text.dropFirst(number.count).first,
            mark == "." || mark == ")",
            text.dropFirst(number.count + 1).first?.isWhitespace == true
        else { return nil }
        return String(text.dropFirst(number.count + 2))
    }

    /// A short line that opens what follows.
    static func isHeading(_ line: String) -> Bool {
        guard let first = line.first, let last = line.last, first.isLetter || first.isNumber else { return false }
        let words = line.split(separator: " ").count
        if last == ":" { return words <= 8 }
        return words <= 7 && !".!?,;".contains(last) && (first.isUppercase || first.isNumber)
    }

    static func endsSentence(_ line: String) -> Bool { line.last.map { ".!?:".contains($0) } ?? true }

    /// Puts a broken line together again: a hyphen at its end belongs to the break.
    static func joined(_ line: String, _ next: String) -> String {
        if line.hasSuffix("-"), line.dropLast().last?.isLetter == true, next.first?.isLowercase == true {
            return line.dropLast() + next
        }
        return line + " " + next
    }
}
