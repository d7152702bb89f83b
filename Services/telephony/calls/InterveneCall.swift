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

    /// `POST /api/v1/calls/{call_id}/intervene` — told to whichever replica holds the conversation, and answered when that
    /// conversation has taken it. What lasts (silence, instructions) is stored with the call too, so that the next socket
    /// knows it; a message nobody was there to take is an error.
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
        let command = CommandEvent(
            callID: known.id, action: action.command, message: message, instructions: instructions, by: principal.user)
        let reply = live.expect(command.id)
        defer { live.forget(command.id) }
        let changed = try await change(known.id) { call, tx in
            try action.checkPossible(on: call)
            if call.status == .inProgress {
                InterventionStore.insert(
                    Order(id: command.id, action: command.action, message: message, by: principal.user), for: call.id,
                    tx)
                tx.publish(command)
            }
            switch action {
            case .pause: call.paused = true
            case .resume: call.paused = false
            case .overrideInstructions: call.instructions = instructions
            case .sendMessage: return nil
            }
            call.updatedAt = .now()
            return [.moved(from: call.status)]
        }
        guard let call = changed else { throw Problem.notFound(.callNotFound) }
        guard call.status == .inProgress else {
            return done("\(action.done) It counts from the moment the AI speaks on this call.")
        }
        // It is here more often than not: the broker's way is for the other replicas.
        live.take(command)
        if try await reply.isTaken(within: policy.interventionWithin) { return done(action.done) }
        return try await giveUp(command, action, on: call)
    }

    /// No conversation took the order. Either the call is over, which the carrier knows before we do, or its line is broken.
    private func giveUp(_ command: CommandEvent, _ action: Intervention, on known: Call) async throws -> Response {
        guard try await InterventionStore.withdraw(command.id, in: database) else { return done(action.done) }
        var call = try await CallStore.find(known.id, in: database)
        if call?.status.isTerminal == false, let sid = known.sid, let report = try? await carrier.look(sid) {
            call = try await change(known.id) { call, _ in
                let changes = call.apply(report)
                return changes.isEmpty ? nil : changes
            }
        }
        guard let call, !call.status.isTerminal else { throw Problem(.callEnded, "The call has just ended.") }
        guard action != .sendMessage else {
            throw Problem.conflict("Nobody is speaking on this call at the moment. The message was not passed on.")
        }
        return done("\(action.done) The line is broken at the moment; it counts as soon as it is back.")
    }

    private func done(_ message: String) -> Response {
        .json { json in
            json.object { json in
                json.field("success", true)
                json.field("message", message)
            }
        }
    }
}

extension Telephony.Intervention {
    fileprivate func checkPossible(on call: Call) throws(Problem) {
        if call.status.isTerminal {
            throw Problem(.callEnded, "The call has ended; there is nothing to intervene in.")
        }
        guard self == .sendMessage, call.status != .inProgress else { return }
        throw call.status == .escalated
            ? Problem(.badRequest, "A human has this call; the AI passes nothing on.")
            : Problem(.badRequest, "Nobody has answered this call yet; there is nobody to pass a message to.")
    }

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
