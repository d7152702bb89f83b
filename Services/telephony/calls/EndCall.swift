import HTTP
import Messaging
import Postgres
import Shared

extension Telephony {
    /// `POST /api/v1/calls/{call_id}/end` — ends the call in our books at once and at the carrier right after.
    ///
    /// Ending a call that has ended is no error: two managers may press the button.
    func endCall(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let known = try await call(request, for: .steerCalls)
        var form = try await request.optionalForm()
        let reason = form.optionalString("reason", max: 500)
        let notes = form.optionalString("notes", max: 10_000)
        try form.finish()
        let now = Instant.now()
        let call = try await change(known.id) { call, tx in
            if let notes, !notes.isEmpty {
                _ = try await NoteStore.add(notes, tags: [], category: "end", to: call, by: principal.user, at: now, tx)
            }
            guard !call.status.isTerminal else { return nil }
            if let reason, !reason.isEmpty { call.metadata["end_reason"] = .string(reason) }
            if let sid = call.sid { OrderStore.hangUp(sid, call: call.id, tx) }
            return call.answeredAt == nil
                ? call.fail(CarrierState.canceled.rawValue, at: now) : call.end(at: now)
        }
        guard let call else { throw Problem.notFound(.callNotFound) }
        let message = known.status.isTerminal ? "The call had ended already." : "The call has been ended."
        return .json { json in
            json.object { json in
                json.field("success", true)
                json.field("message", message)
                json.field("call") { call.snapshot.writeCall(to: &$0) }
            }
        }
    }
}
