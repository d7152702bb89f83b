import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct ErasureTests {
    private static func call(in workspace: WorkspaceID) -> CallSnapshot {
        let now = Instant.now()
        return CallSnapshot(
            id: CallID(), workspaceID: workspace, version: 2, direction: .inbound, status: .completed,
            fromNumber: "+14155550101", toNumber: "+14155550102", startedAt: now, endedAt: now, durationSeconds: 60,
            createdAt: now, updatedAt: now)
    }

    private static func tell(_ call: CallSnapshot, _ database: Database) async throws {
        let scoring = ScoreCalls(sentiment: Sentiment(lexicon: try Lexicon(text: Array("good\t2.0\t0.5\t[2]\n".utf8))))
        let said = InteractionSnapshot(
            id: Int64.random(in: 1..<1 << 40), callID: call.id, speaker: .customer, text: "Zanzibar is good",
            timestamp: .now(), sequence: 1)
        try await database.transaction { (tx: borrowing Transaction) in
            try await scoring.onCall(.started(call), tx)
            try await scoring.onCall(.interactionAdded(call.ref, said), tx)
            try await scoring.onCall(.ended(call), tx)
        }
    }

    @Test func `a workspace leaves nothing, sums included, and a call told of late brings nothing back`() async throws {
        try await TestDatabase.fresh(migrations: ["qa-analytics"], extra: MessagingSchema.migrations) { database in
            let (mine, other) = (WorkspaceID(), WorkspaceID())
            let calls = (0..<3).map { _ in Self.call(in: mine) }
            for call in calls + [Self.call(in: other)] { try await Self.tell(call, database) }
            let before = try await Leftovers.tables(holding: mine.text, database)
            #expect(before["calls"] == 3 && before["qa_scores"] == 3 && before["rollups", default: 0] >= 1)
            try await Leftovers.erase(.workspace(mine), steps: ErasureStore.steps, program: "qa-analytics", database)
            try await Self.tell(Self.call(in: mine), database)
            for needle in [mine.text, calls[0].id.text] {
                let left = try await Leftovers.tables(holding: needle, database).filter { !$0.key.hasPrefix("outbox") }
                #expect(left.isEmpty, "\(needle): \(left)")
            }
            let said = try await database.query("SELECT 1 AS x FROM utterances")
            #expect(said.count == 1)
        }
    }
}
