import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Realtime

@Suite struct ErasureTests {
    private static func keep(
        _ workspace: WorkspaceID, _ text: String, audience: FrameSnapshot.Audience = .workspace, _ database: Database
    ) async throws {
        let frame = NewFrame(
            workspaceID: workspace, event: "call.updated", callID: nil, audience: audience, at: .now(),
            data: "{\"text\":\"\(text)\"}")
        _ = try await database.transaction { (tx: borrowing Transaction) in
            for kept in try await FrameStore.keep([frame], tx) { tx.publish(FrameEvent(kept)) }
        }
    }

    @Test func `a workspace's frames go, others keep theirs`() async throws {
        try await TestDatabase.fresh(migrations: ["realtime"], extra: MessagingSchema.migrations) { database in
            let (mine, other) = (WorkspaceID(), WorkspaceID())
            for number in 0..<5 { try await Self.keep(number == 2 ? other : mine, "number \(number)", database) }
            try await Leftovers.erase(.workspace(mine), steps: ErasureStore.steps, program: "realtime", database)
            let left = try await Leftovers.tables(holding: mine.text, database).filter { $0.key != "outbox" }
            #expect(left.filter { !$0.key.hasPrefix("outbox_") }.isEmpty, "\(left)")
            #expect(try await Leftovers.tables(holding: "number 1", database).isEmpty)
            let frames = try await FrameStore.after(0, .only([other]), limit: 10, database)
            #expect(frames.frames.count == 1 && frames.complete)
        }
    }

    @Test func `frames that name a person or a human agent go, and who comes back to such a stream loads anew`()
        async throws
    {
        try await TestDatabase.fresh(migrations: ["realtime"], extra: MessagingSchema.migrations) { database in
            let (workspace, person, agent) = (WorkspaceID(), UserID(), HumanAgentID())
            try await Self.keep(workspace, "nobody", database)
            try await Self.keep(workspace, "by \(person.text)", database)
            try await Self.keep(workspace, "with \(agent.text) Hana Example", database)
            try await Self.keep(workspace, "for one", audience: .user(person), database)
            try await Self.keep(workspace, "the last", database)
            for subject in [ErasureSubject.user(person), .agent(agent)] {
                try await Leftovers.erase(subject, steps: ErasureStore.steps, program: "realtime", database)
                let left = try await Leftovers.tables(holding: subject.id, database)
                #expect(left.filter { !$0.key.hasPrefix("outbox") }.isEmpty, "\(left)")
            }
            #expect(try await Leftovers.tables(holding: "Hana Example", database).isEmpty)
            let late = try await FrameStore.after(1, .only([workspace]), limit: 10, database)
            #expect(!late.complete && late.frames.map(\.id) == [5])
            let now = try await FrameStore.after(4, .only([workspace]), limit: 10, database)
            #expect(now.complete)
            let kept = try await database.queryOne("SELECT kept FROM streams")
            #expect(try kept?.decode("kept", as: Int.self) == 2)
        }
    }
}
