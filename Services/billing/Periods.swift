import Messaging
import Postgres
import Runtime
import Shared

/// Writes the free plan at start, tells subscriptions whose plan has changed, and moves them into their next period when
/// the old one is over: limits that were reached are cleared with it.
final class Periods: Component {
    let name = "periods"
    private let free: FreePlan
    private let database: Database
    private let log: Log

    private static let lookEvery: Duration = .seconds(60)
    private static let batchMax = 500

    init(_ free: FreePlan, _ database: Database, _ log: Log) {
        self.free = free
        self.database = database
        self.log = log
    }

    func start(on group: EventLoopGroup) async throws {
        try await PlanStore.keep(free, database)
        group.loops[0].spawn("periods") { [self] in
            while !Task.isCancelled {
                do {
                    while try await tellPlans(now: .now()) == Self.batchMax {}
                    while try await renew(now: .now()) == Self.batchMax {}
                } catch is CancellationError {
                    return
                } catch {
                    log.warn("periods.not_renewed", ("error", "\(error)"))
                }
                try? await EventLoop.sleep(for: Self.lookEvery)
            }
        }
    }

    /// Tells up to ``batchMax`` subscriptions what their plan allows now; returns how many.
    func tellPlans(now: Instant) async throws -> Int {
        try await database.transaction { tx in
            let told = try await SubscriptionStore.behind(limit: Self.batchMax, tx)
            for subscription in told {
                tx.publish(SubscriptionEvent.changed(subscription))
                try await Limits.review(subscription.workspaceID, at: now, tx)
            }
            return told.count
        }
    }

    /// Moves up to ``batchMax`` subscriptions on; returns how many.
    func renew(now: Instant) async throws -> Int {
        try await database.transaction { tx in
            let moved = try await SubscriptionStore.renew(now: now, limit: Self.batchMax, tx)
            for subscription in moved {
                tx.publish(SubscriptionEvent.changed(subscription))
                // Whether it had been reached or not: clearing what is clear changes nothing.
                tx.publish(UsageEvent.limitCleared(workspaceID: subscription.workspaceID, limit: .calls))
                tx.publish(UsageEvent.limitCleared(workspaceID: subscription.workspaceID, limit: .minutes))
            }
            return moved.count
        }
    }
}
