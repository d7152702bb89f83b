import Shared

/// Lines of comma-separated values as RFC 4180 writes them: CRLF, quotes where needed, doubled inside.
///
/// A spreadsheet takes a cell that begins with = + - @ for a formula, and what callers and carriers say ends up in cells.
/// Text that begins so, or with a tab or a carriage return, gets a leading `'`, which spreadsheets do not show. A phone
/// number (`+` and digits) stays as it is: it computes nothing, and other programs want to read it. Numbers of our own
/// are never text.
struct CSVText: Sendable {
    private(set) var bytes: [UInt8] = []
    private var isFirst = true

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func text(_ text: String) {
        var text = text
        text.withUTF8 { cell($0) }
    }

    /// Text as UTF-8.
    mutating func cell(_ cell: UnsafeBufferPointer<UInt8>) {
        separate()
        let isRisky = Self.isFormula(cell)
        let quotes = isRisky || cell.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0D || $0 == 0x0A }
        guard quotes else {
            bytes.append(contentsOf: cell)
            return
        }
        bytes.append(0x22)
        if isRisky { bytes.append(0x27) }
        for byte in cell {
            if byte == 0x22 { bytes.append(0x22) }
            bytes.append(byte)
        }
        bytes.append(0x22)
    }

    /// What is no text of anybody: a number, an instant, a word of ours.
    mutating func plain(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
    }

    mutating func plain(_ text: UnsafeBufferPointer<UInt8>) {
        separate()
        bytes.append(contentsOf: text)
    }

    mutating func number(_ number: Double) {
        plain(number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)")
    }
    mutating func number(_ number: Int64) { plain("\(number)") }
    mutating func empty() { separate() }

    mutating func endLine() {
        bytes.append(0x0D)
        bytes.append(0x0A)
        isFirst = true
    }

    private mutating func separate() {
        if !isFirst { bytes.append(0x2C) }
        isFirst = false
    }

    static func isFormula(_ cell: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = cell.first else { return false }
        switch first {
        case UInt8(ascii: "="), UInt8(ascii: "-"), UInt8(ascii: "@"), 0x09, 0x0D: return true
        case UInt8(ascii: "+"):
            return !(cell.count > 1 && cell.count <= 16 && cell.dropFirst().allSatisfy { (0x30...0x39).contains($0) })
        default: return false
        }
    }
}
