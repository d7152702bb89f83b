import HTTP
import Messaging
import Postgres
import Shared

extension Telephony {
    /// `POST /api/v1/calls/{call_id}/escalate` — with nobody free it is a 400 and nothing is created.
    func escalateCall(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let known = try await call(request, for: .steerCalls)
        var form = try await request.optionalForm()
        let agent = form.optionalID("agent_id", as: HumanAgentID.self)
        let reason = form.optionalString("reason", max: 500)
        let note = form.optionalString("context_note", max: 5000)
        let wish = Wish(
            skill: form.optionalString("skill", min: 1, max: 100),
            department: form.optionalString("department", min: 1, max: 100))
        try form.finish()
        var details: JSONObject = ["requested_by": .string(principal.user.text)]
        if let reason { details["reason"] = .string(reason) }
        let escalation = try await escalate(
            known.id, for: HandOver.Reason(trigger: "manual", details: details, wish: wish, note: note ?? reason),
            choosing: agent.map { .one($0, onDuty: true) } ?? .anyone)
        return .json { json in
            json.object { json in
                json.field("escalation", escalation.snapshot)
                json.field("message", "The call is being handed to \(escalation.agentName ?? "a human").")
            }
        }
    }

    /// `POST /api/v1/calls/{call_id}/takeover` — the asker takes the call, or names the human who does.
    func takeOverCall(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let known = try await call(request, for: .steerCalls)
        var form = try await request.optionalForm()
        let named = form.optionalID("agent_id", as: HumanAgentID.self)
        try form.finish()
        let own = try await HumanAgentStore.id(of: principal.user, in: known.workspace, in: database)
        guard let agent = named ?? own else {
            throw Problem.validation("agent_id", "is required: you are no human agent of this workspace")
        }
        let escalation = try await escalate(
            known.id,
            for: HandOver.Reason(trigger: "takeover", details: ["requested_by": .string(principal.user.text)]),
            choosing: .one(agent, onDuty: false))
        return .json { json in
            json.object { json in
                json.field("escalation", escalation.snapshot)
                json.field("message", "The call is being handed to \(escalation.agentName ?? "a human").")
            }
        }
    }

    /// `POST /api/v1/calls/{call_id}/handback` — the AI takes the caller back from the human.
    func handBackCall(_ request: Request) async throws -> Response {
        let known = try await call(request, for: .steerCalls)
        let now = Instant.now()
        let call = try await change(known.id) { call, tx in
            guard call.status == .escalated || call.handedOff, !call.status.isTerminal else {
                throw Problem(.badRequest, "No human has this call.")
            }
            if var escalation = try await EscalationStore.open(of: call.id, tx) {
                let spoke = escalation.status == .inProgress
                try await HandOver.close(&escalation, of: &call, as: spoke ? .completed : .cancelled, at: now, tx)
            }
            tx.publish(CommandEvent(callID: call.id, action: .handback))
            let changes = HandOver.giveBack(&call, at: now, tx)
            try await HandOver.serveWaiting(in: call.workspace, at: now, tx)
            return changes
        }
        guard let call else { throw Problem.notFound(.callNotFound) }
        return .json { json in
            json.object { json in
                json.field("success", true)
                json.field("message", "The AI has the call again.")
                json.field("call") { call.snapshot.writeCall(to: &$0) }
            }
        }
    }

    private func escalate(
        _ id: CallID, for reason: HandOver.Reason, choosing choice: HandOver.Choice
    ) async throws -> Escalation {
        let now = Instant.now()
        var made: Escalation?
        _ = try await change(id) { call, tx in
            guard !call.status.isTerminal else {
                throw Problem(.callEnded, "The call has ended; there is nobody left to hand over.")
            }
            let opened = try await HandOver.open(&call, for: reason, choosing: choice, waits: false, at: now, tx)
            switch opened {
            case .reserved(let escalation):
                made = escalation
                return [.moved(from: call.status)]
            case .taken(let escalation):
                throw Problem.conflict("\(escalation.agentName ?? "A human") has this call already.")
            case .waiting, .nobodyFree:
                throw Problem(.noAgentAvailable, "No human agent is free to take this call right now.")
            }
        }
        guard let made else { throw Problem.notFound(.callNotFound) }
        return made
    }
}
