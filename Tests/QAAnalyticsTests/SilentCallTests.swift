import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct SilentCallTests {
    @Test func `a call in which nobody spoke gets a score that says so and counts in no average`() async throws {
        try await TestDatabase.fresh(migrations: ["qa-analytics"], extra: MessagingSchema.migrations) { database in
            let scoring = ScoreCalls(sentiment: Sentiment(lexicon: try Lexicon(text: Array("great\t3.1\n".utf8))))
            let now = Instant.now()
            func tell(_ event: CallEvent) async throws {
                try await database.transaction { tx in try await scoring.onCall(event, tx) }
            }
            let call = CallSnapshot(
                id: CallID(), workspaceID: WorkspaceID(), version: 2, direction: .inbound, status: .completed,
                fromNumber: "+14155550101", toNumber: "+14155550100", startedAt: now, endedAt: now, durationSeconds: 3,
                createdAt: now, updatedAt: now)
            /// Completed calls, those with a score, in a band, and with a mood.
            func sums() async throws -> [Int64] {
                let row = try #require(
                    try await database.queryOne(
                        """
                        SELECT sum(completed)::bigint AS a, sum(scored)::bigint AS b,
                            sum(excellent + good + fair + poor)::bigint AS c,
                            sum(positive + neutral + negative)::bigint AS d
                        FROM rollups WHERE workspace_id = \(call.workspaceID) AND grain = 'day'
                        """))
                return try ["a", "b", "c", "d"].map { try row.decode($0, as: Int64.self) }
            }
            func scores() async throws -> [JSON] {
                try await database.query(
                    "SELECT payload::text AS payload FROM outbox WHERE type = 'qa.score.updated.v1' ORDER BY seq"
                ).compactMap { try JSON.parse($0.decode("payload", as: String.self))["qa_score"] }
            }
            try await tell(.ended(call))
            let silent = try #require(try await scores().first)
            #expect(silent["overall_score"]?.double == 0 && silent["sentiment_score"]?.double == 0.5)
            #expect(silent["flagged_issues"] == ["Nobody spoke, so there was nothing to score."])
            #expect(try await sums() == [1, 0, 0, 0])

            // The last words came after the carrier's word that the call is over.
            let said = InteractionSnapshot(
                id: 1, callID: call.id, speaker: .customer, text: "This is great", timestamp: now, sequence: 1)
            try await tell(.interactionAdded(call.ref, said))
            let anew = try #require(try await scores().last)
            #expect(anew["version"]?.int == 2)
            #expect(anew["overall_score"]?.double ?? 0 > 0.5)
            #expect(try await sums() == [1, 1, 1, 1])
        }
    }
}
