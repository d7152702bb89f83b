import CPango

/// A PDF file being drawn, page after page, on A4. What is finished goes to the sink, so memory stays at one page and the
/// fonts used. Points are 1/72 inch from the upper left corner.
///
/// Not Sendable: cairo and Pango objects belong to one thread at a time.
final class Canvas {
    static let width = 595.0
    static let height = 842.0

    struct Color: Sendable, Equatable {
        var red: Double
        var green: Double
        var blue: Double

        init(_ red: Double, _ green: Double, _ blue: Double) {
            self.red = red
            self.green = green
            self.blue = blue
        }

        static let ink = Color(0.12, 0.14, 0.18)
        static let faint = Color(0.45, 0.48, 0.54)
        static let rule = Color(0.85, 0.87, 0.90)
        static let shade = Color(0.95, 0.96, 0.97)
    }

    enum Style: Int, CaseIterable {
        case title, heading, body, bold, small

        var description: String {
            switch self {
            case .title: "Noto Sans, DejaVu Sans, Sans Bold 20px"
            case .heading: "Noto Sans, DejaVu Sans, Sans Bold 13px"
            case .body: "Noto Sans, DejaVu Sans, Sans 8.5px"
            case .bold: "Noto Sans, DejaVu Sans, Sans Bold 8.5px"
            case .small: "Noto Sans, DejaVu Sans, Sans 7px"
            }
        }
    }

    enum Alignment { case left, center, right }

    private let surface: OpaquePointer
    private let context: OpaquePointer
    private let fonts: UnsafeMutablePointer<PangoFontMap>
    /// One layout a style: setting a text is much cheaper than making a layout.
    private var layouts: [OpaquePointer] = []
    private let sink: Sink

    /// Holds what cairo wrote until somebody takes it.
    final class Sink {
        var bytes: [UInt8] = []
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init() throws(Failure) {
        let sink = Sink()
        let write: cairo_write_func_t = { closure, data, count in
            guard let closure, let data else { return CAIRO_STATUS_WRITE_ERROR }
            let sink = Unmanaged<Sink>.fromOpaque(closure).takeUnretainedValue()
            sink.bytes.append(contentsOf: UnsafeBufferPointer(start: data, count: Int(count)))
            return CAIRO_STATUS_SUCCESS
        }
        let made = cairo_pdf_surface_create_for_stream(
            write, Unmanaged.passUnretained(sink).toOpaque(), Canvas.width, Canvas.height)
        guard let surface = made, cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS,
            let context = cairo_create(surface), let fonts = pango_cairo_font_map_new()
        else { throw Failure(description: "cairo could not begin a PDF") }
        self.surface = surface
        self.context = context
        self.fonts = fonts
        self.sink = sink
        guard let pango = pango_font_map_create_context(fonts) else {
            throw Failure(description: "Pango could not begin a text")
        }
        defer { g_object_unref(UnsafeMutableRawPointer(pango)) }
        // Positions to the fraction of a point: PDF has no pixels to round to.
        pango_context_set_round_glyph_positions(pango, 0)
        for style in Style.allCases {
            guard let layout = pango_layout_new(pango), let font = pango_font_description_from_string(style.description)
            else { throw Failure(description: "Pango could not lay out text") }
            pango_layout_set_font_description(layout, font)
            pango_font_description_free(font)
            pango_layout_set_single_paragraph_mode(layout, 1)
            layouts.append(layout)
        }
    }

    deinit {
        for layout in layouts { g_object_unref(UnsafeMutableRawPointer(layout)) }
        g_object_unref(UnsafeMutableRawPointer(fonts))
        cairo_destroy(context)
        cairo_surface_destroy(surface)
    }

    /// What was written since it was last asked.
    func take() -> [UInt8] {
        defer { sink.bytes = [] }
        return sink.bytes
    }

    func describe(title: String) {
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, title)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, "Switchboard")
    }

    func endPage() { cairo_show_page(context) }

    func finish() throws(Failure) {
        cairo_surface_finish(surface)
        let status = cairo_surface_status(surface)
        guard status == CAIRO_STATUS_SUCCESS else {
            throw Failure(description: "cairo: \(String(cString: cairo_status_to_string(status)))")
        }
    }

    // MARK: Drawing

    /// One line, cut off with … when it is wider.
    func text(
        _ text: String, x: Double, y: Double, width: Double, _ style: Style = .body, _ alignment: Alignment = .left,
        _ color: Color = .ink
    ) {
        let layout = laidOut(text, style)
        pango_layout_set_width(layout, Int32(width * Double(PANGO_SCALE)))
        pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END)
        switch alignment {
        case .left: pango_layout_set_alignment(layout, PANGO_ALIGN_LEFT)
        case .center: pango_layout_set_alignment(layout, PANGO_ALIGN_CENTER)
        case .right: pango_layout_set_alignment(layout, PANGO_ALIGN_RIGHT)
        }
        use(color)
        cairo_move_to(context, x, y)
        pango_cairo_show_layout(context, layout)
    }

    private func laidOut(_ text: String, _ style: Style) -> OpaquePointer {
        let layout = layouts[style.rawValue]
        pango_layout_set_text(layout, text, -1)
        return layout
    }

    func fill(x: Double, y: Double, width: Double, height: Double, _ color: Color) {
        use(color)
        cairo_rectangle(context, x, y, width, height)
        cairo_fill(context)
    }

    func line(from: (x: Double, y: Double), to: (x: Double, y: Double), width: Double = 0.5, _ color: Color = .rule) {
        use(color)
        cairo_set_line_width(context, width)
        cairo_move_to(context, from.x, from.y)
        cairo_line_to(context, to.x, to.y)
        cairo_stroke(context)
    }

    func curve(_ points: [(x: Double, y: Double)], width: Double = 1.2, _ color: Color) {
        guard let first = points.first else { return }
        use(color)
        cairo_set_line_width(context, width)
        cairo_set_line_join(context, CAIRO_LINE_JOIN_ROUND)
        cairo_move_to(context, first.x, first.y)
        for point in points.dropFirst() { cairo_line_to(context, point.x, point.y) }
        cairo_stroke(context)
    }

    private func use(_ color: Color) { cairo_set_source_rgb(context, color.red, color.green, color.blue) }
}
