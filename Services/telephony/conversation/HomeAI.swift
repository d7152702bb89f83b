import HTTP
import Runtime
import Shared

/// The assistant behind any OpenAI-compatible `/chat/completions` with streaming and tools.
struct HomeAI: Sendable {
    struct Account: Sendable {
        /// Up to and including `/v1` (`HOMEAI_API_URL`).
        var url: String
        var key: String
        /// When the business configuration names none (`HOMEAI_MODEL`).
        var model: String
    }

    enum Failure: Error, Sendable {
        case status(Int)
        /// Nothing came in time.
        case silent
        case empty
        case tooManyRounds
    }

    let account: Account
    let client: Client
    /// Until the first word: a caller hears silence meanwhile, so the offline responder takes over rather early.
    var firstWithin = Duration.seconds(4)
    var wholeWithin = Duration.seconds(30)

    /// Tools may be followed by more tools, but not for ever.
    private static let roundsMax = 4
    private static let historyMax = 30

    var assistant: Assistant {
        Assistant { question, voice in
            voice.providers.append("homeai")
            try await self.answer(question, voice)
        }
    }

    private func answer(_ question: Question, _ voice: TurnVoice) async throws {
        var exchange: [JSON] = []
        voice.citations = question.passages.map { Citation($0) }
        for _ in 0..<Self.roundsMax {
            let calls = try await round(question, exchange, voice)
            guard !calls.isEmpty else {
                if voice.sent.isEmpty { throw Failure.empty }
                return
            }
            exchange.append(Self.assistantLine(calls))
            for call in calls { exchange.append(try await perform(call, voice)) }
            // What ends the conversation needs no more words, if some were said.
            if voice.calls.contains(.endCall), !voice.sent.isEmpty { return }
        }
        throw Failure.tooManyRounds
    }

    /// One completion: speaks its words as they come, returns the tools it wants.
    private func round(
        _ question: Question, _ exchange: [JSON], _ voice: TurnVoice
    ) async throws -> [ChatStream.Call] {
        var request = ClientRequest(.post, "\(account.url)/chat/completions", body: body(question, exchange))
        request.headers.set("Content-Type", "application/json")
        request.headers.set("Accept", "text/event-stream")
        request.authorize(bearer: account.key)
        request.timeout = wholeWithin
        request.silenceMax = firstWithin
        let response: ClientStream
        do {
            response = try await withDeadline(firstWithin) { [client, request] in try await client.stream(request) }
        } catch is DeadlineExceeded {
            throw Failure.silent
        }
        guard response.status == 200 else { throw Failure.status(response.status) }
        var events = ServerSentEvents()
        var stream = ChatStream()
        for try await chunk in response.body {
            for event in try events.read(chunk) {
                if let words = try stream.read(event) { try await voice.say(words) }
            }
            if stream.isDone { break }
        }
        return stream.calls.filter { !$0.name.isEmpty }
    }

    private func perform(_ call: ChatStream.Call, _ voice: TurnVoice) async throws -> JSON {
        let result: String
        do throws(ToolBelt.Unusable) {
            let tool = try ToolBelt.read(call)
            result = await words(of: tool, voice)
        } catch {
            result = "This tool call could not be understood: \(error)."
        }
        try Task.checkCancellation()
        return ["role": "tool", "tool_call_id": .string(call.id), "content": .string(result)]
    }

    /// A tool that fails is told to the model, which can then say so; only a stopped turn ends the turn.
    private func words(of tool: ToolCall, _ voice: TurnVoice) async -> String {
        do {
            return try await voice.use(tool).text
        } catch {
            return "The tool failed; tell the customer that it is not possible right now."
        }
    }

    private static func assistantLine(_ calls: [ChatStream.Call]) -> JSON {
        [
            "role": "assistant", "content": .null,
            "tool_calls": .array(
                calls.map { call in
                    [
                        "id": .string(call.id), "type": "function",
                        "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
                    ]
                }),
        ]
    }

    private func body(_ question: Question, _ exchange: [JSON]) -> [UInt8] {
        var json = JSONWriter(capacity: 4096)
        json.object { json in
            json.field("model", question.profile.model ?? account.model)
            json.field("stream", true)
            json.field("temperature", ifPresent: question.profile.temperature)
            json.fieldArray("messages") { json in
                json.value(Self.message("system", Prompt.system(question)))
                for line in question.history.suffix(Self.historyMax) {
                    json.value(Self.message(line.speaker == .ai ? "assistant" : "user", line.text))
                }
                for advice in question.advice {
                    json.value(Self.message("system", "Your supervisor asks you to tell the customer now: \(advice)"))
                }
                if !question.words.isEmpty {
                    let typed = question.keypad ? "(typed on the keypad) " : ""
                    json.value(Self.message("user", typed + question.words))
                }
                for line in exchange { json.value(line) }
            }
            json.fieldArray("tools") { ToolBelt.write(to: &$0) }
        }
        return json.bytes
    }

    private static func message(_ role: String, _ content: String) -> JSON {
        ["role": .string(role), "content": .string(content)]
    }
}

/// What the model is told before the conversation.
enum Prompt {
    static func system(_ question: Question) -> String {
        let profile = question.profile
        var parts: [String] = []
        let company = profile.businessName.map { " of \($0)" } ?? ""
        parts.append(
            "You are \(profile.agentName), a telephone assistant\(company). You are speaking, so answer in one to three"
                + " short sentences without lists, markup or emoji.")
        if let override = profile.override {
            parts.append(override)
        } else if let prompt = profile.systemPrompt {
            parts.append(prompt)
        }
        if let character = profile.character, !character.isEmpty { parts.append("Your character: \(character)") }
        if let personality = profile.personality { parts.append("Your manner is \(personality).") }
        if let language = profile.language {
            parts.append("Speak the language \(language) unless the customer uses another.")
        }
        if question.passages.isEmpty {
            parts.append("If you do not know something, say so and offer a colleague's call back.")
        } else {
            parts.append("Answer from these passages of the knowledge base; do not make anything up:")
            for (number, passage) in question.passages.enumerated() {
                parts.append("[\(number + 1)] \(passage.title): \(passage.text)")
            }
        }
        return parts.joined(separator: "\n\n")
    }
}
