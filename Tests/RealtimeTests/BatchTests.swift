import Kafka
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Messaging
@testable import Realtime

@Suite struct BatchTests {
    private func envelope<E: Event>(_ event: E, trace: TraceContext? = nil) throws -> Envelope {
        try Envelope(
            Record.event(
                EventID(), topic: E.topic.rawValue, key: event.key, type: event.type, source: [], time: .now(),
                payload: Array(event.jsonText.utf8), trace: trace?.traceparent, isRepublished: false))
    }

    @Test func `the frames of a batch are kept and sent in the order of their events`() async throws {
        try await TestDatabase.fresh(migrations: ["realtime"], extra: MessagingSchema.migrations) { database in
            let (mine, other, gone) = (WorkspaceID(), WorkspaceID(), WorkspaceID())
            func ended(_ workspace: WorkspaceID) -> CallEvent {
                let now = Instant.now()
                return .ended(
                    CallSnapshot(
                        id: CallID(), workspaceID: workspace, direction: .outbound, fromNumber: "+14155550100",
                        toNumber: "+14155550101", startedAt: now, createdAt: now, updatedAt: now))
            }
            let trace = TraceContext.new()
            let batch = [
                try envelope(ended(gone)), try envelope(ended(mine), trace: trace), try envelope(ended(other)),
                // No frame.
                try envelope(
                    ScoreEvent.outcomeClassified(
                        CallRef(callID: CallID(), workspaceID: mine, businessID: nil, direction: .inbound), .converted,
                        summary: nil)),
                try envelope(WorkspaceEvent.deleted(id: gone)), try envelope(ended(mine)),
            ]
            try await database.transaction { (tx: borrowing Transaction) in
                try await RealtimeService.onEvents(batch, tx)
            }
            try await Leftovers.erase(.workspace(gone), steps: ErasureStore.steps, program: "realtime", database)
            let found = try await FrameStore.after(0, .all, limit: 10, database)
            #expect(found.frames.map(\.id) == [2, 3, 4], "what was of the deleted workspace is gone")
            #expect(found.frames.map(\.workspaceID) == [mine, other, mine])
            #expect(found.last == 4)
            let sent = try await database.query(
                "SELECT payload, trace FROM outbox WHERE topic = 'realtime.frames' ORDER BY seq")
            let frames = try sent.map { row in
                try FrameEvent(type: FrameEvent.types[0], json: JSON.parse(row.decode("payload", as: String.self)))
                    .frame
            }
            #expect(frames.map(\.id) == [2, 3, 4], "and what waited to be sent of it, too")
            let traces = try sent.map { try $0.decode("trace", as: String?.self) }
            #expect(traces[0]?.contains(trace.traceparent.split(separator: "-")[1]) == true)
            #expect(traces[1] == nil)
            let kept = try await database.query("SELECT workspace_id, kept FROM streams")
                .map { row -> (WorkspaceID, Int64) in (try row["workspace_id"], try row["kept"]) }
            #expect(Dictionary(uniqueKeysWithValues: kept) == [mine: 2, other: 1])
        }
    }

    @Test func `nothing to keep takes no number`() async throws {
        try await TestDatabase.fresh(migrations: ["realtime"], extra: MessagingSchema.migrations) { database in
            try await database.transaction { (tx: borrowing Transaction) in
                try await RealtimeService.onEvents([try envelope(WorkspaceEvent.deleted(id: WorkspaceID()))], tx)
            }
            #expect(try await FrameStore.after(0, .all, limit: 10, database).last == 0)
        }
    }
}
