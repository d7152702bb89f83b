import Shared

/// The stream of an OpenAI-compatible `/chat/completions`, put together again (OpenAI: "Streaming", chat completion
/// chunk object). Pure: one event's data in, what it means out.
struct ChatStream: Sendable {
    struct Call: Sendable, Equatable {
        var id = ""
        var name = ""
        var arguments = ""
    }

    enum Failure: Error, Equatable {
        /// The provider sent an error object inside the stream.
        case refused(String)
        case notJSON
        case tooManyCalls
    }

    /// More tool calls than anybody needs in one turn is a model gone astray.
    static let callsMax = 8

    private(set) var calls: [Call] = []
    private(set) var finish: String?
    private(set) var isDone = false

    /// The words this event brings, if any.
    mutating func read(_ data: String) throws(Failure) -> String? {
        let text = trimmed(data)
        if text == "[DONE]" {
            isDone = true
            return nil
        }
        guard !text.isEmpty else { return nil }
        guard let json = try? JSON.parse(text) else { throw .notJSON }
        if let error = json["error"], error != .null {
            throw .refused(error["message"]?.string ?? error.string ?? "error")
        }
        guard let choice = json["choices"]?.array?.first else { return nil }
        if let reason = choice["finish_reason"]?.string { finish = reason }
        guard let delta = choice["delta"] else { return nil }
        for part in delta["tool_calls"]?.array ?? [] {
            // Some providers leave the index out when there is one call only.
            let index = part["index"]?.int ?? max(0, calls.count - 1)
            guard (0..<Self.callsMax).contains(index) else { throw .tooManyCalls }
            while calls.count <= index { calls.append(Call()) }
            if let id = part["id"]?.string, !id.isEmpty { calls[index].id = id }
            if let name = part["function"]?["name"]?.string, !name.isEmpty { calls[index].name = name }
            if let piece = part["function"]?["arguments"]?.string { calls[index].arguments += piece }
        }
        return delta["content"]?.string.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// The tools as the model is told about them, and its calls read back into values.
enum ToolBelt {
    enum Unusable: Error, Equatable {
        case unknown(String)
        case arguments(String)
    }

    static func read(_ call: ChatStream.Call) throws(Unusable) -> ToolCall {
        let empty = trimmed(call.arguments).isEmpty
        guard let json = empty ? JSON.object(JSONObject()) : try? JSON.parse(call.arguments) else {
            throw .arguments(call.name)
        }
        switch call.name {
        case "lookup_knowledge":
            guard let query = json["query"]?.string, !trimmed(query).isEmpty else { throw .arguments("query") }
            return .lookUp(String(query.prefix(500)))
        case "book_meeting": return .callback(request(.meeting, json))
        case "schedule_callback": return .callback(request(.callback, json))
        case "transfer_to_human":
            return .transfer(
                reason: String((json["reason"]?.string ?? "The customer asked for a person.").prefix(500)),
                wish: Wish(skill: named("skill", json), department: named("department", json)))
        case "set_outcome":
            guard let outcome = json["outcome"]?.string.flatMap(Call.Outcome.init) else { throw .arguments("outcome") }
            return .outcome(outcome)
        case "do_not_call": return .optOut
        case "end_call": return .endCall
        default: throw .unknown(call.name)
        }
    }

    /// A model that needs nobody in particular sends an empty string as readily as nothing.
    private static func named(_ field: String, _ json: JSON) -> String? {
        let name = trimmed(json[field]?.string ?? "").prefix(100)
        return name.isEmpty ? nil : String(name)
    }

    private static func request(_ kind: ToolCall.CallbackRequest.Kind, _ json: JSON) -> ToolCall.CallbackRequest {
        let when = json["when"]?.string ?? ""
        return ToolCall.CallbackRequest(
            kind: kind, time: CallbackTime(in: Phrases.folded(when)), at: Instant(iso: when),
            name: json["name"]?.string.map { String($0.prefix(200)) },
            note: json["note"]?.string.map { String($0.prefix(2000)) })
    }

    /// JSON of the request's `tools`.
    static func write(to json: inout JSONWriter) {
        func tool(
            _ name: StaticString, _ description: StaticString, _ properties: [(StaticString, StaticString)],
            required: [StaticString]
        ) {
            json.object { json in
                json.field("type", "function")
                json.fieldObject("function") { json in
                    json.field("name", "\(name)")
                    json.field("description", "\(description)")
                    json.fieldObject("parameters") { json in
                        json.field("type", "object")
                        json.fieldObject("properties") { json in
                            for (property, meaning) in properties {
                                json.fieldObject("\(property)") { json in
                                    json.field("type", "string")
                                    json.field("description", "\(meaning)")
                                }
                            }
                        }
                        json.fieldArray("required") { json in for name in required { json.value("\(name)") } }
                    }
                }
            }
        }
        tool(
            "lookup_knowledge", "Search the company's knowledge base when the passages given do not answer.",
            [("query", "What to look for, in a few words.")], required: ["query"])
        tool(
            "schedule_callback", "Note down that the customer wants to be called back.",
            [
                ("when", "When, as the customer said it or as an ISO 8601 instant."), ("name", "Whom to ask for."),
                ("note", "What it is about."),
            ], required: ["when"])
        tool(
            "book_meeting", "Note down a meeting the customer wants.",
            [
                ("when", "When, as the customer said it or as an ISO 8601 instant."), ("name", "With whom."),
                ("note", "What it is about."),
            ], required: ["when"])
        tool(
            "transfer_to_human", "Hand the call to a human colleague. Only when asked for or when you cannot help.",
            [
                ("reason", "Why, in one sentence."), ("skill", "The skill the colleague needs, if any."),
                ("department", "The department the colleague must be in, if any."),
            ],
            required: ["reason"])
        tool(
            "set_outcome", "Record how the call turned out.",
            [("outcome", "One of converted, interested, not_interested, callback.")], required: ["outcome"])
        tool("do_not_call", "The customer never wants to be called again.", [], required: [])
        tool("end_call", "Hang up after you have said goodbye.", [], required: [])
    }
}
