import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct ScoreCallsTests {
    @Test func `an older event changes nothing and a call is scored once with its reasons`() async throws {
        try await TestDatabase.fresh(migrations: ["qa-analytics"], extra: MessagingSchema.migrations) { database in
            let scoring = ScoreCalls(
                sentiment: Sentiment(lexicon: try Lexicon(text: Array("great\t3.1\nbad\t-2.5\n".utf8))))
            let now = Instant.now()
            var call = CallSnapshot(
                id: CallID(), workspaceID: WorkspaceID(), direction: .inbound, status: .inProgress,
                fromNumber: "+14155550101", toNumber: "+14155550100", startedAt: now, createdAt: now, updatedAt: now)
            let started = call
            try await database.transaction { tx in try await scoring.onCall(.started(started), tx) }
            for (place, (speaker, text)) in [(Speaker.ai, "Hello, how can I help?"), (.customer, "This is great")]
                .enumerated()
            {
                let said = InteractionSnapshot(
                    id: Int64(place + 1), callID: call.id, speaker: speaker, text: text, timestamp: now,
                    sequence: place + 1)
                try await database.transaction { tx in
                    try await scoring.onCall(.interactionAdded(started.ref, said), tx)
                }
            }
            call.version = 3
            call.status = .completed
            call.endedAt = now
            call.durationSeconds = 12
            let ended = call
            try await database.transaction { tx in try await scoring.onCall(.ended(ended), tx) }
            try await database.transaction { tx in try await scoring.onCall(.updated(started), tx) }
            let row = try #require(
                try await database.queryOne(
                    """
                    SELECT c.status, c.overall, s.sentiment_label, (SELECT count(*) FROM outbox
                        WHERE type = 'qa.score.updated.v1') AS told
                    FROM calls c JOIN qa_scores s USING (call_id)
                    """))
            #expect(try row.decode("status", as: String.self) == "completed")
            #expect(try row.decode("sentiment_label", as: String.self) == "positive")
            #expect(try row.decode("told", as: Int64.self) == 1)
            #expect(try row.decode("overall", as: Double.self) > 0.8)
        }
    }
}
