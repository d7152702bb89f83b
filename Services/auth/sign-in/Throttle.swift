import Runtime
import Shared

/// How often something failed, and when it may be tried again. Pure.
///
/// The first failures cost nothing: people mistype. Each one after them doubles the wait, from one second up to a quarter
/// of an hour; an hour without a failure forgets them all.
struct Failures: Sendable, Equatable {
    private(set) var count = 0
    private(set) var last = Instant(microseconds: 0)
    /// Tries that are under way: they may turn out to be failures.
    private(set) var pending = 0

    /// So many at once are no person mistyping, but may be programs that share an account.
    static let pendingMax = 64
    static let longest: Duration = .seconds(900)
    static let forgottenAfter: Duration = .seconds(3600)

    /// How long to wait still; zero when there is nothing to wait for.
    func wait(free: Int, now: Instant) -> Duration {
        if pending >= Self.pendingMax { return .seconds(1) }
        guard count > free, !isForgotten(now) else { return .zero }
        let doubled = Duration.seconds(1 << min(count - free - 1, 20))
        return max(.zero, last + min(doubled, Self.longest) - now)
    }

    mutating func begin() { pending += 1 }

    enum End: Sendable { case failed, succeeded, unjudged }

    mutating func end(_ end: End, now: Instant) {
        pending = max(0, pending - 1)
        switch end {
        case .failed:
            if isForgotten(now) { count = 0 }
            count += 1
            last = now
        case .succeeded: count = 0
        case .unjudged: break
        }
    }

    func isForgotten(_ now: Instant) -> Bool { now - last >= Self.forgottenAfter }
}

/// Slows down guessing without ever locking anybody out: what is counted is an account at one address, and an address
/// over all accounts. A stranger elsewhere fills other counters than the account's owner, and a device that has logged
/// in before has a counter of its own, which strangers at its address do not fill either.
///
/// In memory: a replica more or a restart gives a guesser a few tries more, against one in billions. So many at a time may
/// be under way that a burst is some sixty guesses, once.
final class Throttle: Sendable {
    /// What is counted.
    enum Key: Hashable, Sendable {
        /// Log-ins to one account from one address.
        case account(String, address: String)
        /// Log-ins from one address to any account.
        case address(String)
        /// Log-ins from a device that this account knows.
        case device(String, address: String, userAgent: String)
        /// One-time codes of an account, after its password was right.
        case secondFactor(UserID)
        /// Passwords and codes asked for again within a session.
        case confirmation(UserID, SessionID?)

        fileprivate func free(_ perAddress: Int) -> Int {
            if case .address = self { return perAddress }
            return 10
        }
    }

    /// Failures of one address before it has to wait; 0 counts no addresses. An office shares one.
    let perAddress: Int
    private let clock: @Sendable () -> Instant
    private let counted = Guarded<[Key: Failures]>([:])

    /// At about 200 bytes each, 20 MB at most. Each costs a guess from an address that is itself slowed down.
    private static let keysMax = 100_000

    /// - Parameter clock: what tells the time; a test's stands still.
    init(perAddress: Int = 100, clock: @escaping @Sendable () -> Instant = { .now() }) {
        self.perAddress = perAddress
        self.clock = clock
    }

    /// Runs a check. Nil is a failure; an error is no verdict.
    /// - Throws: 429 when one of the keys has to wait, or what the check throws.
    func watch<Found>(_ keys: [Key], _ check: () async throws -> Found?) async throws -> Found? {
        let keys = keys.filter { if case .address = $0 { perAddress > 0 } else { true } }
        try begin(keys, clock())
        do {
            let found = try await check()
            // A check may take long, and the wait begins when it has failed.
            end(keys, found == nil ? .failed : .succeeded, clock())
            return found
        } catch {
            end(keys, .unjudged, clock())
            throw error
        }
    }

    private func begin(_ keys: [Key], _ now: Instant) throws(Problem) {
        let wait = counted.withLock { counted in
            let wait = keys.map { counted[$0]?.wait(free: $0.free(perAddress), now: now) ?? .zero }.max() ?? .zero
            if wait == .zero {
                if counted.count > Self.keysMax { Self.shrink(&counted, now) }
                for key in keys { counted[key, default: Failures()].begin() }
            }
            return wait
        }
        guard wait > .zero else { return }
        throw .rateLimited(retryAfter: Int(wait.components.seconds) + 1)
    }

    private func end(_ keys: [Key], _ end: Failures.End, _ now: Instant) {
        counted.withLock { counted in
            for key in keys {
                guard var failures = counted[key] else { continue }
                // One good log-in says nothing about an address's other guesses.
                if case .address = key, end == .succeeded {
                    failures.end(.unjudged, now: now)
                } else {
                    failures.end(end, now: now)
                }
                counted[key] = failures == Failures() ? nil : failures
            }
        }
    }

    private static func shrink(_ counted: inout [Key: Failures], _ now: Instant) {
        counted = counted.filter { !$0.value.isForgotten(now) || $0.value.pending > 0 }
        guard counted.count > keysMax * 3 / 4 else { return }
        // Those with the least to forget go first.
        let few = counted.sorted { ($0.value.count, $0.value.last) < ($1.value.count, $1.value.last) }
        for (key, _) in few.prefix(keysMax / 4) { counted[key] = nil }
    }
}
