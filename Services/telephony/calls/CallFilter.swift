import Shared

/// Which calls `GET /api/v1/calls` is asked for (document 003 §1.1), and in what order.
struct CallFilter: Sendable {
    enum Order: String, Sendable, CaseIterable {
        case startedAt = "started_at"
        case duration
        case qaScore = "qa_score"
    }
    enum Direction: String, Sendable, CaseIterable { case asc, desc }

    enum Search: Sendable {
        case id(CallID)
        case sid(String)
        /// The first or the last digits of either number; of a phone number only, not of a client's or a SIP address.
        case digits(String)

        /// Anything that is neither an id nor at least four digits can only be a carrier's id.
        init(_ words: String) {
            if let id = CallID(words) {
                self = .id(id)
                return
            }
            let digits = String(words.filter { $0.isASCII && $0.isNumber })
            let isNumber = words.allSatisfy { ($0.isASCII && $0.isNumber) || "+-() .".contains($0) }
            self = isNumber && digits.count >= 4 ? .digits(digits) : .sid(words)
        }
    }

    let tenancy: Tenancy
    var kinds = CallKind.all
    var business: BusinessID?
    var from: Instant?
    var until: Instant?
    var search: Search?
    var qaLeast: Double?
    var qaMost: Double?
    var order: Order = .startedAt
    var descending = true

    init(tenancy: Tenancy) { self.tenancy = tenancy }

    /// Reads the query of `GET /api/v1/calls`.
    init(_ form: inout Form, tenancy: Tenancy) {
        self.tenancy = tenancy
        kinds = CallKind.among(
            form.choices("status", as: CallStatus.self), form.optionalChoice("direction", as: CallDirection.self),
            form.optionalChoice("sentiment", as: SentimentLabel.self))
        business = form.optionalID("business_id", as: BusinessID.self)
        let dates = form.dateRange()
        (from, until) = (dates.from?.firstInUTC, dates.to?.endInUTC)
        if let words = form.optionalString("search", max: 100), !words.isEmpty { search = Search(words) }
        order = form.optionalChoice("sort_by", as: Order.self) ?? .startedAt
        descending = (form.optionalChoice("sort_order", as: Direction.self) ?? .desc) == .desc
        qaLeast = form.optionalDouble("min_qa_score", in: 0...1)
        qaMost = form.optionalDouble("max_qa_score", in: 0...1)
        if let qaLeast, let qaMost, qaMost < qaLeast { form.fail("max_qa_score", "must not be below min_qa_score") }
    }

    /// Of calls that are going on, and of those that are over.
    var liveKinds: [Int] { kinds.filter { !CallKind.isOver($0) } }
    var overKinds: [Int] { kinds.filter(CallKind.isOver) }

    var isByScore: Bool { qaLeast != nil || qaMost != nil }
    var isByDate: Bool { from != nil || until != nil }

    /// Whether the index of the order holds exactly what is asked for, one kind after the other.
    var isInOrder: Bool {
        guard search == nil else { return false }
        return switch order {
        case .startedAt: !isByScore
        case .duration: !isByScore && !isByDate && business == nil
        case .qaScore: !isByDate && business == nil
        }
    }

    /// Whether `call_counts` knows how many there are. There the nil business stands for any.
    var isCounted: Bool { search == nil && !isByScore && business != BusinessID(high: 0, low: 0) }
}

/// Status, direction and mood of a call as one small number: the column `kind` of migration 10.
enum CallKind {
    static let all = among(nil, nil, nil)
    /// Whether a call of this kind is over.
    static func isOver(_ kind: Int) -> Bool { kind >= 8 * 4 }

    private static let statuses: [CallStatus] = [.initiated, .ringing, .inProgress, .escalated, .completed, .failed]
    private static let directions: [CallDirection] = [.inbound, .outbound]
    private static let moods: [SentimentLabel?] = [nil, .negative, .neutral, .positive]

    /// nil stands for any.
    static func among(_ wanted: [CallStatus]?, _ direction: CallDirection?, _ mood: SentimentLabel?) -> [Int] {
        statuses.indices.filter { wanted?.contains(statuses[$0]) ?? true }.flatMap { status in
            directions.indices.filter { direction == nil || direction == directions[$0] }.flatMap { direction in
                moods.indices.filter { mood == nil || mood == moods[$0] }.map { 8 * status + 4 * direction + $0 }
            }
        }
    }
}
