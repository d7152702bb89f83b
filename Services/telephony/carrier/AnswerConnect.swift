import HTTP
import Runtime
import Shared

extension Telephony {
    /// A relay that breaks so often is not coming back.
    static let reconnectsMax = 20

    /// `POST /api/calls/twilio-connect/` — the `<Connect>` action: the relay session is over, what now?
    func answerConnect(_ request: Request) async throws -> Response {
        let form = try await request.urlEncoded()
        try verify(request, form)
        let ending = RelayEnding(query: request.query, form: form)
        do {
            return .twiml(try await withDeadline(Self.webhookWithin) { try await self.next(after: ending) })
        } catch {
            log.error("connect.failed", ("error", "\(error)"))
            // A conversation that was over stays over; any other goes on as soon as we know with whom.
            let goesOn = ending.isBroken || ending.handoff?.reason == .human
            guard goesOn, let call = ending.call else { return .twiml(.hangup) }
            return .twiml(.wait(then: links.voice(call)))
        }
    }

    private func next(after ending: RelayEnding) async throws -> TwiML {
        let found: Call? =
            if let id = ending.call { try await CallStore.find(id, in: database) } else {
                try await CallStore.find(sid: ending.sid, in: database)
            }
        guard let call = found, call.sid == nil || call.sid == ending.sid, !call.status.isTerminal else {
            return .hangup
        }
        if let state = ending.dialled { return try await putThrough(call, state) }
        if call.handedOff { return try await handOver(call) }
        if ending.handoff?.reason == .human {
            // The human was lost between the handoff and now; the AI goes on.
            return try await instructions(for: call)
        }
        guard ending.isBroken else { return .hangup }
        let epoch = try await ReactionStore.epoch(of: call.id, in: database)
        return epoch < Self.reconnectsMax ? try await instructions(for: call) : .apology
    }

    /// The AI has let the caller go: from here on the call counts as escalated.
    private func handOver(_ known: Call) async throws -> TwiML {
        let now = Instant.now()
        let call = try await change(known.id) { call, tx in
            guard call.handedOff else { return nil }
            if try await !HandOver.isWarm(call, tx), var escalation = try await EscalationStore.open(of: call.id, tx),
                escalation.status == .pending
            {
                // Put straight through: nobody else will say that the human has the caller.
                return try await HandOver.accept(&escalation, of: &call, at: now, tx)
            }
            let changes = call.escalate(at: now)
            return changes.isEmpty ? nil : changes
        }
        guard let call, !call.status.isTerminal else { return .hangup }
        return call.handedOff ? try await bridge(call) : try await instructions(for: call)
    }
}

extension Telephony {
    /// The caller was put straight through to a human, and that is over. One who did not answer is followed by the next.
    private func putThrough(_ known: Call, _ state: CarrierState) async throws -> TwiML {
        guard state != .completed, state != .inProgress else { return .hangup }
        let now = Instant.now()
        let call = try await change(known.id) { call, tx in
            guard !call.status.isTerminal, var escalation = try await EscalationStore.open(of: call.id, tx) else {
                return nil
            }
            return try await HandOver.next(&escalation, of: &call, asks: true, at: now, tx)
        }
        guard let call, !call.status.isTerminal else { return .hangup }
        return call.handedOff ? try await handOver(call) : try await instructions(for: call)
    }
}

/// What the `<Connect>` action is told about a relay session that is over.
struct RelayEnding: Sendable, Equatable {
    let sid: String
    let call: CallID?
    let status: String
    let errorCode: String?
    let handoff: Handoff?
    /// How the `<Dial>` to a human went, when this is its action.
    let dialled: CarrierState?

    init(query: [(String, String)], form: [(String, String)]) {
        func field(_ name: String) -> String? { form.last { $0.0 == name }?.1 }
        sid = field("CallSid") ?? ""
        call = query.last { $0.0 == "call" }.flatMap { CallID($0.1) }
        status = field("SessionStatus") ?? ""
        errorCode = field("ErrorCode").flatMap { $0.isEmpty || $0 == "0" ? nil : $0 }
        handoff = field("HandoffData").flatMap { Handoff($0) }
        dialled = field("DialCallStatus").flatMap { CarrierState(carrier: $0) }
    }

    /// The socket broke while both sides were still talking.
    var isBroken: Bool { handoff == nil && (status == "failed" || errorCode != nil) }
}
