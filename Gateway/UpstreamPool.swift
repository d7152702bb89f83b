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

    init(_ owner: Owner, _ addresses: [(host: String, port: Int)]) {
        self.owner = owner
        replicas = Replicas(addresses)
        idle = addresses.map { _ in [] }
        failures = Metrics.shared.counter(
            "switchboard_upstream_failures_total", "Replicas that could not be reached or broke off.",
            ("program", owner.rawValue))
    }

    /// A connection in use; give it back with ``done(_:)`` or ``broken(_:)``, exactly once.
    struct Lease {
        let connection: Upstream
        let replica: Int
    }

    /// An open connection to the least busy replica, reused when one lies idle.
    /// - Parameter tried: replicas that failed this request before; a failing one is added.
    /// - Throws: 502 when no replica is left to try.
    func lease(fresh: Bool = false, tried: inout Set<Int>) async throws -> Lease {
        while let replica = replicas.choose(now: now, except: tried) {
            while !fresh, let kept = idle[replica].popLast() {
                if kept.isStillOpen() { return Lease(connection: kept, replica: replica) }
                kept.close()
            }
            let address = replicas.all[replica]
            do {
                let connection = try await Upstream.connect(
                    host: address.host, port: address.port, deadline: Self.connectMax)
                return Lease(connection: connection, replica: replica)
            } catch is CancellationError {
                replicas.abandoned(replica)
                throw CancellationError()
            } catch {
                failures.add()
                replicas.failed(replica, now: now)
                tried.insert(replica)
            }
        }
        throw Problem(
            .upstreamUnavailable, "The part of the system that answers this is not reachable; try again shortly.")
    }

    /// The exchange went well: the connection is kept if it can carry another.
    func done(_ lease: Lease) {
        replicas.succeeded(lease.replica)
        if lease.connection.isReusable, idle[lease.replica].count < Self.idleMax {
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

    var isReachable: Bool { replicas.all.contains { $0.outUntil <= now } }

    private var now: Double { Self.origin.duration(to: .now).inSeconds }
    private static let origin = ContinuousClock.now
}

/// Every program's pool, per loop.
///
/// `@unchecked Sendable`: `pools` is filled before the loops start; each entry is touched on its own loop only.
final class Upstreams: @unchecked Sendable {
    private let addresses: [Owner: [(host: String, port: Int)]]
    private let lock = Lock()
    private var pools: [ObjectIdentifier: [Owner: UpstreamPool]] = [:]

    init(_ addresses: [Owner: [(host: String, port: Int)]]) { self.addresses = addresses }

    func pool(_ owner: Owner) -> UpstreamPool {
        let loop = EventLoop.required()
        return lock.withLock {
            if let known = pools[ObjectIdentifier(loop)]?[owner] { return known }
            let pool = UpstreamPool(owner, addresses[owner] ?? [])
            pools[ObjectIdentifier(loop), default: [:]][owner] = pool
            return pool
        }
    }

    func urls(_ owner: Owner) -> [String] { (addresses[owner] ?? []).map { "http://\($0.host):\($0.port)" } }

    /// `http://host:port` of a setting.
    static func address(_ url: String) -> (host: String, port: Int)? {
        guard url.hasPrefix("http://") else { return nil }
        let authority = url.dropFirst(7).prefix { $0 != "/" }
        guard let colon = authority.lastIndex(of: ":") else { return (String(authority), 80) }
        guard let port = Int(authority[authority.index(after: colon)...]), (1...65_535).contains(port) else {
            return nil
        }
        let host = authority[..<colon].filter { $0 != "[" && $0 != "]" }
        return (String(host), port)
    }
}
