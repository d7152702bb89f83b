import HTTP
import Runtime
import Shared

/// Connections of one loop to the replicas of one program.
///
/// `@unchecked Sendable`: confined to its loop; closures of answers that stream carry it and run there.
final class UpstreamPool: @unchecked Sendable {
    let owner: Owner
    private var replicas: Replicas
    private var idle: [[Upstream]]
    private let failures: Counter
    var retries = RetryBudget()

    /// Idle connections kept per replica and loop: enough for the bursts of one loop, few enough to forget.
    private static let idleMax = 64
    private static let connectMax: Duration = .seconds(2)

    init(_ owner: Owner, _ endpoints: [Endpoint]) {
        self.owner = owner
        replicas = Replicas(endpoints)
        idle = endpoints.map { _ in [] }
        failures = Metrics.shared.counter(
            "switchboard_upstream_failures_total", "Replicas that could not be reached or broke off.",
            ("program", owner.rawValue))
    }

    /// Takes on what the names stand for now; connections to who is gone are closed as they come to rest.
    func follow(_ endpoints: [Endpoint]) {
        replicas.follow(endpoints)
        idle += Array(repeating: [], count: replicas.all.count - idle.count)
        for (place, replica) in replicas.all.enumerated() where !replica.isListed {
            for connection in idle[place] { connection.close() }
            idle[place] = []
        }
    }

    /// A connection in use; give it back with ``done(_:)`` or ``broken(_:)``, exactly once.
    struct Lease {
        let connection: Upstream
        let replica: Int
    }

    /// The least busy replica, and an open connection to it where one lies idle: what most requests get, without a wait.
    /// A replica without a connection goes on to ``lease(fresh:chosen:tried:)``; nil for both when there is none at all.
    func choose() -> (kept: Lease?, replica: Int?) {
        guard let replica = replicas.choose(now: now) else { return (nil, nil) }
        return (kept(of: replica), replica)
    }

    private func kept(of replica: Int) -> Lease? {
        while let kept = idle[replica].popLast() {
            if kept.isStillOpen() { return Lease(connection: kept, replica: replica) }
            kept.close()
        }
        return nil
    }

    /// An open connection to the least busy replica, reused when one lies idle.
    /// - Parameters:
    ///   - chosen: the replica to begin with, from ``choose()``.
    ///   - tried: replicas that failed this request before; a failing one is added.
    /// - Throws: 502 when no replica is left to try.
    func lease(fresh: Bool = false, chosen: Int? = nil, tried: inout Set<Int>) async throws -> Lease {
        var next = chosen ?? replicas.choose(now: now, except: tried)
        while let replica = next {
            if !fresh, let kept = kept(of: replica) { return kept }
            let endpoint = replicas.all[replica].endpoint
            do {
                let connection = try await Upstream.connect(
                    host: endpoint.host, port: endpoint.port, deadline: Self.connectMax)
                return Lease(connection: connection, replica: replica)
            } catch is CancellationError {
                replicas.abandoned(replica)
                throw CancellationError()
            } catch {
                failures.add()
                replicas.failed(replica, now: now)
                tried.insert(replica)
            }
            next = replicas.choose(now: now, except: tried)
        }
        throw Problem(
            .upstreamUnavailable, "The part of the system that answers this is not reachable; try again shortly.")
    }

    /// The exchange went well: the connection is kept if it can carry another.
    func done(_ lease: Lease) {
        replicas.succeeded(lease.replica)
        if lease.connection.isReusable, replicas.all[lease.replica].isListed, idle[lease.replica].count < Self.idleMax {
            idle[lease.replica].append(lease.connection)
        } else {
            lease.connection.close()
        }
    }

    /// The replica broke off.
    func broken(_ lease: Lease) {
        failures.add()
        replicas.failed(lease.replica, now: now)
        lease.connection.close()
    }

    /// Our own caller went away, or an idle connection turned out to be closed: that says nothing about the replica.
    func abandoned(_ lease: Lease) {
        replicas.abandoned(lease.replica)
        lease.connection.close()
    }

    /// Counts a replica's work as ended well; its connection is somebody else's now.
    func finish(_ replica: Int) { replicas.succeeded(replica) }

    private var now: Double { Double(MonotonicClock.now()) / 1e9 }
}
