import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Realtime

@Suite struct FrameStoreTests {
    private func frame(_ workspace: WorkspaceID, _ number: Int) -> NewFrame {
        NewFrame(
            workspaceID: workspace, event: "call.ended", callID: nil, audience: .workspace, at: .now(),
            data: "{\"number\":\(number)}")
    }

    @Test func `ids grow in commit order although many write at once`() async throws {
        try await TestDatabase.fresh(migrations: ["realtime"], extra: MessagingSchema.migrations) { database in
            let workspace = WorkspaceID()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<40 {
                    let one = frame(workspace, number)
                    group.addTask { _ = try await database.transaction { tx in try await FrameStore.keep([one], tx) } }
                }
                try await group.waitForAll()
            }
            let found = try await FrameStore.after(0, .only([workspace]), limit: 100, database)
            #expect(found.frames.map(\.id) == Array(1...40))
            #expect(found.complete)
            #expect(found.last == 40)
        }
    }

    @Test func `a resumption tells when frames in between are gone, and never shows another workspace's`() async throws
    {
        try await TestDatabase.fresh(migrations: ["realtime"], extra: MessagingSchema.migrations) { database in
            let (mine, other) = (WorkspaceID(), WorkspaceID())
            for number in 0..<30 {
                let one = frame(number.isMultiple(of: 3) ? other : mine, number)
                _ = try await database.transaction { tx in try await FrameStore.keep([one], tx) }
            }
            let found1 = try await FrameStore.prune(keeping: 5, database)
            #expect(found1 > 0)
            while try await FrameStore.prune(keeping: 5, database) > 0 {}
            let late = try await FrameStore.after(3, .only([mine]), limit: 100, database)
            #expect(!late.complete)
            let now = try await FrameStore.after(29, .only([mine]), limit: 100, database)
            #expect(now.complete)
            #expect(now.frames.allSatisfy { $0.workspaceID == mine })
            #expect(now.frames.map(\.id) == [30])
            let invented = try await FrameStore.after(99, .only([mine]), limit: 100, database)
            #expect(!invented.complete)
        }
    }

    @Test(arguments: [FrameSnapshot.Audience.workspace, .managers, .user(UserID())])
    func `an audience survives the table`(_ audience: FrameSnapshot.Audience) throws {
        #expect(try FrameSnapshot.Audience.of(audience.text) == audience)
    }

    @Test func `every event of document 003 becomes the frame it names`() throws {
        let now = Instant.now()
        let call = CallSnapshot(
            id: CallID(), workspaceID: WorkspaceID(), direction: .outbound, fromNumber: "+14155550100",
            toNumber: "+14155550101", startedAt: now, createdAt: now, updatedAt: now)
        let said = InteractionSnapshot(id: 1, callID: call.id, speaker: .ai, text: "Hi", timestamp: now, sequence: 1)
        let escalation = EscalationSnapshot(
            id: 4, callID: call.id, status: .pending, triggerType: "keyword", requestedAt: now)
        let score = ScoreSnapshot(
            id: 2, callID: call.id, overallScore: 0.9, sentimentScore: 0.5, complianceScore: 1, accuracyScore: 1,
            professionalismScore: 1, sentimentLabel: .neutral, reviewedBy: "automatic", createdAt: now, updatedAt: now)
        let frames = [
            Frames.of(CallEvent.started(call), at: now), Frames.of(CallEvent.updated(call), at: now),
            Frames.of(CallEvent.ended(call), at: now), Frames.of(CallEvent.interactionAdded(call.ref, said), at: now),
            Frames.of(ScoreEvent.scoreUpdated(call.ref, score), at: now),
            Frames.of(ScoreEvent.sentimentChanged(call.ref, SentimentReading(score: 0.3)), at: now),
            Frames.of(CallEvent.escalationTriggered(call.ref, escalation), at: now),
            Frames.of(CallEvent.escalationCompleted(call.ref, escalation), at: now),
        ]
        #expect(
            frames.map { $0?.event } == [
                "call.started", "call.updated", "call.ended", "interaction.added", "qa.score.updated",
                "sentiment.changed",
                "escalation.triggered", "escalation.completed",
            ])
        for frame in frames {
            let data = try JSON.parse(try #require(frame).data)
            #expect(data["call_id"]?.string == call.id.text || data["call"]?["id"]?.string == call.id.text)
            #expect(data["call"]?["workspace_id"] == nil)
        }
    }
}
