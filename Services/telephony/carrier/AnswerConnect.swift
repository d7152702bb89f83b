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
            return .twiml(.apology)
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
        let call = try await change(known.id) { call, _ in
            let changes = call.handedOff ? call.escalate(at: now) : []
            return changes.isEmpty ? nil : changes
        }
        guard let call, !call.status.isTerminal else { return .hangup }
        return call.handedOff ? try await bridge(call) : try await instructions(for: call)
    }
}

/// What the `<Connect>` action is told about a relay session that is over.
struct RelayEnding: Sendable, Equatable {
    let sid: String
    let call: CallID?
    let status: String
    let errorCode: String?
    let handoff: Handoff?

    init(query: [(String, String)], form: [(String, String)]) {
        func field(_ name: String) -> String? { form.last { $0.0 == name }?.1 }
        sid = field("CallSid") ?? ""
        call = query.last { $0.0 == "call" }.flatMap { CallID($0.1) }
        status = field("SessionStatus") ?? ""
        errorCode = field("ErrorCode").flatMap { $0.isEmpty || $0 == "0" ? nil : $0 }
        handoff = field("HandoffData").flatMap { Handoff($0) }
    }

    /// The socket broke while both sides were still talking.
    var isBroken: Bool { handoff == nil && (status == "failed" || errorCode != nil) }
}
