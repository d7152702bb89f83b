import Runtime

/// Where a replica listens: a name or an address in digits, and a port.
struct Endpoint: Hashable, Sendable {
    let host: String
    let port: Int

    /// One address of a name may be one replica, another the next.
    var isName: Bool { Address(host: host, port: port) == nil }

    /// One for every address the name has now.
    func resolved() async throws -> [Endpoint] {
        try await Address.resolve(host, port: port).map { Endpoint(host: $0.host, port: port) }
    }
}

extension Endpoint {
    /// `http://host:port` of a setting; nil for anything else. Inside, programs speak plain HTTP to each other.
    init?(url: some StringProtocol) {
        guard url.hasPrefix("http://") else { return nil }
        let authority = url.dropFirst(7).prefix { $0 != "/" }
        let bare = { (host: Substring) in String(host.filter { $0 != "[" && $0 != "]" }) }
        let end = authority.lastIndex(of: "]") ?? authority.startIndex
        guard let colon = authority[end...].lastIndex(of: ":") else {
            self.init(host: bare(Substring(authority)), port: 80)
            return
        }
        guard let port = Int(authority[authority.index(after: colon)...]), (1...65_535).contains(port) else {
            return nil
        }
        self.init(host: bare(Substring(authority[..<colon])), port: port)
    }
}

/// Which replica of a program gets the next request: the healthy one with the fewest requests under way. Pure: times come
/// in, choices come out; ``UpstreamPool`` performs them.
struct Replicas: Sendable {
    struct Replica: Sendable {
        let endpoint: Endpoint
        /// False once no name stands for it any more: it gets nothing new.
        var isListed = true
        var outstanding = 0
        /// Failures in a row; the first success clears them.
        var failures = 0
        /// Not chosen before this time (seconds on a monotonic clock), unless all are out.
        var outUntil = 0.0
    }

    private(set) var all: [Replica]
    /// Ties go round, so that idle replicas share the load.
    private var turn = 0

    /// A replica that fails is left alone for 0.25 s, then twice as long each time, up to 5 s: long enough not to slow
    /// every request, short enough that a restarted program is back at once.
    static let backoffMin = 0.25
    static let backoffMax = 5.0

    init(_ endpoints: [Endpoint]) {
        all = endpoints.map { Replica(endpoint: $0) }
    }

    /// Takes on what the names stand for now. Who stayed keeps their state and place; who is gone gets nothing more, and
    /// their place goes to a newcomer once the last request there has ended.
    mutating func follow(_ endpoints: [Endpoint]) {
        var new = endpoints
        for index in all.indices {
            let known = new.firstIndex(of: all[index].endpoint)
            all[index].isListed = known != nil
            if let known { new.remove(at: known) }
        }
        for endpoint in new {
            if let free = all.firstIndex(where: { !$0.isListed && $0.outstanding == 0 }) {
                all[free] = Replica(endpoint: endpoint)
            } else {
                all.append(Replica(endpoint: endpoint))
            }
        }
    }

    /// The index of the replica to try, leaving out those in `tried`; nil when none is left.
    mutating func choose(now: Double, except tried: Set<Int> = []) -> Int? {
        guard !all.isEmpty else { return nil }
        turn = (turn + 1) % all.count
        var best: Int?
        var fallback: Int?
        for step in 0..<all.count {
            let index = (turn + step) % all.count
            if !all[index].isListed || tried.contains(index) { continue }
            if all[index].outUntil > now {
                // Everyone is out: try the one that comes back first rather than refuse unseen.
                if fallback.map({ all[index].outUntil < all[$0].outUntil }) ?? true { fallback = index }
                continue
            }
            if best.map({ all[index].outstanding < all[$0].outstanding }) ?? true { best = index }
        }
        guard let chosen = best ?? fallback else { return nil }
        all[chosen].outstanding += 1
        return chosen
    }

    mutating func succeeded(_ index: Int) {
        all[index].outstanding -= 1
        all[index].failures = 0
        all[index].outUntil = 0
    }

    /// The replica could not be reached, or broke off before it answered.
    mutating func failed(_ index: Int, now: Double) {
        all[index].outstanding -= 1
        all[index].failures += 1
        let wait = Self.backoffMin * Double(1 << min(all[index].failures - 1, 5))
        all[index].outUntil = now + min(wait, Self.backoffMax)
    }

    /// The caller went away: that says nothing about the replica.
    mutating func abandoned(_ index: Int) { all[index].outstanding -= 1 }
}
