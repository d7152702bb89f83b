import Postgres
import Shared

/// Reports as CSV. Figures are one a line, under `report,section,item,metric,value`; a list of calls has a column for
/// each thing known of a call. A full report has both: figures first, then the calls, each line with all columns.
enum CSVReport {
    private static let figureNames = ["report", "section", "item", "metric", "value"]

    /// The header row and all figures.
    static func beginning(_ request: ReportRequest, _ figures: ReportFigures) -> [UInt8] {
        var csv = CSVText(capacity: 8192)
        let names: [String] =
            switch request.type {
            case .calls: CallColumn.names
            case .full: figureNames + CallColumn.names
            default: figureNames
            }
        for name in names { csv.plain(name) }
        csv.endLine()
        let width = names.count
        if request.type.has(.overview) { overview(figures.overview, figures.volume, width, &csv) }
        if let quality = figures.quality { write(quality, width, &csv) }
        if let sentiment = figures.sentiment { write(sentiment, width, &csv) }
        if let escalations = figures.escalations { write(escalations, width, &csv) }
        return csv.bytes
    }

    static func lines(_ rows: Rows, _ type: ReportType) throws -> [UInt8] {
        var csv = CSVText(capacity: rows.count * 360)
        for row in rows {
            if type == .full {
                csv.plain("calls")
                for _ in 1..<figureNames.count { csv.empty() }
            }
            for column in CallColumn.names.indices { try write(row, column, &csv) }
            csv.endLine()
        }
        return csv.bytes
    }

    private static func write(_ row: Row, _ column: Int, _ csv: inout CSVText) throws {
        if CallColumn.instants.contains(column) {
            csv.plain(try row.decode(column, as: Instant?.self)?.iso ?? "")
            return
        }
        if CallColumn.truths.contains(column) {
            csv.plain(try row.decode(column, as: Bool.self) ? "true" : "false")
            return
        }
        let raw = try row.decode(column, as: RawText.self)
        raw.bytes.withUnsafeBufferPointer { bytes in
            if CallColumn.plain.contains(column) { csv.plain(bytes) } else { csv.cell(bytes) }
        }
    }

    // MARK: Figures

    private static func line(
        _ report: String, _ section: String, _ item: String, _ metric: String, _ value: Double, _ width: Int,
        _ csv: inout CSVText
    ) {
        csv.plain(report)
        csv.plain(section)
        csv.text(item)
        csv.plain(metric)
        csv.number(value)
        for _ in figureNames.count..<max(width, figureNames.count) { csv.empty() }
        csv.endLine()
    }

    private static func overview(_ figures: Overview, _ volume: CallVolume?, _ width: Int, _ csv: inout CSVText) {
        func put(_ section: String, _ item: String, _ metric: String, _ value: Double) {
            line("overview", section, item, metric, value, width, &csv)
        }
        put("totals", "", "total_calls", Double(figures.total))
        put("totals", "", "active_calls", Double(figures.active))
        put("totals", "", "completed_calls", Double(figures.completed))
        put("totals", "", "failed_calls", Double(figures.failed))
        put("totals", "", "escalated_calls", Double(figures.escalated))
        put("totals", "", "average_qa_score", figures.averageScore)
        put("totals", "", "average_call_duration", figures.averageDuration)
        put("totals", "", "escalation_rate", figures.escalationRate)
        for mood in figures.sentiment.named { put("sentiment_distribution", mood.name, "count", Double(mood.count)) }
        for band in figures.bands.named { put("qa_score_distribution", band.name, "count", Double(band.count)) }
        for point in volume?.points ?? [] {
            put("call_volume", point.period, "total_calls", Double(point.total))
            put("call_volume", point.period, "inbound_calls", Double(point.inbound))
            put("call_volume", point.period, "outbound_calls", Double(point.outbound))
            put("call_volume", point.period, "completed_calls", Double(point.completed))
            put("call_volume", point.period, "escalated_calls", Double(point.escalated))
        }
    }

    private static func write(_ quality: Quality, _ width: Int, _ csv: inout CSVText) {
        func put(_ section: String, _ item: String, _ metric: String, _ value: Double) {
            line("qa", section, item, metric, value, width, &csv)
        }
        for average in quality.averages { put("average_scores", average.name, "score", average.score) }
        for band in quality.bands.named {
            put("score_distribution", band.range, "count", Double(band.count))
            put("score_distribution", band.range, "percentage", percent(band.count, of: quality.bands.total))
        }
        for point in quality.trends { put("trends", point.period, "average_score", point.average) }
        for issue in quality.issues {
            put("top_issues", issue.title, "count", Double(issue.count))
            put("top_issues", issue.title, "percentage", percent(issue.count, of: quality.bands.total))
        }
    }

    private static func write(_ sentiment: SentimentFigures, _ width: Int, _ csv: inout CSVText) {
        func put(_ section: String, _ item: String, _ metric: String, _ value: Double) {
            line("sentiment", section, item, metric, value, width, &csv)
        }
        for mood in sentiment.moods.named { put("distribution", mood.name, "count", Double(mood.count)) }
        put("totals", "", "average_sentiment_score", sentiment.average)
        put("correlation", "", "sentiment_vs_qa", sentiment.againstScore)
        put("correlation", "", "sentiment_vs_escalation", sentiment.againstEscalation)
        for point in sentiment.trends {
            for mood in point.moods.named { put("trends", point.period, mood.name, Double(mood.count)) }
            put("trends", point.period, "average_score", point.average)
        }
    }

    private static func write(_ escalations: EscalationFigures, _ width: Int, _ csv: inout CSVText) {
        func put(_ section: String, _ item: String, _ metric: String, _ value: Double) {
            line("escalations", section, item, metric, value, width, &csv)
        }
        put("totals", "", "total_escalations", Double(escalations.total))
        put("totals", "", "escalation_rate", escalations.rate)
        put("totals", "", "average_resolution_time", escalations.averageResolution)
        for trigger in escalations.triggers {
            put("by_trigger_type", trigger.item, "count", Double(trigger.count))
            put("by_trigger_type", trigger.item, "percentage", percent(trigger.count, of: escalations.total))
        }
        for status in escalations.statuses { put("by_status", status.name, "count", Double(status.count)) }
        for point in escalations.trends {
            put("trends", point.period, "escalation_count", Double(point.escalations))
            put("trends", point.period, "escalation_rate", point.rate)
        }
    }
}
