/// A report as a PDF: headings, tables and charts one below the other, over as many pages as they need. Every page has
/// the title and its number at the foot, and a table that goes on says its columns again.
///
/// `@unchecked Sendable`: cairo and Pango objects belong to one thread at a time, so whoever made it calls it from one
/// task, one call after the other.
public final class Document: @unchecked Sendable {
    public struct Column: Sendable {
        public var title: String
        /// Its part of the width.
        public var share: Double
        public var isNumber: Bool

        public init(_ title: String, share: Double = 1, isNumber: Bool = false) {
            self.title = title
            self.share = share
            self.isNumber = isNumber
        }
    }

    let canvas: Canvas
    private let title: String
    public private(set) var page = 1
    /// Where the next thing goes.
    var y: Double
    private var columns: [Column] = []
    private var rows = 0

    static let left = 40.0
    static let width = Canvas.width - 2 * left
    private static let top = 40.0
    private static let bottom = Canvas.height - 52
    private static let rowHeight = 14.5

    /// - Parameter lines: what stands below the title: the period, for whom, when it was made.
    /// - Throws: when cairo or a font is not to be had.
    public init(title: String, lines: [String]) throws {
        let canvas = try Canvas()
        self.canvas = canvas
        self.title = title
        y = Self.top + 32
        canvas.describe(title: title)
        canvas.text(title, x: Self.left, y: Self.top, width: Self.width, .title)
        for line in lines {
            canvas.text(line, x: Self.left, y: y, width: Self.width, .body, .left, .faint)
            y += 13
        }
        y += 6
        canvas.line(from: (Self.left, y), to: (Self.left + Self.width, y), width: 1)
        y += 14
    }

    /// The part of the file that is ready and was not taken yet.
    public func take() -> [UInt8] { canvas.take() }

    /// The last page and the file's end.
    public func finish() throws {
        endPage()
        try canvas.finish()
    }

    public func heading(_ text: String) {
        // Never alone at the foot of a page.
        makeRoom(24 + 3 * Self.rowHeight)
        canvas.text(text, x: Self.left, y: y, width: Self.width, .heading)
        y += 24
    }

    /// Figures side by side, four in a row.
    public func tiles(_ tiles: [(label: String, value: String)]) {
        let gap = 8.0
        let width = (Self.width - 3 * gap) / 4
        for start in stride(from: 0, to: tiles.count, by: 4) {
            makeRoom(46)
            for (place, tile) in tiles[start..<min(start + 4, tiles.count)].enumerated() {
                let x = Self.left + Double(place) * (width + gap)
                canvas.fill(x: x, y: y, width: width, height: 38, .shade)
                canvas.text(tile.value, x: x + 8, y: y + 4, width: width - 16, .heading)
                canvas.text(tile.label, x: x + 8, y: y + 23, width: width - 16, .small, .left, .faint)
            }
            y += 46
        }
        y += 6
    }

    // MARK: Tables

    public func beginTable(_ columns: [Column]) {
        self.columns = columns
        rows = 0
        makeRoom(3 * Self.rowHeight)
        header()
    }

    public func row(_ cells: [String]) {
        if y + Self.rowHeight > Self.bottom {
            newPage()
            header()
        }
        if rows % 2 == 1 {
            canvas.fill(x: Self.left, y: y - 1.5, width: Self.width, height: Self.rowHeight, .shade)
        }
        write(cells, .body, .ink)
        rows += 1
    }

    public func endTable() {
        if rows == 0 { write(["none"], .body, .faint) }
        columns = []
        y += 12
    }

    private func header() {
        write(columns.map(\.title), .bold, .ink)
        canvas.line(from: (Self.left, y - 2), to: (Self.left + Self.width, y - 2), width: 0.8, .faint)
        y += 1.5
    }

    private func write(_ cells: [String], _ style: Canvas.Style, _ color: Canvas.Color) {
        let whole = columns.reduce(0) { $0 + $1.share }
        var x = Self.left
        for (column, cell) in zip(columns, cells) {
            let width = Self.width * column.share / whole
            canvas.text(cell, x: x + 3, y: y, width: width - 6, style, column.isNumber ? .right : .left, color)
            x += width
        }
        y += Self.rowHeight
    }

    // MARK: Pages

    func makeRoom(_ height: Double) {
        if y + height > Self.bottom { newPage() }
    }

    private func newPage() {
        endPage()
        page += 1
        y = Self.top
    }

    private func endPage() {
        let foot = Canvas.height - 36
        canvas.line(from: (Self.left, foot - 6), to: (Self.left + Self.width, foot - 6))
        canvas.text(title, x: Self.left, y: foot, width: Self.width - 80, .small, .left, .faint)
        canvas.text("Page \(page)", x: Self.left + Self.width - 80, y: foot, width: 80, .small, .right, .faint)
        canvas.endPage()
    }
}
