import Counters
import Runtime
import Shared
import Synchronization

/// A fixed window of one minute per caller and class: the reset time of `X-RateLimit-Reset` is then the same second for
/// everyone who was told it. Pure; ``RateLimits`` keeps one per caller.
struct RateWindow: Sendable, Equatable {
    var minute: Int64 = 0
    var used = 0

    struct Answer: Sendable, Equatable {
        var allowed: Bool
        var limit: Int
        var remaining: Int
        /// Unix second at which the window ends.
        var reset: Int64
    }

    /// Counts one request at Unix second `now`.
    mutating func take(limit: Int, now: Int64) -> Answer {
        turn(to: now / 60)
        let allowed = used < limit
        if allowed { used += 1 }
        return answer(allowed, limit)
    }

    /// The same as others have counted it: with this one there are `total`.
    mutating func take(limit: Int, total: Int, minute: Int64) -> Answer {
        // An answer of the minute before may come after the first of this one.
        if minute < self.minute { return Answer(told: total, limit, minute) }
        turn(to: minute)
        // Two answers may come in the wrong order.
        used = max(used, min(total, limit))
        return Answer(told: total, limit, minute)
    }

    /// What can be said without asking anybody: in one minute a count only grows. Nil when it may still be allowed.
    mutating func refusal(limit: Int, now: Int64) -> Answer? {
        turn(to: now / 60)
        return used < limit ? nil : answer(false, limit)
    }

    private mutating func turn(to current: Int64) {
        guard minute != current else { return }
        minute = current
        used = 0
    }

    private func answer(_ allowed: Bool, _ limit: Int) -> Answer {
        Answer(allowed: allowed, limit: limit, remaining: limit - used, reset: (minute + 1) * 60)
    }
}

/// Who is counted: a person over all their tokens, or an address without one.
enum Caller: Hashable, Sendable {
    case user(UserID)
    case address(String)
}

/// One count per process, whichever loop a request runs on; over all gateways when they share ``Counters``
/// (`docs/decisions/0024-one-question-a-request.md`).
final class RateLimits: Sendable {
    struct Settings: Sendable {
        /// Requests per minute; 0 switches the class off.
        var standard = 100
        var analytics = 20
        var anonymous = 60
        /// Simultaneous `/ws/calls` sockets per user.
        var sockets = 10
    }

    let settings: Settings
    private let shards: [Shard]
    private let counters: Counters?
    private let secret: String
    /// Whether a count has to be asked for: then ``takeTogether(_:_:now:)`` is the one to call.
    let areShared: Bool

    /// Sixteen locks: two loops almost never want the same one.
    private static let shardCount = 16
    /// Callers remembered per shard. Above it the whole shard starts anew, which can only favour a caller.
    private static let callersMax = 65_536

    private struct Key: Hashable {
        var caller: Caller
        var analytics: Bool
    }

    /// How a caller is known outside, and the last window that was begun there.
    private struct Told {
        let mark: Counters.Mark
        var minute: Int64 = 0
        var era = 0
    }

    private final class Shard: Sendable {
        let windows = Guarded<[Key: RateWindow]>([:])
        let told = Guarded<[Key: Told]>([:])
        let sockets = Guarded<[UserID: Int]>([:])
    }

    /// - Parameter secret: what callers are disguised with when they are counted elsewhere; the same on all gateways.
    init(_ settings: Settings, together counters: Counters? = nil, secret: String = "") {
        self.settings = settings
        self.counters = counters
        self.secret = secret
        areShared = counters != nil
        shards = (0..<Self.shardCount).map { _ in Shard() }
    }

    /// Counts a request here; nil when its class is not counted.
    func take(_ caller: Caller, _ limitClass: LimitClass, now: Int64) -> RateWindow.Answer? {
        guard let limit = limit(caller, limitClass) else { return nil }
        let key = Key(caller: caller, analytics: limitClass == .analytics)
        return withWindow(key) { $0.take(limit: limit, now: now) }
    }

    /// Counts a request over all gateways, or here alone when nobody answers; nil when its class is not counted.
    func takeTogether(_ caller: Caller, _ limitClass: LimitClass, now: Int64) async -> RateWindow.Answer? {
        guard let counters else { return take(caller, limitClass, now: now) }
        guard let limit = limit(caller, limitClass) else { return nil }
        let key = Key(caller: caller, analytics: limitClass == .analytics)
        var used = 0
        let refusal = withWindow(key) { window in
            let refusal = window.refusal(limit: limit, now: now)
            used = window.used
            return refusal
        }
        if let refusal { return refusal }
        let minute = now / 60
        let (mark, isBegun) = begin(key, minute, era: counters.era)
        guard let total = await counters.count(mark, minute: minute, known: isBegun ? nil : used) else {
            return withWindow(key) { $0.take(limit: limit, now: now) }
        }
        return withWindow(key) { $0.take(limit: limit, total: total, minute: minute) }
    }

