import Postgres
import Reports
import Shared

/// Reports as PDF: what each shows, in order. It only draws; it is called on a thread of `Blocking`.
enum PDFReport {
    static func beginning(_ request: ReportRequest, _ figures: ReportFigures) throws -> Document {
        let overview = figures.overview
        var lines = [
            "\(overview.low.iso) to \(overview.high.iso), days in \(request.range.zone)",
            "Made \(request.asked.iso)",
        ]
        if let business = request.business { lines.append("Business configuration \(business.text)") }
        let document = try Document(title: "Switchboard: \(request.type.title)", lines: lines)
        if request.type.has(.overview) { write(overview, figures.volume, request.charts, document) }
        if let quality = figures.quality { write(quality, request.charts, document) }
        if let sentiment = figures.sentiment { write(sentiment, request.charts, document) }
        if let escalations = figures.escalations { write(escalations, request.charts, document) }
        if request.type.has(.calls) {
            document.heading("Calls")
            document.beginTable(callColumns)
        }
        return document
    }

    private static let callColumns: [Document.Column] = [
        .init("Started (UTC)", share: 1.7), .init("Direction", share: 0.9), .init("From", share: 1.4),
        .init("To", share: 1.4), .init("Status", share: 1.0), .init("Seconds", share: 0.8, isNumber: true),
        .init("Sentiment", share: 0.9), .init("QA", share: 0.6, isNumber: true), .init("Outcome", share: 1.2),
    ]

    static func add(_ rows: Rows, to document: Document) throws {
        for row in rows {
            let started = try row.decode(CallColumn.startedAt, as: Instant.self).iso
            let overall = try row.decode(CallColumn.overall, as: Double?.self)
            document.row([
                String(started.prefix(19)), try text(row, CallColumn.direction), try text(row, CallColumn.from),
                try text(row, CallColumn.to), try text(row, CallColumn.status), try text(row, CallColumn.duration),
                try text(row, CallColumn.moodLabel), overall.map { number($0) } ?? "",
                try text(row, CallColumn.outcome),
            ])
        }
    }

    private static func text(_ row: Row, _ column: Int) throws -> String {
        String(decoding: try row.decode(column, as: RawText.self).bytes, as: UTF8.self)
    }

    // MARK: Parts

    private static func write(_ overview: Overview, _ volume: CallVolume?, _ charts: Bool, _ document: Document) {
        document.heading("Overview")
        document.tiles([
            ("Calls", "\(overview.total)"), ("Active", "\(overview.active)"), ("Completed", "\(overview.completed)"),
            ("Failed", "\(overview.failed)"), ("Escalated", "\(overview.escalated)"),
            ("Escalation rate", "\(number(overview.escalationRate)) %"),
            ("Average QA score", number(overview.averageScore)),
            ("Average duration", "\(number(overview.averageDuration)) s"),
        ])
        if charts {
            document.shares("Sentiment", overview.sentiment.named.map { ($0.name, Double($0.count)) })
            document.shares("QA score", overview.bands.named.map { ("\($0.name) (\($0.range))", Double($0.count)) })
        } else {
            distribution("Sentiment", overview.sentiment.named.map { ($0.name, $0.count) }, document)
            distribution("QA score", overview.bands.named.map { ("\($0.name) (\($0.range))", $0.count) }, document)
        }
        guard let points = volume?.points else { return }
        if charts {
            document.bars(
                "Calls", periods: points.map(\.period),
                [
                    .init("inbound", points.map { Double($0.inbound) }),
                    .init("outbound", points.map { Double($0.outbound) }),
                ])
        }
        document.beginTable([
            .init("Period", share: 1.4), .init("Calls", isNumber: true), .init("Inbound", isNumber: true),
            .init("Outbound", isNumber: true), .init("Completed", isNumber: true), .init("Escalated", isNumber: true),
        ])
        for point in points {
            document.row([
                point.period, "\(point.total)", "\(point.inbound)", "\(point.outbound)", "\(point.completed)",
                "\(point.escalated)",
            ])
        }
        document.endTable()
    }

