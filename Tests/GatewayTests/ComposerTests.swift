import HTTP
import Runtime
import Shared
import TestSupport
import Testing

@testable import Gateway

@Suite struct ComposerTests {
    private static let parts: [Composer.Part] = [
        .init(.auth, "/internal/a"), .init(.telephony, "/internal/b"), .init(.qaAnalytics, "/internal/c"),
    ]

    @Test func `parts are asked at once, and one that hangs is only missing`() async throws {
        let composer = Composer { owner, path, _ in
            switch owner {
            case .auth: return (200, ["path": .string(path)])
            case .telephony:
                try await EventLoop.sleep(for: .seconds(60))
                return (200, [:])
            default: return (404, nil)
            }
        }
        try await onLoop {
            let began = ContinuousClock.now
            let answers = await composer.ask(Self.parts)
            #expect(answers[0].json?["path"] == "/internal/a")
            guard case .silent = answers[1] else { throw Unexpected() }
            guard case .refused(404) = answers[2] else { throw Unexpected() }
            let took = began.duration(to: .now)
            #expect(took >= Composer.within && took < .seconds(10))
        }
    }

    @Test func `what nobody answered is null and named`() async throws {
        let id = WorkspaceID()
        let answers: [Composer.Answer] = [
            .answered(["name": "Sales", "members": ["total": 2], "pending_invitations": 0, "belongs": true]), .silent,
            .answered(["calls": ["total": 3], "minutes": 1.5]),
        ]
        let response = WorkspaceStats.response(id, answers)
        guard case .bytes(let bytes) = response.body else { throw Unexpected() }
        let json = try JSON.parse(bytes)
        #expect(json["workspace"]?.string == id.text && json["name"] == "Sales" && json["minutes"] == 1.5)
        #expect(json["ai_agents"] == .null && json["phone_numbers"] == .null && json["human_agents"] == .null)
        #expect(json["incomplete"] == ["ai_agents", "phone_numbers", "human_agents"])
        #expect(json["belongs"] == nil)
    }

    private struct Unexpected: Error {}
}
