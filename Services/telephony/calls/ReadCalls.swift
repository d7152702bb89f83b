import HTTP
import Postgres
import Shared

/// The lists of document 003 §1: calls by every filter, one call with all that hangs on it, its transcript.
struct CallFilter: Sendable {
    enum Order: String, Sendable, CaseIterable {
        case startedAt = "started_at"
        case duration
        case qaScore = "qa_score"
    }
    enum Direction: String, Sendable, CaseIterable { case asc, desc }

    var tenancy: Tenancy
    var statuses: [Call.Status]?
    var direction: Call.Direction?
    var business: BusinessID?
    var from: Instant?
    var until: Instant?
    var search: String?
    var qaLeast: Double?
    var qaMost: Double?
    var sentiment: SentimentLabel?
    var order: Order = .startedAt
    var descending = true

    /// Reads the query of `GET /api/v1/calls`.
    init(_ form: inout Form, tenancy: Tenancy) {
        self.tenancy = tenancy
        statuses = form.choices("status", as: Call.Status.self)
        direction = form.optionalChoice("direction", as: Call.Direction.self)
        business = form.optionalID("business_id", as: BusinessID.self)
        from = form.optionalDateBound("from_date")?.firstInUTC
        until = form.optionalDateBound("to_date")?.endInUTC
        if let from, let until, from > until { form.fail("to_date", "must not be before from_date") }
        search = form.optionalString("search", max: 100)
        order = form.optionalChoice("sort_by", as: Order.self) ?? .startedAt
        descending = (form.optionalChoice("sort_order", as: Direction.self) ?? .desc) == .desc
        qaLeast = form.optionalDouble("min_qa_score", in: 0...1)
        qaMost = form.optionalDouble("max_qa_score", in: 0...1)
        sentiment = form.optionalChoice("sentiment", as: SentimentLabel.self)
    }
}

enum ReadCalls {
    struct Listed: Sendable {
        let calls: [Call]
        let next: Cursor?
    }

    /// Counting further than this costs more than anybody gains from it (contract: "`total` is exact up to 100,000").
    static let exactMax = 100_000

    static func page(
        _ filter: CallFilter, _ page: Page, in database: Database
    ) async throws -> Listed {
        let condition = conditions(filter)
        let seek = try page.cursor.map { try position(filter, $0) } ?? ""
        let rows = try await database.query(
            """
            SELECT \(fragment: CallStore.columns) FROM calls c
            WHERE \(fragment: condition) \(fragment: seek)
            ORDER BY \(fragment: ordering(filter)) LIMIT \(page.size + 1) OFFSET \(page.offset)
            """)
        var calls = try rows.map(Call.init)
        guard calls.count > page.size else { return Listed(calls: calls, next: nil) }
        calls.removeLast()
        let last = calls[calls.count - 1]
        return Listed(calls: calls, next: Cursor([value(of: last, in: filter.order), .string(last.id.text)]))
    }

    static func total(_ filter: CallFilter, in database: Database) async throws -> Total {
        let condition = conditions(filter)
        let row = try await database.queryOne(
            """
            SELECT count(*) AS n FROM (SELECT 1 FROM calls c WHERE \(fragment: condition) LIMIT \(exactMax + 1)) AS counted
            """)
        let count: Int = try row.map { try $0["n"] } ?? 0
        guard count > exactMax else { return .exact(count) }
        let plan = try await database.queryOne(
            "EXPLAIN (FORMAT JSON) SELECT 1 FROM calls c WHERE \(fragment: condition)")
        let json = try plan.map { try JSON.parse($0.decode(0, as: String.self)) }
        let guess = json?[0]?["Plan"]?["Plan Rows"]?.int ?? count
        return .estimate(max(count, guess))
    }

    // MARK: Pieces

    static func tenant(_ tenancy: Tenancy, _ column: Query) -> Query {
        guard let ids = tenancy.ids else { return "TRUE" }
        // One workspace is the rule, and equality lets the index give the order too.
        if ids.count == 1 { return "\(fragment: column) = \(ids[0])" }
        return "\(fragment: column) = ANY (\(ids))"
    }

    private static func conditions(_ filter: CallFilter) -> Query {
        var parts: [Query] = [tenant(filter.tenancy, "c.workspace_id")]
        if let statuses = filter.statuses {
            parts.append(
                statuses.count == 1
                    ? "c.status = \(statuses[0])" : "c.status = ANY (\(statuses.map(\.rawValue)))")
        }
        if let direction = filter.direction { parts.append("c.direction = \(direction)") }
        if let business = filter.business { parts.append("c.business_id = \(business)") }
        if let from = filter.from { parts.append("c.started_at >= \(from)") }
        if let until = filter.until { parts.append("c.started_at < \(until)") }
        if let least = filter.qaLeast {
            parts.append("c.qa_score IS NOT NULL AND coalesce(c.qa_score, -1) >= \(least)")
        }
        if let most = filter.qaMost {
            parts.append("c.qa_score IS NOT NULL AND coalesce(c.qa_score, -1) <= \(most)")
        }
        if let sentiment = filter.sentiment { parts.append("c.sentiment = \(sentiment)") }
        if let words = filter.search, !words.isEmpty { parts.append(search(words)) }
        return parts.dropFirst().reduce(parts[0]) { "\(fragment: $0) AND \(fragment: $1)" }
    }

