import HTTP
import Messaging
import Postgres
import Runtime
import Shared

/// Callers and callees nobody wants to deal with.
extension Telephony {
    private static let rejected = Metrics.shared.counter(
        "switchboard_calls_rejected_total", "Inbound calls rejected because the caller is on the blacklist.")

    func onBlacklist(_ event: BlacklistEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .blocked(let entry):
            // People and addresses are auth's business.
            guard entry.kind.isNumber, let range = NumberRange(entry.value) else { return }
            try await BlockedNumberStore.put(entry, range, tx)
        case .lifted(let id):
            try await BlockedNumberStore.lift(id, tx)
        }
    }

    /// What a caller on the blacklist hears: nothing. The carrier is told to reject the call, which costs nobody anything;
    /// it is counted and leaves no call behind, or whoever rings all day would fill the lists and use up the plan.
    /// - Returns: nil for everybody else.
    func rejection(of caller: PhoneNumber?, in workspace: WorkspaceID, _ tx: borrowing Transaction) async throws
        -> TwiML?
    {
        // Who withholds their number cannot be told apart.
        guard let caller, try await BlockedNumberStore.isBlocked(caller, in: workspace, tx) else { return nil }
        Self.rejected.add()
        log.info("call.rejected", ("from", .string(caller.masked)), ("workspace", .string(workspace.text)))
        return .reject
    }
}
