import Runtime
import Shared

/// The programs behind the gateway, and a pool of connections to each, per loop.
///
/// A setting names a replica or, by a DNS name, any number of them: every address of the name is one. Names are looked up
/// again and again, so that replicas may come and go.
final class Upstreams: Component {
    let name = "upstreams"
    private let configured: [Owner: [Endpoint]]
    private let resolve: @Sendable (Endpoint) async throws -> [Endpoint]
    private let log: Log
    private let lock = Lock()
    // Guarded by `lock`. A handful of loops: walking them is quicker than a hash.
    nonisolated(unsafe) private var loops: [OfLoop] = []
    nonisolated(unsafe) private var known: [Owner: [Endpoint]]
    /// Counts changes of `known`.
    nonisolated(unsafe) private var edition = 0

    private struct OfLoop {
        let loop: ObjectIdentifier
        let pools: [UpstreamPool]
        /// The edition its pools follow.
        var edition: Int
    }

    private static let lookEvery: Duration = .seconds(2)

    /// - Parameter resolve: the replicas that an endpoint of the settings stands for.
    init(
        _ configured: [Owner: [Endpoint]], _ log: Log,
        resolve: @escaping @Sendable (Endpoint) async throws -> [Endpoint] = { try await $0.resolved() }
    ) {
        self.configured = configured
        self.resolve = resolve
        self.log = log
        // Until a name has been looked up it stands for itself: connecting looks it up.
        known = configured
    }

    func pool(_ owner: Owner) -> UpstreamPool {
        let loop = ObjectIdentifier(EventLoop.required())
        return lock.withLock {
            for place in loops.indices where loops[place].loop == loop {
                if loops[place].edition != edition {
                    for pool in loops[place].pools { pool.follow(known[pool.owner] ?? []) }
                    loops[place].edition = edition
                }
                return loops[place].pools[owner.place]
            }
            let pools = Owner.allCases.map { UpstreamPool($0, known[$0] ?? []) }
            loops.append(OfLoop(loop: loop, pools: pools, edition: edition))
            return pools[owner.place]
        }
    }

    /// As configured, for those who ask anyone of a program.
    func urls(_ owner: Owner) -> [String] {
        (configured[owner] ?? []).map { "http://\($0.host.contains(":") ? "[\($0.host)]" : $0.host):\($0.port)" }
    }

    func start(on group: EventLoopGroup) async throws {
        guard configured.values.joined().contains(where: \.isName) else { return }
        group.loops[0].spawn("upstreams") { [self] in
            while !Task.isCancelled {
                await look()
                try? await EventLoop.sleep(for: Self.lookEvery)
            }
        }
    }

    /// Looks all names up, once.
    func look() async {
        for (owner, endpoints) in configured where endpoints.contains(where: \.isName) { await look(owner, endpoints) }
    }

    /// A name that nobody answers for keeps what it stood for: a resolver that is away takes no replica with it.
    private func look(_ owner: Owner, _ endpoints: [Endpoint]) async {
        var found: [Endpoint] = []
        for endpoint in endpoints {
            do {
                for one in try await resolve(endpoint) where !found.contains(one) { found.append(one) }
            } catch {
                return
            }
        }
        guard !found.isEmpty else { return }
        let isNews = lock.withLock {
            guard Set(known[owner] ?? []) != Set(found) else { return false }
            known[owner] = found
            edition += 1
            return true
        }
        if isNews {
            log.info(
                "upstreams.changed", ("program", "\(owner.rawValue)"),
                ("replicas", "\(found.map { "\($0.host):\($0.port)" }.joined(separator: " "))"))
        }
    }
}
