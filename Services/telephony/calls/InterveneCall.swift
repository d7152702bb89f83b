import HTTP
import Messaging
import Postgres
import Shared

extension Telephony {
    enum Intervention: String, Sendable, CaseIterable {
        case sendMessage = "send_message"
        case pause, resume
        case overrideInstructions = "override_instructions"
    }

    /// `POST /api/v1/calls/{call_id}/intervene` — stored with the call, so that a reconnecting socket knows it too, and
    /// told to whichever replica holds the conversation.
    func interveneCall(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let known = try await call(request, for: .steerCalls)
        var form = try await request.form()
        let action = form.choice("action", as: Intervention.self)
        let message = form.optionalString("message", min: 1, max: 2000)
        let instructions = form.optionalString("instructions", min: 1, max: 10_000)
        if !form.hasFailed {
            if action == .sendMessage, message == nil { form.fail("message", "is required for send_message") }
            if action == .overrideInstructions, instructions == nil {
                form.fail("instructions", "is required for override_instructions")
            }
        }
        try form.finish()
        let now = Instant.now()
        let call = try await change(known.id) { call, tx in
            guard !call.status.isTerminal else {
                throw Problem(.badRequest, "The call has ended; there is nothing to intervene in.")
            }
            tx.publish(
                CommandEvent(
                    callID: call.id, action: action.command, message: message, instructions: instructions,
                    by: principal.user))
            switch action {
            case .pause: call.paused = true
            case .resume: call.paused = false
            case .overrideInstructions: call.instructions = instructions
            case .sendMessage: return nil
            }
            call.updatedAt = now
            return [.moved(from: call.status)]
        }
        guard call != nil else { throw Problem.notFound(.callNotFound) }
        return .json { json in
            json.object { json in
                json.field("success", true)
                json.field("message", action.done)
            }
        }
    }
}

extension Telephony.Intervention {
    fileprivate var command: CommandEvent.Action {
        switch self {
        case .sendMessage: .say
        case .pause: .pause
        case .resume: .resume
        case .overrideInstructions: .override
        }
    }

    fileprivate var done: String {
        switch self {
        case .sendMessage: "The message has been passed to the AI."
        case .pause: "The AI has been paused."
        case .resume: "The AI has been resumed."
        case .overrideInstructions: "The AI follows the new instructions."
        }
    }
}
