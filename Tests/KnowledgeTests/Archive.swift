/// Makes an archive of parts that are stored, not packed: enough for a DOCX (APPNOTE.TXT §4.3).
func archive(_ parts: [(name: String, text: String)]) -> [UInt8] {
    var (file, directory): ([UInt8], [UInt8]) = ([], [])
    func little(_ value: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    for (name, text) in parts {
        let (name, data, offset) = (Array(name.utf8), Array(text.utf8), file.count)
        // Version needed, flags, method, time and date; checksum; sizes; length of the name.
        var about = little(20, 2)
        about += little(0, 8)
        about += little(Int(checksum(data)), 4)
        about += little(data.count, 4)
        about += little(data.count, 4)
        about += little(name.count, 2)
        file += [0x50, 0x4B, 3, 4] + about
        file += little(0, 2) + name + data
        directory += [0x50, 0x4B, 1, 2] + little(20, 2)
        directory += about + little(0, 12)
        directory += little(offset, 4) + name
    }
    var end: [UInt8] = [0x50, 0x4B, 5, 6]
    end += little(0, 4)
    end += little(parts.count, 2)
    end += little(parts.count, 2)
    end += little(directory.count, 4)
    end += little(file.count, 4)
    end += little(0, 2)
    return file + directory + end
}

/// CRC-32 (ISO 3309).
private func checksum(_ bytes: [UInt8]) -> UInt32 {
    var state = UInt32.max
    for byte in bytes {
        state ^= UInt32(byte)
        for _ in 0..<8 {
            let isOdd = state & 1 == 1
            state >>= 1
            if isOdd { state ^= 0xEDB8_8320 }
        }
    }
    return ~state
}

/// A DOCX with this in its body.
func docx(_ body: String, styles: String? = nil, declaration: String = "") -> [UInt8] {
    let space = #"xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main""#
    var parts = [
        (name: "[Content_Types].xml", text: "<Types/>"),
        (name: "word/document.xml", text: "\(declaration)<w:document \(space)><w:body>\(body)</w:body></w:document>"),
    ]
    if let styles { parts.append((name: "word/styles.xml", text: "<w:styles \(space)>\(styles)</w:styles>")) }
    return archive(parts)
}

/// A PDF with these lines on each page, the first of each set larger.
func pdf(_ pages: [[String]]) -> [UInt8] {
    var objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    var kids: [String] = []
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for lines in pages {
        var content = "BT /F1 20 Tf 72 720 Td "
        for (place, line) in lines.enumerated() {
            if place == 1 { content += "/F1 11 Tf " }
            content += "(\(line)) Tj 0 -26 Td "
        }
        content += "ET"
        objects.append("<< /Length \(content.utf8.count) >>\nstream\n\(content)\nendstream")
        kids.append("\(objects.count + 1) 0 R")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents \(objects.count) 0 R "
                + "/Resources << /Font << /F1 3 0 R >> >> >>")
    }
    objects[1] = "<< /Type /Pages /Kids [\(kids.joined(separator: " "))] /Count \(pages.count) >>"
    var text = "%PDF-1.4\n"
    var places: [Int] = []
    for (place, object) in objects.enumerated() {
        places.append(text.utf8.count)
        text += "\(place + 1) 0 obj\n\(object)\nendobj\n"
    }
    let table = text.utf8.count
    text += "xref\n0 \(objects.count + 1)\n0000000000 65535 f \n"
    for place in places {
        let digits = String(place)
        text += String(repeating: "0", count: 10 - digits.count) + digits + " 00000 n \n"
    }
    text += "trailer << /Size \(objects.count + 1) /Root 1 0 R >>\nstartxref\n\(table)\n%%EOF\n"
    return Array(text.utf8)
}
