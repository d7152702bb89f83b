import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

/// Things that happen to calls, at random: told by events that come late, twice and out of order, corrected by people,
/// and erased.
struct History {
    private let database: Database
    private let place: RollupTests.Place
    private let middle: Instant
    private var random: SplitMix64
    private let workspaces = [WorkspaceID(), WorkspaceID()]
    private let businesses: [BusinessID?] = [nil, BusinessID(), BusinessID()]
    private let scoring: ScoreCalls
    private var calls: [CallSnapshot] = []
    /// Events that have not arrived yet, or will arrive again.
    private var underway: [CallEvent] = []
    private var escalations: [(call: CallRef, escalation: EscalationSnapshot)] = []
    private var nextID: Int64 = 0

    init(_ place: RollupTests.Place, seed: UInt64, _ database: Database) throws {
        self.database = database
        self.place = place
        middle = try #require(Instant(iso: place.middle))
        random = SplitMix64(seed: seed &* 7919)
        let words = "great\t3.1\nbad\t-2.5\nawful\t-2.9\nfine\t0.8\nthanks\t1.9\n"
        scoring = ScoreCalls(sentiment: Sentiment(lexicon: try Lexicon(text: Array(words.utf8))))
    }

    mutating func step() async throws {
        switch Int.random(in: 0..<100, using: &random) {
        case ..<22: begin()
        case ..<40: try await speak()
        case ..<58: change()
        case ..<68: escalate()
        case ..<90: try await deliver()
        case ..<95: try await review()
        case ..<98: try await eraseOne()
        case 98: try await eraseBusiness()
        default: try await eraseWorkspace()
        }
        // What is on its way arrives in any order, and some of it again.
        while underway.count > 6 { try await deliver() }
    }

    mutating func question() -> Question {
        let tenancies: [Tenancy] = [.all, .only(workspaces), .only([workspaces[0]]), .only([WorkspaceID()])]
        let interval = Interval.allCases.randomElement(using: &random) ?? .day
        // Where the clock moves by half an hour, hours are counted from the day's beginning: days only.
        let isOdd = place.zone == "Australia/Lord_Howe"
        return Question(
            range: AnalyticsRange(from: bound(first: true), to: bound(first: false), zone: place.zone),
            scope: AnalyticsScope(
                tenancy: tenancies.randomElement(using: &random) ?? .all,
                business: businesses.randomElement(using: &random) ?? nil),
            interval: isOdd && interval == .hour ? .day : interval,
            direction: [nil, .inbound, .outbound].randomElement(using: &random) ?? nil)
    }

    private mutating func bound(first: Bool) -> DateBound {
        let seconds = Int.random(in: 0...(5 * 86_400), using: &random)
        let instant = middle + .seconds(first ? -seconds : seconds)
        if Bool.random(using: &random) { return .day(instant.day) }
        // Some on the hour, where an off-by-one would show.
        if Bool.random(using: &random) { return .instant(Instant(seconds: instant.seconds / 3600 * 3600)) }
        return .instant(instant + .microseconds(Int64.random(in: 0..<1_000_000, using: &random)))
    }

    // MARK: What happens

    private mutating func begin() {
        let spread = Int.random(in: -(4 * 86_400)...(4 * 86_400), using: &random)
        var at = middle + .seconds(spread)
        // Some exactly where periods meet.
        if Int.random(in: 0..<4, using: &random) == 0 { at = Instant(seconds: at.seconds / 1800 * 1800) }
        let call = CallSnapshot(
            id: CallID(), workspaceID: workspaces.randomElement(using: &random) ?? workspaces[0], version: 1,
            direction: Bool.random(using: &random) ? .inbound : .outbound, status: .initiated,
            fromNumber: "+14155550101", toNumber: "+14155550100",
            businessID: businesses.randomElement(using: &random) ?? nil, startedAt: at, createdAt: at, updatedAt: at)
        calls.append(call)
        send(.started(call))
    }

    private mutating func change() {
        guard let place = calls.indices.randomElement(using: &random) else { return }
        calls[place].version += 1
        switch Int.random(in: 0..<6, using: &random) {
        case 0: calls[place].status = .inProgress
        case 1:
            calls[place].status = .failed
            calls[place].failureReason = "busy"
            calls[place].durationSeconds = 0
        case 2:
            // A correction: it began at another time, for another business.
            calls[place].startedAt += .seconds(Int.random(in: -90_000...90_000, using: &random))
            calls[place].businessID = businesses.randomElement(using: &random) ?? nil
        case 3: calls[place].outcome = CallOutcome.allCases.randomElement(using: &random)
        default:
            calls[place].status = .completed
            calls[place].durationSeconds = Int.random(in: 0...900, using: &random)
        }
        let call = calls[place]
        send(call.status.isTerminal ? .ended(call) : .updated(call))
    }

