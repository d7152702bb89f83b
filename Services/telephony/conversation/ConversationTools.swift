import Postgres
import Runtime
import Shared

/// What the assistant's tools do, and the triggers that call for a human without one.
extension Conversation {
    /// Whether the customer's words alone call for a human, before anything is answered.
    func trigger(by words: String) -> Triggers.Fired? {
        isEscalated ? nil : profile.triggers.fired(by: words, asksForHuman: Phrases.asksForHuman(words))
    }

    /// Calls for one.
    func pull(_ fired: Triggers.Fired, for turn: Turn) async {
        do {
            let opened = try await escalate(fired.kind.rawValue, fired.details, fired.wish)
            switch opened {
            case .reserved(let escalation):
                turn.script = Self.connecting(escalation)
                turn.next = .leave(Handoff(.human, escalation: escalation.id, summary: escalation.summary))
            case .waiting where fired.kind == .explicitRequest:
                turn.script = Self.busy
            case .waiting, .taken, .nobodyFree:
                break
            }
        } catch {
            log.error("escalation.failed", ("error", "\(error)"))
        }
    }

    static let busy =
        "All of my colleagues are on other calls. I have asked for one, who will join as soon as possible. "
        + "Until then, please tell me what it is about."

    func escalate(_ trigger: String, _ details: JSONObject, _ wish: Wish) async throws -> HandOver.Opened {
        let now = Instant.now()
        var opened = HandOver.Opened.nobodyFree
        _ = try await telephony.change(call) { call, tx in
            guard !call.status.isTerminal else { return nil }
            opened = try await HandOver.open(
                &call, for: HandOver.Reason(trigger: trigger, details: details, wish: wish), choosing: .anyone,
                waits: true, at: now, tx)
            if case .taken = opened { return nil }
            return [.moved(from: call.status)]
        }
        isEscalated = opened.escalation != nil
        if case .reserved = opened { handsOver = true }
        return opened
    }

    /// Carries out a tool for the assistant.
    func use(_ tool: ToolCall, in number: Int) async throws -> ToolResult {
        switch tool {
        case .lookUp(let query):
            return try await lookUp(query)
        case .callback(let request):
            return try await take(request)
        case .transfer(let reason, let wish):
            return try await transfer(reason, wish, in: number)
        case .outcome(let outcome):
            try await note(outcome)
            return ToolResult(text: "Recorded.")
        case .optOut:
            try await ToolStore.neverCall(telephony.database, opening.call)
            try await note(.notInterested)
            return ToolResult(text: "I have taken your number off our list. You will not be called again. Goodbye.")
        case .endCall:
            if let turn, turn.number == number { turn.next = .leave(Handoff(.finished)) }
            return ToolResult(text: "The call ends when you have finished speaking.")
        }
    }

    private func lookUp(_ query: String) async throws -> ToolResult {
        let (knowledge, ref, limit) = (telephony.knowledge, ref, profile.passagesMax)
        let found = try await withDeadline(.seconds(1)) { try await knowledge.find(query, ref, limit) }
        guard !found.isEmpty else { return ToolResult(text: "Nothing was found.", done: false) }
        turn?.passages += found
        turn?.voice.citations += found.map { Citation($0) }
        return ToolResult(text: found.map { "\($0.title): \($0.text)" }.joined(separator: "\n\n"))
    }

    private func take(_ request: ToolCall.CallbackRequest) async throws -> ToolResult {
        let spoken = try await ToolStore.add(request, for: opening.call, in: telephony.database)
        try await note(.callback)
        let what = request.kind == .meeting ? "noted a meeting" : "arranged for you to be called back"
        return ToolResult(text: "Of course. I have \(what) on \(spoken). Is there anything else I can do for you?")
    }

    private func transfer(_ reason: String, _ wish: Wish, in number: Int) async throws -> ToolResult {
        guard profile.triggers.enabled else {
            return ToolResult(text: "I am sorry, I cannot transfer calls. How else can I help you?", done: false)
        }
        let opened = try await escalate(Triggers.Kind.explicitRequest.rawValue, ["reason": .string(reason)], wish)
        switch opened {
        case .reserved(let escalation):
            if let turn, turn.number == number {
                turn.next = .leave(Handoff(.human, escalation: escalation.id, summary: escalation.summary))
            }
            return ToolResult(text: Self.connecting(escalation))
        case .taken: return ToolResult(text: "A colleague is on the way. Please stay on the line.")
        case .waiting, .nobodyFree: return ToolResult(text: Self.busy, done: false)
        }
    }

    private func note(_ outcome: CallOutcome) async throws {
        _ = try await telephony.change(call) { call, _ in
            guard !call.status.isTerminal, call.outcome != outcome else { return nil }
            call.outcome = outcome
            call.updatedAt = .now()
            return [.moved(from: call.status)]
        }
    }
}
