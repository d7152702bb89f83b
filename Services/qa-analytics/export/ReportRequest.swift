import Shared

enum ReportFormat: String, CaseIterable, Sendable {
    case csv, pdf

    var mediaType: String { self == .csv ? "text/csv; charset=utf-8; header=present" : "application/pdf" }
}

/// Document 003 §3.6.
enum ReportType: String, CaseIterable, Sendable {
    case overview, calls, qa, sentiment, escalations, full

    func has(_ part: ReportType) -> Bool { self == part || self == .full }

    var title: String {
        switch self {
        case .overview: "Overview"
        case .calls: "Calls"
        case .qa: "Quality"
        case .sentiment: "Sentiment"
        case .escalations: "Escalations"
        case .full: "Full report"
        }
    }
}

/// What somebody wants to have as a file.
struct ReportRequest: Sendable, Equatable {
    var format: ReportFormat
    var type: ReportType
    var range: AnalyticsRange
    var business: BusinessID?
    var charts: Bool
    /// When it was asked for.
    var asked: Instant

    /// - Throws: nothing; complaints are the form's.
    static func read(_ form: inout Form, now: Instant = .now()) -> ReportRequest {
        let format = form.choice("format", as: ReportFormat.self)
        let type = form.choice("report_type", as: ReportType.self)
        let business = form.optionalID("business_id", as: BusinessID.self)
        let charts = form.optionalBool("include_charts") ?? true
        let range = AnalyticsRange.read(&form, now: now)
        return ReportRequest(
            format: format, type: type, range: range, business: business, charts: charts, asked: now)
    }

    var fileName: String { "switchboard-\(type.rawValue)-\(asked.day).\(format.rawValue)" }

    // MARK: Kept with a job

    var json: JSON {
        var object: JSONObject = [
            "format": .string(format.rawValue), "report_type": .string(type.rawValue),
            "to_date": .string(Self.text(range.to)), "timezone": .string(range.zone), "include_charts": .bool(charts),
            "asked": .string(asked.iso),
        ]
        object["from_date"] = range.from.map { .string(Self.text($0)) }
        object["business_id"] = business.map { .string($0.text) }
        return .object(object)
    }

    /// nil when it was kept by a newer program that knows more kinds.
    init?(json: JSON) {
        guard let object = json.object else { return nil }
        var form = Form(object)
        let asked = form.instant("asked")
        self = ReportRequest.read(&form, now: asked)
        if form.hasFailed { return nil }
    }

    init(
        format: ReportFormat, type: ReportType, range: AnalyticsRange, business: BusinessID? = nil, charts: Bool = true,
        asked: Instant = .now()
    ) {
        self.format = format
        self.type = type
        self.range = range
        self.business = business
        self.charts = charts
        self.asked = asked
    }

    static func text(_ bound: DateBound) -> String {
        switch bound {
        case .day(let day): day
        case .instant(let instant): instant.iso
        }
    }
}
