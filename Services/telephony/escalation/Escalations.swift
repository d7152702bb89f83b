import HTTP
import Messaging
import Postgres
import Shared

extension Telephony {
    /// `GET /api/v1/escalations`
    func listEscalations(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = request.queryForm
        let page = Page(manager: &form)
        let filter = EscalationFilter(&form, tenancy: principal.tenancy)
        try form.finishRefusingUnknown()
        let listed = try await ReadEscalations.page(filter, page, in: database)
        return Response.json { json in
            json.object { json in
                json.field("escalations", listed.escalations.map(\.snapshot))
                page.writePagination(to: &json, total: listed.total, next: listed.next)
            }
        }
    }

    /// `POST /api/v1/escalations/{escalation_id}/accept` — a human takes the caller, without or before the telephone.
    func acceptEscalation(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let known = try await changeableEscalation(request)
        var form = try await request.optionalForm()
        let named = form.optionalID("agent_id", as: HumanAgentID.self)
        try form.finish()
        let own = try await HumanAgentStore.id(of: principal.user, in: known.workspace, in: database)
        let now = Instant.now()
        return try await settle(known, "The call is yours.") { escalation, call, tx in
            guard escalation.status == .pending else {
                throw Problem.conflict("The escalation is \(escalation.status.rawValue) already.")
            }
            // The one who says "mine" gets it; without a name it stays with whom it was meant for.
            if let agent = named ?? own ?? escalation.agent, agent != escalation.agent {
                // Whoever is being called for it hears that it is taken.
                OrderStore.dismissAgents(of: escalation, tx)
                try await EscalationStore.release(call.id, handled: false, at: now, tx)
                guard
                    let human = try await EscalationStore.reserve(
                        agent, in: call.workspace, for: call.id, onDuty: false, tx)
                else { throw Problem(.noAgentAvailable, "That human agent is not free.") }
                escalation.agent = human.id
                escalation.agentName = human.name
                escalation.assignedAt = now
                call.assigned = Call.Person(id: human.id, name: human.name)
                if let phone = human.phone {
                    OrderStore.dial(human.id, at: phone, from: call.ownNumber, for: escalation, tx)
                }
            }
            guard escalation.agent != nil else {
                throw Problem.validation("agent_id", "is required: nobody is assigned yet")
            }
            if !call.handedOff {
                call.handedOff = true
                tx.publish(CommandEvent(callID: call.id, action: .transfer, agentID: escalation.agent))
            }
            return try await HandOver.accept(&escalation, of: &call, at: now, tx)
        }
    }

    /// `POST /api/v1/escalations/{escalation_id}/complete`
    func completeEscalation(_ request: Request) async throws -> Response {
        let known = try await changeableEscalation(request)
        let now = Instant.now()
        return try await settle(known, "The escalation is completed.") { escalation, call, tx in
            guard escalation.status == .inProgress else {
                throw Problem.conflict(
                    "The escalation is \(escalation.status.rawValue); only one in progress completes.")
            }
            try await HandOver.close(&escalation, of: &call, as: .completed, at: now, tx)
            try await HandOver.serveWaiting(in: call.workspace, at: now, tx)
            return [.moved(from: call.status)]
        }
    }

    /// `POST /api/v1/escalations/{escalation_id}/cancel` — the AI keeps the caller, or takes them back.
    func cancelEscalation(_ request: Request) async throws -> Response {
        let known = try await changeableEscalation(request)
        let now = Instant.now()
        return try await settle(known, "The escalation is cancelled.") { escalation, call, tx in
            guard escalation.status.isOpen else {
                throw Problem.conflict("The escalation is \(escalation.status.rawValue) already.")
            }
            try await HandOver.close(&escalation, of: &call, as: .cancelled, at: now, tx)
            tx.publish(CommandEvent(callID: call.id, action: .handback))
            let changes = HandOver.giveBack(&call, at: now, tx)
            try await HandOver.serveWaiting(in: call.workspace, at: now, tx)
            return changes.isEmpty ? [.moved(from: call.status)] : changes
        }
    }

    private func changeableEscalation(_ request: Request) async throws -> Escalation {
        let principal = try request.requirePrincipal()
        let id = try request.pathNumber("escalation_id", or: .escalationNotFound)
        guard let escalation = try await EscalationStore.find(id, in: database),
            principal.tenancy.contains(escalation.workspace)
        else { throw Problem.notFound(.escalationNotFound) }
        try principal.require(.steerCalls, in: escalation.workspace)
        return escalation
    }

    private func settle(
        _ known: Escalation, _ message: String,
        _ body: (inout Escalation, inout Call, borrowing Transaction) async throws -> [CallChange]
    ) async throws -> Response {
        var settled: Escalation?
        _ = try await change(known.call) { call, tx in
            guard var escalation = try await EscalationStore.find(known.id, tx) else {
                throw Problem.notFound(.escalationNotFound)
            }
            let changes = try await body(&escalation, &call, tx)
            settled = escalation
            // Nothing that happens to an escalation ends its call.
            return call.status.isTerminal ? nil : changes
        }
        guard let escalation = settled else { throw Problem.notFound(.escalationNotFound) }
        return .json { json in
            json.object { json in
                json.field("escalation", escalation.snapshot)
                json.field("message", message)
            }
        }
    }
}
