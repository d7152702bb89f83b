import HTTP
import Postgres
import Shared

/// `GET /api/v1/analytics/…`: what the five figures have in common is how they are asked for.
struct Analytics: Sendable {
    let zones: Zones
    private let database: Database

    init(_ database: Database) {
        self.database = database
        zones = Zones(database)
    }

    func overview(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let (range, scope) = try await read(&form, request)
        try form.finish()
        return .json(200, try await Overview.read(range, scope, database))
    }

    func callVolume(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let direction = form.optionalChoice("direction", as: CallDirection.self)
        let interval = form.optionalChoice("interval", as: Interval.self) ?? .day
        let (range, scope) = try await read(&form, request, required: true)
        range.check(interval, &form)
        try form.finish()
        return .json(200, try await CallVolume.read(range, by: interval, direction, scope, database))
    }

    func quality(_ request: Request) async throws -> Response {
        let (range, interval, scope) = try await readSeries(request)
        return .json(200, try await Quality.read(range, by: interval, scope, database))
    }

    func sentiment(_ request: Request) async throws -> Response {
        let (range, interval, scope) = try await readSeries(request)
        return .json(200, try await SentimentFigures.read(range, by: interval, scope, database))
    }

    func escalations(_ request: Request) async throws -> Response {
        let (range, interval, scope) = try await readSeries(request)
        return .json(200, try await EscalationFigures.read(range, by: interval, scope, database))
    }

    private func readSeries(_ request: Request) async throws -> (AnalyticsRange, Interval, AnalyticsScope) {
        var form = request.queryForm
        let interval = form.optionalChoice("interval", as: Interval.self)
        let (range, scope) = try await read(&form, request)
        range.check(interval ?? .fitting(range), &form)
        try form.finish()
        return (range, interval ?? .fitting(range), scope)
    }

    private func read(
        _ form: inout Form, _ request: Request, required: Bool = false
    ) async throws -> (AnalyticsRange, AnalyticsScope) {
        let range = AnalyticsRange.read(&form, required: required)
        let business = form.optionalID("business_id", as: BusinessID.self)
        if !form.hasFailed { try await zones.check(range.zone, &form) }
        let tenancy = try request.requirePrincipal().tenancy(for: .readAnalytics)
        return (range, AnalyticsScope(tenancy: tenancy, business: business))
    }
}

// MARK: How they are asked for, for the API's description

extension Analytics {
    static let about = """
        Every call counts in the period in which it started. A date without time means the whole day of `timezone`; \
        `to_date` is inclusive as a day and exclusive as an instant. Figures follow the events of calls, scores and \
        escalations within a second. Percentages are 0 … 100; a mean or a rate of nothing is 0. A business \
        configuration of another workspace has no calls.
        """

    static let fitting = "day; week over more than 93 days, month over more than 732"

    static let range: [Parameter] = [
        .query("from_date", .string, "A day or an instant; default: 7 days before the end, thus 7 days ago."),
        .query("to_date", .string, "A day (inclusive) or an instant (exclusive); default: now."),
        business, timezone,
    ]

    static let requiredRange: [Parameter] = [
        .query("from_date", .string, "A day or an instant.", required: true),
        .query("to_date", .string, "A day (inclusive) or an instant (exclusive).", required: true),
        business, timezone,
    ]

    static let direction: Parameter = .query(
        "direction", .choice(CallDirection.self), "Only these calls; the other direction then counts 0.")

    static func interval(_ fallback: String) -> Parameter {
        .query(
            "interval", .choice(Interval.self),
            "How wide the periods are; default: \(fallback). At most \(AnalyticsRange.periodsMax) periods.")
    }

    private static let business: Parameter = .query(
        "business_id", .uuid, "Only calls of this business configuration.")
    private static let timezone: Parameter = .query(
        "timezone", .string, "IANA name, such as Europe/Berlin: where days begin; default: UTC.")
}
