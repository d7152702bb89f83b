import Postgres
import Runtime
import Shared

/// Keeps the queue moving: sends humans to the calls that wait for one, and the next human where one does not come.
///
/// Most waiting ends inside the transaction that frees a human. What that one could not see or lock (somebody began to
/// wait in the same moment, the caller was just speaking), and what a crash or a lost callback left behind, is found
/// here: after each commit that may have freed somebody, and every second. What waits is in the database, so every
/// replica may look; rows' locks order them.
final class WaitingCalls: Component {
    let name = "waiting-calls"
    private let telephony: Telephony
    private let log: Log
    private let tasks = TaskBag()

    private static let batchMax = 50

    init(_ telephony: Telephony) {
        self.telephony = telephony
        log = telephony.log.child(("component", "waiting-calls"))
    }

    func start(on group: EventLoopGroup) async throws {
        tasks.add(group.next().spawn("waiting-calls") { await self.run() })
    }

    func stop(deadline: Duration) async { await tasks.stop() }

    private func run() async {
        let woken = telephony.callsWaiting.listen()
        while !Task.isCancelled {
            do {
                try await look(at: .now())
                try await woken.wait(atMost: .seconds(1))
            } catch is CancellationError {
                return
            } catch {
                log.warn("waiting_calls.failed", ("error", "\(error)"))
                try? await EventLoop.sleep(for: .seconds(1))
            }
        }
    }

    /// One look at everything that waits.
    func look(at now: Instant) async throws {
        let database = telephony.database
        for late in try await EscalationStore.unanswered(
            since: now - telephony.policy.humanWithin, max: Self.batchMax, in: database)
        {
            try await pass(late.id, of: late.call, at: now)
        }
        for id in try await EscalationStore.waiting(max: Self.batchMax, in: database) {
            try await database.transaction { (tx: borrowing Transaction) in
                guard let call = try await CallStore.lock(id, tx) else { return }
                if try await HandOver.serve(call, at: now, tx) {
                    let orders = telephony.ordersWaiting
                    tx.onCommit { orders.fire() }
                }
            }
        }
    }

    /// Nobody said so, but this human is not coming.
    private func pass(_ id: Int64, of call: CallID, at now: Instant) async throws {
        _ = try await telephony.change(call) { call, tx in
            guard !call.status.isTerminal, var escalation = try await EscalationStore.find(id, tx),
                escalation.status == .pending, escalation.agent != nil,
                (escalation.assignedAt ?? escalation.requestedAt) < now - telephony.policy.humanWithin
            else { return nil }
            log.info("escalation.unanswered", ("escalation", .int(id)), ("call", "\(call.id.text)"))
            OrderStore.dismissAgents(of: escalation, tx)
            return try await HandOver.next(&escalation, of: &call, at: now, tx)
        }
    }
}