    private mutating func escalate() {
        if Bool.random(using: &random), let place = escalations.indices.randomElement(using: &random) {
            let call = escalations[place].call
            var escalation = escalations[place].escalation
            guard escalation.status.isOpen else { return }
            escalation.status = [.inProgress, .completed, .cancelled].randomElement(using: &random) ?? .completed
            if !escalation.status.isOpen {
                escalation.completedAt =
                    escalation.requestedAt + .microseconds(Int64.random(in: 0...900_000_000, using: &random))
            }
            escalations[place].escalation = escalation
            send(
                escalation.status == .completed
                    ? .escalationCompleted(call, escalation) : .escalationUpdated(call, escalation))
            return
        }
        // Sometimes of a call nobody has heard of yet.
        guard let call = calls.randomElement(using: &random) else { return }
        nextID += 1
        let kinds = ["keyword", "sentiment", "request", "manual"]
        let escalation = EscalationSnapshot(
            id: nextID, callID: call.id, status: .pending,
            triggerType: kinds.randomElement(using: &random) ?? "manual", requestedAt: call.startedAt)
        escalations.append((call.ref, escalation))
        send(.escalationTriggered(call.ref, escalation))
    }

    private mutating func speak() async throws {
        guard let call = calls.randomElement(using: &random) else { return }
        nextID += 1
        let texts = ["This is great, thanks", "This is bad", "awful, stop calling", "fine", "tell me your password"]
        let said = InteractionSnapshot(
            id: nextID, callID: call.id, speaker: Bool.random(using: &random) ? .customer : .ai,
            text: texts.randomElement(using: &random) ?? "fine", timestamp: call.startedAt, sequence: Int(nextID))
        send(.interactionAdded(call.ref, said))
    }

    private mutating func send(_ event: CallEvent) {
        underway.append(event)
        if Int.random(in: 0..<5, using: &random) == 0 { underway.append(event) }
    }

    private mutating func deliver() async throws {
        guard let place = underway.indices.randomElement(using: &random) else { return }
        let event = underway.remove(at: place)
        let scoring = scoring
        try await database.transaction { (tx: borrowing Transaction) in try await scoring.onCall(event, tx) }
    }

    /// A person corrects a score, in parts or as a whole.
    private mutating func review() async throws {
        guard let call = calls.randomElement(using: &random) else { return }
        var review = Review()
        if Bool.random(using: &random) { review.overall = Double.random(in: 0...1, using: &random) }
        if Bool.random(using: &random) { review.sentiment = Double.random(in: 0...1, using: &random) }
        if Bool.random(using: &random) { review.label = SentimentLabel.allCases.randomElement(using: &random) }
        review.accuracy = Double.random(in: 0...1, using: &random)
        if Bool.random(using: &random) { review.complianceIssues = ["Spoke of Mr Smith.", "And of Mrs Smith."] }
        let (id, said) = (call.id, review)
        try await database.transaction { (tx: borrowing Transaction) in
            guard try await ScoreStore.lock(id, tx) != nil, let before = try await ScoreStore.find(id, tx) else {
                return
            }
            var score = said.applied(to: before, by: UserID(), named: "a person")
            try await ScoreStore.save(&score, after: before, tx)
        }
    }

    private mutating func eraseOne() async throws {
        guard let call = calls.randomElement(using: &random) else { return }
        try await database.transaction { (tx: borrowing Transaction) in try await ScoreStore.erase(call.id, tx) }
    }

    private mutating func eraseBusiness() async throws {
        guard let business = businesses[1], let workspace = workspaces.randomElement(using: &random) else { return }
        try await database.transaction { (tx: borrowing Transaction) in
            try await ScoreStore.erase(business, in: workspace, tx)
        }
    }

    private mutating func eraseWorkspace() async throws {
        let workspace = workspaces[1]
        try await database.transaction { (tx: borrowing Transaction) in try await ScoreStore.erase(workspace, tx) }
    }
}
