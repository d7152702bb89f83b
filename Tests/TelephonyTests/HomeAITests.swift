import HTTP
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

/// A chat-completions endpoint on a free port, whose answers the test writes.
private func withEndpoint(
    _ answer: @escaping @Sendable (_ body: JSON, _ round: Int) async throws -> Response,
    _ body: @escaping @Sendable (HomeAI) async throws -> Void
) async throws {
    try await onLoop {
        let rounds = Rounds()
        let router = Router(
            [
                .post("/v1/chat/completions", "Completes", access: .everyone) { request in
                    try await answer(try await request.json(), rounds.next())
                }
            ], program: "homeai", log: Log(program: "tests", least: .error))
        let server = Server(port: 0, host: "127.0.0.1", router: router)
        try await server.start(on: testLoops)
        var home = HomeAI(
            account: .init(url: "http://127.0.0.1:\(server.boundPort)/v1", key: "sk", model: "m"), client: Client())
        home.firstWithin = .seconds(2)
        do { try await body(home) } catch {
            await server.stop(deadline: .seconds(2))
            throw error
        }
        await server.stop(deadline: .seconds(2))
    }
}

/// `@unchecked Sendable`: guarded by the lock.
private final class Rounds: @unchecked Sendable {
    private let lock = Lock()
    private var count = 0
    func next() -> Int {
        lock.withLock {
            count += 1
            return count
        }
    }
}

private func events(_ list: [JSON]) -> Response {
    .stream(type: "text/event-stream") { writer in
        for event in list { try await writer.write(Array("data: \(event.jsonText)\n\n".utf8)) }
        try await writer.write(Array("data: [DONE]\n\n".utf8))
    }
}

private func words(_ text: String) -> JSON { ["choices": [["delta": ["content": .string(text)]]]] }

private func tool(_ name: String, _ arguments: String) -> JSON {
    [
        "choices": [
            [
                "delta": [
                    "tool_calls": [
                        ["index": 0, "id": "c1", "function": ["name": .string(name), "arguments": .string(arguments)]]
                    ]
                ]
            ]
        ]
    ]
}

@Suite struct HomeAITests {
    private func voice() -> TurnVoice {
        TurnVoice(send: { _ in }, perform: { _ in ToolResult(text: "it opens at nine") })
    }

    private let question = Question(
        words: "When?", history: [.init(speaker: .ai, text: "Hello")],
        passages: [Passage(entry: 3, title: "Hours", text: "Nine to six", score: 1)],
        profile: Profile(model: "special", temperature: 0.5))

    @Test func `words are spoken as they come, with everything the model should know`() async throws {
        try await withEndpoint({ body, _ in
            #expect(body["model"] == "special")
            #expect(body["stream"] == true)
            #expect(body["temperature"] == 0.5)
            #expect(body["messages"]?[0]?["content"]?.string?.contains("Nine to six") == true)
            #expect(body["messages"]?[1] == ["role": "assistant", "content": "Hello"])
            #expect(body["messages"]?.array?.last == ["role": "user", "content": "When?"])
            #expect(body["tools"]?.array?.count == 7)
            return events([words("At "), words("nine.")])
        }) { home async throws in
            let voice = voice()
            try await home.assistant.answer(question, voice)
            #expect(voice.sent == "At nine.")
            #expect(voice.citations.map(\.entry) == [3])
        }
    }

    @Test func `a tool's result goes back to the model`() async throws {
        try await withEndpoint({ body, round in
            if round == 1 { return events([tool("lookup_knowledge", #"{"query":"hours"}"#)]) }
            let messages = body["messages"]?.array ?? []
            #expect(messages.suffix(2).first?["tool_calls"]?[0]?["function"]?["name"] == "lookup_knowledge")
            #expect(messages.last == ["role": "tool", "tool_call_id": "c1", "content": "it opens at nine"])
            return events([words("Nine.")])
        }) { home async throws in
            let voice = voice()
            try await home.assistant.answer(question, voice)
            #expect(voice.calls == [.lookUp("hours")])
            #expect(voice.sent == "Nine.")
        }
    }

    @Test func `a model that only ever wants tools is stopped`() async throws {
        try await withEndpoint({ _, _ in events([tool("lookup_knowledge", #"{"query":"x"}"#)]) }) { home async throws in
            let voice = voice()
            await #expect(throws: HomeAI.Failure.self) { try await home.assistant.answer(question, voice) }
        }
    }

    @Test func `the offline responder answers when HomeAI cannot`() async throws {
        for status in [401, 429, 500] {
            try await withEndpoint({ _, _ in Response.json(status, JSON.object([:])) }) { home async throws in
                let voice = voice()
                let both = Assistant.failingOver(home.assistant, to: OfflineResponder.assistant) { _ in }
                try await both.answer(
                    Question(words: "Nine to six hours", passages: question.passages, profile: Profile()), voice)
                #expect(voice.sent.contains("Nine to six"))
                #expect(voice.providers == ["homeai", "offline"])
            }
        }
    }

    @Test func `half an answer is finished with an apology, not with another one`() async throws {
        try await withEndpoint({ _, _ in
            .stream(type: "text/event-stream") { writer in
                try await writer.write(Array("data: \(words("We open").jsonText)\n\ndata: {\n\n".utf8))
            }
        }) { home async throws in
            let voice = voice()
            let both = Assistant.failingOver(home.assistant, to: OfflineResponder.assistant) { _ in }
            try await both.answer(question, voice)
            #expect(voice.sent.hasPrefix("We open …"))
            #expect(voice.failed)
        }
    }

    @Test func `silence is not waited out`() async throws {
        try await withEndpoint({ _, _ in
            try await EventLoop.sleep(for: .seconds(30))
            return events([])
        }) { home async throws in
            var home = home
            home.firstWithin = .milliseconds(100)
            let voice = voice()
            await #expect(throws: HomeAI.Failure.self) { try await home.assistant.answer(question, voice) }
        }
    }
}
