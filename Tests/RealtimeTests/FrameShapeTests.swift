import Shared
import TestSupport
import Testing

@testable import Realtime

/// What browsers are sent is what the AsyncAPI document says.
@Suite struct FrameShapeTests {
    private let now = Instant(seconds: 1_764_000_000)

    private var frames: [NewFrame] {
        let call = CallSnapshot(
            id: CallID(), workspaceID: WorkspaceID(), direction: .inbound, fromNumber: "+14155550101",
            toNumber: "+14155550100", businessID: BusinessID(), startedAt: now, endedAt: now, durationSeconds: 3,
            createdAt: now, updatedAt: now, qaScore: 0.5, sentiment: .neutral, escalationStatus: .pending,
            assignedAgent: .init(id: HumanAgentID(), name: "Hugo"), outcome: .callback, failureReason: "busy",
            agentID: AgentID())
        let said = InteractionSnapshot(
            id: 1, callID: call.id, speaker: .ai, text: "Hello", timestamp: now, metadata: ["lang": "en"], sequence: 1)
        let escalation = EscalationSnapshot(
            id: 2, callID: call.id, status: .pending, triggerType: "keyword", requestedAt: now)
        let note = NoteSnapshot(id: 3, callID: call.id, note: "x", authorID: UserID(), createdAt: now)
        let score = ScoreSnapshot(
            id: 4, callID: call.id, overallScore: 0.5, sentimentScore: 0.5, complianceScore: 1, accuracyScore: 1,
            professionalismScore: 1, sentimentLabel: .neutral, reviewedBy: "Mia", reviewerID: UserID(), createdAt: now,
            updatedAt: now)
        let events: [CallEvent] = [
            .started(call), .updated(call), .ended(call), .interactionAdded(call.ref, said),
            .interactionUpdated(call.ref, said), .escalationTriggered(call.ref, escalation),
            .escalationUpdated(call.ref, escalation), .escalationCompleted(call.ref, escalation),
            .noteAdded(call.ref, note),
        ]
        let scores: [ScoreEvent] = [
            .sentimentChanged(call.ref, SentimentReading(score: 0.1)), .scoreUpdated(call.ref, score),
            .outcomeClassified(call.ref, .callback, summary: nil),
        ]
        return events.compactMap { Frames.of($0, at: now) } + scores.compactMap { Frames.of($0, at: now) }
    }

    @Test func `every frame has a name of the list and the shape it stands for`() throws {
        #expect(Set(frames.map(\.event)) == Set(FrameName.allCases.map(\.rawValue)))
        for frame in frames {
            let name = try #require(FrameName(rawValue: frame.event))
            let data = try JSON.parse(Array(frame.data.utf8))
            #expect(SchemaCheck(name.schema).objections(to: data) == [], "\(frame.event)")
        }
    }
}
