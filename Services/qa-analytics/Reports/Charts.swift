/// Charts of a report. They are drawn from the same figures as its tables, so they carry few words.
extension Document {
    /// One line or one stack of bars.
    public struct Series: Sendable {
        public var name: String
        public var values: [Double]

        public init(_ name: String, _ values: [Double]) {
            self.name = name
            self.values = values
        }
    }

    static let palette = [
        Canvas.Color(0.16, 0.47, 0.71), Canvas.Color(0.85, 0.45, 0.16), Canvas.Color(0.22, 0.62, 0.38),
        Canvas.Color(0.58, 0.36, 0.68),
    ]

    /// Values over periods as stacked bars.
    public func bars(_ title: String, periods: [String], _ series: [Series]) {
        let sums = periods.indices.map { place in series.reduce(0) { $0 + Self.value($1, place) } }
        let plot = frame(title, periods, series.map(\.name), highest: sums.max() ?? 0)
        let step = plot.width / Double(max(1, periods.count))
        for place in periods.indices {
            var base = plot.bottom
            for (which, one) in series.enumerated() {
                let height = plot.height(of: Self.value(one, place))
                base -= height
                canvas.fill(
                    x: plot.left + Double(place) * step + step * 0.12, y: base, width: max(0.4, step * 0.76),
                    height: height, Self.palette[which % Self.palette.count])
            }
        }
    }

    /// Values over periods as lines.
    public func lines(_ title: String, periods: [String], _ series: [Series], highest: Double? = nil) {
        let most = series.flatMap(\.values).max() ?? 0
        let plot = frame(title, periods, series.map(\.name), highest: highest ?? most)
        let step = plot.width / Double(max(1, periods.count))
        for (which, one) in series.enumerated() {
            let points = periods.indices.map { place in
                (
                    x: plot.left + (Double(place) + 0.5) * step,
                    y: plot.bottom - plot.height(of: Self.value(one, place))
                )
            }
            let color = Self.palette[which % Self.palette.count]
            canvas.curve(points, color)
            // A line of one point would not be seen.
            if points.count < 40 {
                for point in points { canvas.fill(x: point.x - 1.5, y: point.y - 1.5, width: 3, height: 3, color) }
            }
        }
    }

    /// Shares of a whole as one bar each.
    public func shares(_ title: String, _ parts: [(label: String, value: Double)]) {
        let row = 15.0
        makeRoom(22 + row * Double(parts.count))
        canvas.text(title, x: Self.left, y: y, width: Self.width, .bold)
        y += 16
        let whole = parts.reduce(0) { $0 + $1.value }
        for (which, part) in parts.enumerated() {
            let share = whole > 0 ? part.value / whole : 0
            canvas.text(part.label, x: Self.left, y: y, width: 110, .body)
            canvas.fill(x: Self.left + 116, y: y, width: 320, height: 10, .shade)
            canvas.fill(
                x: Self.left + 116, y: y, width: 320 * share, height: 10, Self.palette[which % Self.palette.count])
            canvas.text(
                "\(Self.short(part.value)) (\(Self.short((share * 1000).rounded() / 10)) %)", x: Self.left + 444, y: y,
                width: Self.width - 444, .body)
            y += row
        }
        y += 10
    }

    struct Plot {
        var left: Double
        var bottom: Double
        var width: Double
        var top: Double
        var highest: Double

        func height(of value: Double) -> Double {
            highest > 0 ? max(0, min(1, value / highest)) * (bottom - top) : 0
        }
    }

    /// Title, legend, scale and the first, middle and last period.
    private func frame(_ title: String, _ periods: [String], _ names: [String], highest: Double) -> Plot {
        let height = 110.0
        makeRoom(height + 50)
        canvas.text(title, x: Self.left, y: y, width: Self.width * 0.5, .bold)
        if names.count > 1 {
            for (which, name) in names.enumerated() {
                let x = Self.left + Self.width - Double(names.count - which) * 80
                canvas.fill(x: x, y: y + 3, width: 6, height: 6, Self.palette[which % Self.palette.count])
                canvas.text(name, x: x + 10, y: y, width: 68, .body)
            }
        }
        y += 18
        let scale = Self.nice(highest)
        let plot = Plot(
            left: Self.left + 36, bottom: y + height, width: Self.width - 36, top: y, highest: scale)
        for part in 0...4 {
            let at = plot.bottom - height * Double(part) / 4
            canvas.line(from: (plot.left, at), to: (plot.left + plot.width, at))
            canvas.text(
                Self.short(scale * Double(part) / 4), x: Self.left, y: at - 5, width: 32, .small, .right, .faint)
        }
        for place in Set([0, periods.count / 2, periods.count - 1]) where periods.indices.contains(place) {
            let x = plot.left + (Double(place) + 0.5) * plot.width / Double(periods.count)
            let alignment: Canvas.Alignment =
                periods.count == 1 ? .center : place == 0 ? .left : place == periods.count - 1 ? .right : .center
            let start = alignment == .left ? plot.left : alignment == .right ? plot.left + plot.width - 120 : x - 60
            canvas.text(periods[place], x: start, y: plot.bottom + 3, width: 120, .small, alignment, .faint)
        }
        y = plot.bottom + 24
        return plot
    }

    private static func value(_ series: Series, _ place: Int) -> Double {
        place < series.values.count ? series.values[place] : 0
    }

    /// The next of 1, 2, 4, 5 or 10 times a power of ten, so that a quarter of it is a short number too.
    static func nice(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        var power = 1.0
        while power * 10 <= value { power *= 10 }
        while power > value { power /= 10 }
        return [1, 2, 4, 5, 10].map { $0 * power }.first { $0 >= value * 0.999_999 } ?? 10 * power
    }

    /// Without digits that say nothing.
    static func short(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
        let rounded = (value * 1000).rounded() / 1000
        return "\(rounded)"
    }
}