    private static func write(_ quality: Quality, _ charts: Bool, _ document: Document) {
        document.heading("Quality")
        document.tiles(quality.averages.map { ("Average \($0.name)", number($0.score)) })
        distribution("Score", quality.bands.named.map { ($0.range, $0.count) }, document)
        if charts {
            document.lines(
                "Average score", periods: quality.trends.map(\.period),
                [.init("average", quality.trends.map(\.average))], highest: 1)
        }
        document.beginTable([
            .init("Period", share: 1.4), .init("Scored calls", isNumber: true), .init("Average", isNumber: true),
        ])
        for point in quality.trends { document.row([point.period, "\(point.scored)", number(point.average)]) }
        document.endTable()
        document.beginTable([
            .init("Issue", share: 3), .init("Calls", isNumber: true), .init("% of scored calls", isNumber: true),
        ])
        for issue in quality.issues {
            document.row([
                issue.title, "\(issue.count)", number(percent(issue.count, of: quality.bands.total)),
            ])
        }
        document.endTable()
    }

    private static func write(_ sentiment: SentimentFigures, _ charts: Bool, _ document: Document) {
        document.heading("Sentiment")
        document.tiles([
            ("Average score (−1 … 1)", number(sentiment.average)),
            ("Correlation with QA", number(sentiment.againstScore)),
            ("Correlation with escalation", number(sentiment.againstEscalation)),
        ])
        distribution("Sentiment", sentiment.moods.named.map { ($0.name, $0.count) }, document)
        let periods = sentiment.trends.map(\.period)
        if charts {
            document.bars(
                "Calls by sentiment", periods: periods,
                [
                    .init("positive", sentiment.trends.map { Double($0.moods.positive) }),
                    .init("neutral", sentiment.trends.map { Double($0.moods.neutral) }),
                    .init("negative", sentiment.trends.map { Double($0.moods.negative) }),
                ])
        }
        document.beginTable([
            .init("Period", share: 1.4), .init("Positive", isNumber: true), .init("Neutral", isNumber: true),
            .init("Negative", isNumber: true), .init("Average", isNumber: true),
        ])
        for point in sentiment.trends {
            document.row([point.period] + point.moods.named.map { "\($0.count)" } + [number(point.average)])
        }
        document.endTable()
    }

    private static func write(_ escalations: EscalationFigures, _ charts: Bool, _ document: Document) {
        document.heading("Escalations")
        document.tiles([
            ("Escalations", "\(escalations.total)"), ("Escalation rate", "\(number(escalations.rate)) %"),
            ("Average resolution", "\(number(escalations.averageResolution)) s"),
        ])
        distribution("Trigger", escalations.triggers.map { ($0.item, $0.count) }, document)
        distribution("Status", escalations.statuses.map { ($0.name, $0.count) }, document)
        let periods = escalations.trends.map(\.period)
        if charts {
            document.lines(
                "Escalation rate, %", periods: periods, [.init("rate", escalations.trends.map(\.rate))])
        }
        document.beginTable([
            .init("Period", share: 1.4), .init("Escalations", isNumber: true), .init("Rate, %", isNumber: true),
        ])
        for point in escalations.trends { document.row([point.period, "\(point.escalations)", number(point.rate)]) }
        document.endTable()
    }

    private static func distribution(_ name: String, _ parts: [(String, Int64)], _ document: Document) {
        let whole = parts.reduce(0) { $0 + $1.1 }
        document.beginTable([.init(name, share: 2), .init("Count", isNumber: true), .init("%", isNumber: true)])
        for (label, count) in parts { document.row([label, "\(count)", number(percent(count, of: whole))]) }
        document.endTable()
    }

    /// With two decimals at most: people read it.
    static func number(_ value: Double) -> String {
        let hundredths = Int64((value * 100).rounded())
        let (whole, rest) = (abs(hundredths) / 100, abs(hundredths) % 100)
        let sign = hundredths < 0 ? "-" : ""
        if rest == 0 { return "\(sign)\(whole)" }
        return "\(sign)\(whole)." + (rest % 10 == 0 ? "\(rest / 10)" : rest < 10 ? "0\(rest)" : "\(rest)")
    }
}
