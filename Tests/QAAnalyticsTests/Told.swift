import Messaging
import Postgres
import Shared
import Testing

@testable import QAAnalytics

/// A call as telephony tells of it, event by event.
struct Told: Sendable {
    var call: CallSnapshot
    private let scoring: ScoreCalls
    private let database: Database
    private var said = 0

    /// Begins a call.
    init(
        _ database: Database, in workspace: WorkspaceID, business: BusinessID? = nil, judgeAfter: Duration? = nil
    ) async throws {
        self.database = database
        let words = "great\t3.1\nbad\t-2.5\nawful\t-2.9\nthanks\t1.9\n"
        scoring = ScoreCalls(
            sentiment: Sentiment(lexicon: try Lexicon(text: Array(words.utf8))), judgeAfter: judgeAfter)
        let now = Instant.now()
        call = CallSnapshot(
            id: CallID(), workspaceID: workspace, direction: .inbound, status: .inProgress, fromNumber: "+14155550101",
            toNumber: "+14155550100", businessID: business, startedAt: now, createdAt: now, updatedAt: now)
        try await tell(.started(call))
    }

    func tell(_ event: CallEvent) async throws {
        let scoring = scoring
        try await database.transaction { (tx: borrowing Transaction) in try await scoring.onCall(event, tx) }
    }

    /// Lines of `AI: …` and `Customer: …`. The first utterance of a call has the id 101.
    mutating func say(_ lines: String...) async throws {
        for line in lines {
            said += 1
            let isAI = line.hasPrefix("AI: ")
            try await tell(
                .interactionAdded(
                    call.ref,
                    InteractionSnapshot(
                        id: Int64(100 + said), callID: call.id, speaker: isAI ? .ai : .customer,
                        text: String(line.dropFirst(isAI ? 4 : 10)), timestamp: .now(), sequence: said)))
        }
    }

    mutating func end() async throws {
        call.version += 1
        call.status = .completed
        call.endedAt = .now()
        call.durationSeconds = 60
        try await tell(.ended(call))
    }

    func score() async throws -> CallScore? {
        let id = call.id
        return try await database.transaction { (tx: borrowing Transaction) in try await ScoreStore.find(id, tx) }
    }

    /// What was published of it under this type, oldest first.
    func published(_ type: String) async throws -> [JSON] {
        try await database.query(
            "SELECT payload::text AS payload FROM outbox WHERE type = \(type) AND key = \(call.id.text) ORDER BY seq"
        ).map { try JSON.parse($0.decode("payload", as: String.self)) }
    }

    func published() async throws -> [JSON] {
        try await published("qa.score.updated.v1").compactMap { $0["qa_score"] }
    }
}

extension Database {
    /// What knowledge tells of a configuration.
    func tell(_ event: ConfigEvent) async throws {
        try await transaction { (tx: borrowing Transaction) in try await QualityConfigStore.onConfig(event, tx) }
    }

    func configure(
        _ id: BusinessID, in workspace: WorkspaceID, version: Int64 = 1, isActive: Bool = true, _ quality: JSON
    ) async throws {
        try await tell(
            .changed(
                ConfigSnapshot(
                    id: id, workspaceID: workspace, version: version, name: "Shop", type: "retail",
                    configData: ["quality_assurance": quality], isActive: isActive, createdAt: .now(),
                    updatedAt: .now())))
    }
}