    /// A call id, a carrier's id, or the first or last digits of a number; anything else finds nothing.
    private static func search(_ words: String) -> Query {
        if let id = CallID(words) { return "c.id = \(id)" }
        let digits = String(words.filter { $0.isASCII && $0.isNumber })
        let isNumber = words.allSatisfy { ($0.isASCII && $0.isNumber) || "+-() .".contains($0) }
        guard isNumber, digits.count >= 4 else { return "c.twilio_call_sid = \(words)" }
        let reversed = String(digits.reversed())
        let (end, reversedEnd) = (digits + ":", reversed + ":")  // ':' is the character after '9'
        return """
            (ltrim(c.from_number, '+') ~>=~ \(digits) AND ltrim(c.from_number, '+') ~<~ \(end)
             OR ltrim(c.to_number, '+') ~>=~ \(digits) AND ltrim(c.to_number, '+') ~<~ \(end)
             OR reverse(c.from_number) ~>=~ \(reversed) AND reverse(c.from_number) ~<~ \(reversedEnd)
             OR reverse(c.to_number) ~>=~ \(reversed) AND reverse(c.to_number) ~<~ \(reversedEnd))
            """
    }

    private static func ordering(_ filter: CallFilter) -> Query {
        switch (filter.order, filter.descending) {
        case (.startedAt, true): "c.started_at DESC, c.id DESC"
        case (.startedAt, false): "c.started_at, c.id"
        case (.duration, true): "coalesce(c.duration_seconds, -1) DESC, c.id DESC"
        case (.duration, false): "coalesce(c.duration_seconds, -1), c.id"
        case (.qaScore, true): "coalesce(c.qa_score, -1) DESC, c.id DESC"
        case (.qaScore, false): "coalesce(c.qa_score, -1), c.id"
        }
    }

    private static func value(of call: Call, in order: CallFilter.Order) -> JSON {
        switch order {
        case .startedAt: .int(call.startedAt.microseconds)
        case .duration: .int(call.durationSeconds ?? -1)
        case .qaScore: .double(call.qaScore ?? -1)
        }
    }

    private static func position(_ filter: CallFilter, _ cursor: Cursor) throws -> Query {
        let bad = Problem.validation("cursor", "belongs to another list or order")
        guard cursor.values.count == 2, let id = cursor.values[1].string.flatMap({ CallID($0) }) else { throw bad }
        let (column, bound): (Query, Query)
        switch filter.order {
        case .startedAt:
            guard let value = cursor.values[0].int64 else { throw bad }
            (column, bound) = ("c.started_at", "\(Instant(microseconds: value))")
        case .duration:
            guard let value = cursor.values[0].int64 else { throw bad }
            (column, bound) = ("coalesce(c.duration_seconds, -1)", "\(value)")
        case .qaScore:
            guard let value = cursor.values[0].double else { throw bad }
            (column, bound) = ("coalesce(c.qa_score, -1)", "\(value)")
        }
        return filter.descending
            ? "AND (\(fragment: column), c.id) < (\(fragment: bound), \(id))"
            : "AND (\(fragment: column), c.id) > (\(fragment: bound), \(id))"
    }
}

// MARK: - Transcript and notes

extension ReadCalls {
    struct Line: Sendable {
        let interaction: InteractionSnapshot
        /// −1…1; nil until it has been scored.
        let sentiment: Double?
    }

    static func transcript(
        of call: CallID, speaker: Speaker?, limit: Int, offset: Int, in database: Database
    ) async throws -> (lines: [Line], total: Int) {
        let only: Query = speaker.map { "AND i.speaker = \($0)" } ?? ""
        let rows = try await database.query(
            """
            SELECT \(fragment: TranscriptStore.columns) FROM interactions i
            WHERE i.call_id = \(call) \(fragment: only) ORDER BY i.sequence LIMIT \(limit) OFFSET \(offset)
            """)
        let count = try await database.queryOne(
            "SELECT count(*) AS n FROM interactions i WHERE i.call_id = \(call) \(fragment: only)")
        let lines = try rows.map {
            Line(interaction: try InteractionSnapshot($0), sentiment: try $0["sentiment_score"])
        }
        return (lines, try count.map { try $0["n"] } ?? 0)
    }

    static func countInteractions(of call: CallID, in database: Database) async throws -> Int {
        let row = try await database.queryOne("SELECT last_sequence AS n FROM calls WHERE id = \(call)")
        return try row.map { try $0["n"] } ?? 0
    }

    static func notes(of call: CallID, limit: Int, offset: Int, in database: Database) async throws -> ([Note], Int) {
        let rows = try await database.query(
            """
            SELECT id, call_id, author_id, note, tags, category, created_at FROM notes
            WHERE call_id = \(call) ORDER BY id LIMIT \(limit) OFFSET \(offset)
            """)
        let count = try await database.queryOne("SELECT count(*) AS n FROM notes WHERE call_id = \(call)")
        return (try rows.map(Note.init), try count.map { try $0["n"] } ?? 0)
    }
}

struct Note: Sendable, JSONWritable {
    let id: Int64
    let call: CallID
    let author: UserID?
    let text: String
    let tags: [String]
    let category: String?
    let createdAt: Instant

    init(_ row: Row) throws {
        id = try row["id"]
        call = try row["call_id"]
        author = try row["author_id"]
        text = try row["note"]
        tags = try row["tags"]
        category = try row["category"]
        createdAt = try row["created_at"]
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("call_id", call)
            json.field("author_id", ifPresent: author)
            json.field("note", text)
            json.field("tags", tags)
            json.field("category", ifPresent: category)
            json.field("created_at", createdAt)
        }
    }
}