    /// nil: not counted.
    private func limit(_ caller: Caller, _ limitClass: LimitClass) -> Int? {
        let limit: Int
        switch (limitClass, caller) {
        case (.uncounted, _): return nil
        case (_, .address): limit = settings.anonymous
        case (.standard, .user): limit = settings.standard
        case (.analytics, .user): limit = settings.analytics
        }
        return limit > 0 ? limit : nil
    }

    private func withWindow<T>(_ key: Key, _ body: (inout RateWindow) -> T) -> T {
        shard(key.caller).windows.withLock { windows in
            if windows.count >= Self.callersMax, windows[key] == nil { windows.removeAll(keepingCapacity: true) }
            return body(&windows[key, default: RateWindow()])
        }
    }

    /// The caller's mark, and whether this gateway has told the counters of its window already.
    private func begin(_ key: Key, _ minute: Int64, era: Int) -> (Counters.Mark, Bool) {
        let shard = shard(key.caller)
        if let (mark, isBegun) = shard.told.withLock({ told -> (Counters.Mark, Bool)? in
            guard let known = told[key] else { return nil }
            told[key]?.minute = minute
            told[key]?.era = era
            return (known.mark, known.minute == minute && known.era == era)
        }) {
            return (mark, isBegun)
        }
        let mark = mark(of: key.caller, key.analytics ? "analytics" : "standard")
        shard.told.withLock { told in
            if told.count >= Self.callersMax { told.removeAll(keepingCapacity: true) }
            told[key] = Told(mark: mark, minute: minute, era: era)
        }
        return (mark, false)
    }

    private func mark(of caller: Caller, _ what: String) -> Counters.Mark {
        switch caller {
        case .user(let id): Counters.Mark("\(what)\0user\0\(id.text)", secret: secret)
        case .address(let text): Counters.Mark("\(what)\0address\0\(text)", secret: secret)
        }
    }

    /// Claims a socket for a user over all gateways; nil when they hold as many as they may.
    func claimSocket(_ user: UserID) async -> SocketClaim? {
        guard settings.sockets > 0 else { return SocketClaim(nil, user, nil) }
        let isFree = shard(.user(user)).sockets.withLock { sockets in
            guard sockets[user, default: 0] < settings.sockets else { return false }
            sockets[user, default: 0] += 1
            return true
        }
        guard isFree else { return nil }
        guard let counters else { return SocketClaim(self, user, nil) }
        guard let lease = await counters.claim(mark(of: .user(user), "sockets"), most: settings.sockets) else {
            releaseSocket(user)
            return nil
        }
        return SocketClaim(self, user, lease)
    }

    fileprivate func releaseSocket(_ user: UserID) {
        shard(.user(user)).sockets.withLock { sockets in
            let left = sockets[user, default: 1] - 1
            sockets[user] = left > 0 ? left : nil
        }
    }

    private func shard(_ caller: Caller) -> Shard {
        let spread: UInt64 =
            switch caller {
            case .user(let id): id.low
            case .address(let text): UInt64(text.utf8.last ?? 0)
            }
        return shards[Int(spread % UInt64(Self.shardCount))]
    }
}

/// One of a user's sockets, counted for as long as somebody holds on to this: a handshake that comes to nothing gives it
/// back as a closed socket does.
final class SocketClaim: Sendable {
    private let limits: RateLimits?
    private let user: UserID
    private let lease: Counters.Lease?
    private let isHeld = Atomic<Bool>(true)

    fileprivate init(_ limits: RateLimits?, _ user: UserID, _ lease: Counters.Lease?) {
        self.limits = limits
        self.user = user
        self.lease = lease
    }

    func release() {
        guard isHeld.exchange(false, ordering: .acquiringAndReleasing) else { return }
        limits?.releaseSocket(user)
        lease?.release()
    }

    deinit { release() }
}

extension RateWindow.Answer {
    /// What is said of a window in which others have counted `total`.
    fileprivate init(told total: Int, _ limit: Int, _ minute: Int64) {
        self.init(
            allowed: total <= limit, limit: limit, remaining: limit - min(total, limit), reset: (minute + 1) * 60)
    }
}
