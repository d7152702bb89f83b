/// Which replica of a program gets the next request: the healthy one with the fewest requests under way. Pure: times come
/// in, choices come out; ``UpstreamPool`` performs them.
struct Replicas: Sendable {
    struct Replica: Sendable {
        let host: String
        let port: Int
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

    init(_ addresses: [(host: String, port: Int)]) {
        all = addresses.map { Replica(host: $0.host, port: $0.port) }
    }

    /// The index of the replica to try, leaving out those in `tried`; nil when none is left.
    mutating func choose(now: Double, except tried: Set<Int> = []) -> Int? {
        guard !all.isEmpty else { return nil }
        turn = (turn + 1) % all.count
        var best: Int?
        var fallback: Int?
        for step in 0..<all.count {
            let index = (turn + step) % all.count
            if tried.contains(index) { continue }
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
