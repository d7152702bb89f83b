import Postgres
import Shared

/// The figures a report is made of. What its type does not show is not read.
struct ReportFigures: Sendable {
    /// Always: its total says how long a list of calls is, and its bounds what the range is.
    var overview: Overview
    var volume: CallVolume?
    var quality: Quality?
    var sentiment: SentimentFigures?
    var escalations: EscalationFigures?

    static func read(
        _ request: ReportRequest, _ scope: AnalyticsScope, _ database: Database
    ) async throws -> ReportFigures {
        let (range, type) = (request.range, request.type)
        let interval = Interval.fitting(range)
        var figures = ReportFigures(overview: try await Overview.read(range, scope, database))
        if type.has(.overview) {
            figures.volume = try await CallVolume.read(range, by: interval, nil, scope, database)
        }
        if type.has(.qa) { figures.quality = try await Quality.read(range, by: interval, scope, database) }
        if type.has(.sentiment) {
            figures.sentiment = try await SentimentFigures.read(range, by: interval, scope, database)
        }
        if type.has(.escalations) {
            figures.escalations = try await EscalationFigures.read(range, by: interval, scope, database)
        }
        return figures
    }
}

/// The calls of a report, page by page: by workspace, and in each by when they started. Pages are found by where the last
/// one ended, so the last costs what the first does.
struct CallPages: Sendable {
    private let low: Instant
    private let high: Instant
    private let business: BusinessID?
    private var workspaces: [WorkspaceID?]
    private var after: (at: Instant, id: CallID)?
    private let database: Database

    /// - Parameter low: first instant, inclusive. - Parameter high: end, exclusive.
    init(_ scope: AnalyticsScope, from low: Instant, to high: Instant, _ database: Database) {
        self.low = low
        self.high = high
        business = scope.business
        // One at a time, because an index has the order of time only within one.
        workspaces = scope.tenancy.ids.map { $0.map(Optional.some) } ?? [nil]
        self.database = database
    }

    /// The next page, nil after the last.
    mutating func next(max: Int) async throws -> Rows? {
        while let workspace = workspaces.first {
            let rows = try await page(workspace, max)
            if rows.count < max {
                workspaces.removeFirst()
                after = nil
            } else if let last = rows.last {
                after = (
                    try last.decode(CallColumn.startedAt, as: Instant.self),
                    try last.decode(CallColumn.id, as: CallID.self)
                )
            }
            if !rows.isEmpty { return rows }
        }
        return nil
    }

    private func page(_ workspace: WorkspaceID?, _ max: Int) async throws -> Rows {
        var conditions: Query = "AND c.started_at >= \(low)"
        if let after { conditions = "AND (c.started_at, c.call_id) > (\(after.at)::timestamptz, \(after.id)::uuid)" }
        if let workspace { conditions = "\(fragment: conditions) AND c.workspace_id = \(workspace)" }
        if let business { conditions = "\(fragment: conditions) AND c.business_id = \(business)" }
        return try await database.query(
            """
            SELECT call_id, started_at, ended_at, direction, status, outcome, from_number, to_number, duration_seconds,
                business_id, agent_id, twilio_call_sid, failure_reason, escalated, mood_label, mood, overall, sentiment,
                compliance, accuracy, professionalism, array_to_string(issues, ' ') AS issues, workspace_id
            FROM calls c WHERE c.started_at < \(high) \(fragment: conditions)
            ORDER BY c.started_at, c.call_id LIMIT \(max)
            """)
    }
}

/// Where the columns of a page of calls are.
enum CallColumn {
    static let id = 0
    static let startedAt = 1
    static let endedAt = 2
    static let direction = 3
    static let status = 4
    static let outcome = 5
    static let from = 6
    static let to = 7
    static let duration = 8
    static let moodLabel = 14
    static let overall = 16

    /// As a CSV names them, in order.
    static let names = [
        "call_id", "started_at", "ended_at", "direction", "status", "outcome", "from_number", "to_number",
        "duration_seconds", "business_id", "agent_id", "twilio_call_sid", "failure_reason", "escalated",
        "sentiment_label", "sentiment_score", "qa_overall", "qa_sentiment", "qa_compliance", "qa_accuracy",
        "qa_professionalism", "issues", "workspace_id",
    ]

    /// Columns whose text is ours alone: nobody outside can make one begin like a formula.
    static let plain: Set<Int> = [0, 3, 4, 5, 8, 9, 10, 13, 14, 15, 16, 17, 18, 19, 20, 22]
    static let instants: Set<Int> = [startedAt, endedAt]
    static let truths: Set<Int> = [13]
}

/// A column's text as the server sent it.
struct RawText: PostgresValue {
    static var postgresType: PostgresType { .text }
    let bytes: [UInt8]

    func write(to text: inout PostgresText) { text.append(bytes) }

    init(postgres cell: Cell) throws(UnreadableCell) { bytes = cell.isNull ? [] : Array(try cell.utf8()) }
}
