import Messaging
import Postgres
import Shared

/// Reactions to telephony: every call is counted when it starts and its seconds when it ends, exactly once.
struct MeterCalls: Sendable {
    func onCall(_ event: CallEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .started(let call): try await meter(call, seconds: 0, ended: false, tx)
        case .ended(let call): try await meter(call, seconds: Int64(call.durationSeconds ?? 0), ended: true, tx)
        case .updated(let call):
            // The carrier may correct a duration after the end; before the end there is nothing to meter.
            guard let seconds = call.durationSeconds, call.endedAt != nil else { return }
            try await meter(call, seconds: Int64(seconds), ended: true, tx)
        default: return
        }
    }

    private func meter(_ call: CallSnapshot, seconds: Int64, ended: Bool, _ tx: borrowing Transaction) async throws {
        // A call's end may come after its workspace was erased.
        guard try await !tx.isErased(.workspace(call.workspaceID)) else { return }
        guard let terms = try await UsageStore.terms(of: call.workspaceID, at: call.startedAt, tx) else {
            throw NoFreePlan()
        }
        guard
            let change = try await UsageStore.meter(
                call, seconds: seconds, ended: ended, periodStart: terms.periodStart, tx)
        else { return }
        guard change.calls != 0 || change.seconds != 0 else { return }
        guard
            let total = try await UsageStore.add(change, to: call.workspaceID, periodStart: terms.periodStart, tx)
        else { return }
        tx.publish(
            UsageEvent.recorded(
                workspaceID: call.workspaceID, callID: call.id, seconds: change.seconds,
                period: terms.periodStart.iso, totalSeconds: total.seconds))
        Limits.announce(total, terms, call.workspaceID, tx)
    }

    /// The free plan is written at start; without it nothing can be metered.
    struct NoFreePlan: Error {}
}
