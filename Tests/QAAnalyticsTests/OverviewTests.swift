import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct OverviewTests {
    @Test func `the rollup equals the rows for any range, whatever happened to the calls`() async throws {
        try await TestDatabase.fresh(migrations: ["qa-analytics"], extra: MessagingSchema.migrations) { database in
            var random = SplitMix64(seed: 20_261_121)
            let workspaces = (0..<2).map { _ in WorkspaceID() }
            let businesses: [BusinessID?] = [nil, BusinessID()]
            let start = try #require(Instant(iso: "2026-03-01T00:00:00Z"))
            var ids: [CallID] = []
            for _ in 0..<120 {
                let id = CallID()
                ids.append(id)
                let at = start + .seconds(Int.random(in: 0..<(5 * 86_400), using: &random))
                let (workspace, business) = (
                    workspaces.randomElement(using: &random)!, businesses.randomElement(using: &random)!
                )
                _ = try await database.execute(
                    """
                    INSERT INTO calls (call_id, workspace_id, business_id, direction, status, started_at, version)
                    VALUES (\(id), \(workspace), \(business), 'inbound', 'in_progress', \(at), 1)
                    """)
            }
            for id in ids.shuffled(using: &random).prefix(90) {
                let overall = Double.random(in: 0...1, using: &random)
                let label = ["positive", "neutral", "negative"].randomElement(using: &random)!
                _ = try await database.execute(
                    """
                    UPDATE calls SET status = 'completed', duration_seconds = \(Int64.random(in: 1...900, using: &random)),
                        overall = \(overall), mood_label = \(label), escalated = \(Bool.random(using: &random))
                    WHERE call_id = \(id)
                    """)
            }
            for id in ids.prefix(10) { _ = try await database.execute("DELETE FROM calls WHERE call_id = \(id)") }

            for _ in 0..<40 {
                let from = start + .seconds(Int.random(in: -86_400..<(5 * 86_400), using: &random))
                let to = from + .seconds(Int.random(in: 0..<(4 * 86_400), using: &random))
                let tenancy: Tenancy = Bool.random(using: &random) ? .all : .only([workspaces[0]])
                let business = businesses.randomElement(using: &random)!
                let read = try await Overview.read(tenancy, business: business, from: from, to: to, database)
                let raw = try await database.queryOne(
                    """
                    SELECT count(*) AS total, count(*) FILTER (WHERE status = 'completed') AS completed,
                        coalesce(sum(duration_seconds), 0)::bigint AS duration, count(overall) AS scored,
                        coalesce(sum(round(overall * 1000000)), 0)::bigint AS overall,
                        count(*) FILTER (WHERE mood_label = 'positive') AS positive,
                        count(*) FILTER (WHERE escalated) AS escalated
                    FROM calls WHERE started_at >= \(from) AND started_at < \(to)
                        AND (\(tenancy.ids)::uuid[] IS NULL OR workspace_id = ANY (\(tenancy.ids)::uuid[]))
                        AND (\(business)::uuid IS NULL OR business_id = \(business)::uuid)
                    """)
                let row = try #require(raw)
                #expect(try read.total == row["total"])
                #expect(try read.completed == row["completed"])
                #expect(try read.durationSum == row["duration"])
                #expect(try read.overallSum == row["overall"])
                #expect(try read.overallCount == row["scored"])
                #expect(try read.positive == row["positive"])
                #expect(try read.escalated == row["escalated"])
            }
        }
    }

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

    @Test func `a call in which nobody spoke gets a score that says so and counts in no average`() async throws {
        try await TestDatabase.fresh(migrations: ["qa-analytics"], extra: MessagingSchema.migrations) { database in
            let scoring = ScoreCalls(sentiment: Sentiment(lexicon: try Lexicon(text: Array("great\t3.1\n".utf8))))
            let now = Instant.now()
            func tell(_ event: CallEvent) async throws {
                try await database.transaction { tx in try await scoring.onCall(event, tx) }
            }
            func overview() async throws -> Overview {
                try await Overview.read(
                    .all, business: nil, from: now + .seconds(-3600), to: now + .seconds(3600), database)
            }
            func scores() async throws -> [JSON] {
                try await database.query(
                    "SELECT payload::text AS payload FROM outbox WHERE type = 'qa.score.updated.v1' ORDER BY seq"
                ).compactMap { try JSON.parse($0.decode("payload", as: String.self))["qa_score"] }
            }
            let call = CallSnapshot(
                id: CallID(), workspaceID: WorkspaceID(), version: 2, direction: .inbound, status: .completed,
                fromNumber: "+14155550101", toNumber: "+14155550100", startedAt: now, endedAt: now, durationSeconds: 3,
                createdAt: now, updatedAt: now)
            try await tell(.ended(call))
            let silent = try #require(try await scores().first)
            #expect(silent["overall_score"]?.double == 0 && silent["sentiment_score"]?.double == 0.5)
            #expect(silent["flagged_issues"] == ["Nobody spoke, so there was nothing to score."])
            let without = try await overview()
            #expect(without.completed == 1 && without.overallCount == 0)
            #expect(without.poor + without.fair + without.good + without.excellent == 0)
            #expect(without.positive + without.neutral + without.negative == 0)

            // The last words came after the carrier's word that the call is over.
            let said = InteractionSnapshot(
                id: 1, callID: call.id, speaker: .customer, text: "This is great", timestamp: now, sequence: 1)
            try await tell(.interactionAdded(call.ref, said))
            let anew = try #require(try await scores().last)
            #expect(anew["version"]?.int == 2)
            #expect(anew["overall_score"]?.double ?? 0 > 0.5)
            let with = try await overview()
            #expect(with.overallCount == 1 && with.positive == 1)
        }
    }
}
