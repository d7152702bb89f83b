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
        let current = now / 60
        if minute != current {
            minute = current
            used = 0
        }
        let allowed = used < limit
        if allowed { used += 1 }
        return Answer(allowed: allowed, limit: limit, remaining: limit - used, reset: (current + 1) * 60)
    }
}

/// Who is counted: a person over all their tokens, or an address without one.
enum Caller: Hashable, Sendable {
    case user(UserID)
    case address(String)
}

/// One count per process, whichever loop a request runs on.
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

    /// Sixteen locks: two loops almost never want the same one.
    private static let shardCount = 16
    /// Callers remembered per shard. Above it the whole shard starts anew, which can only favour a caller.
    private static let callersMax = 65_536

    private struct Key: Hashable {
        var caller: Caller
        var analytics: Bool
    }

    private final class Shard: Sendable {
        let windows = Mutex<[Key: RateWindow]>([:])
        let sockets = Mutex<[UserID: Int]>([:])
    }

    init(_ settings: Settings) {
        self.settings = settings
        shards = (0..<Self.shardCount).map { _ in Shard() }
    }

    /// Counts a request; nil when its class is not counted.
    func take(_ caller: Caller, _ limitClass: LimitClass, now: Int64) -> RateWindow.Answer? {
        let limit: Int
        switch (limitClass, caller) {
        case (.uncounted, _): return nil
        case (_, .address): limit = settings.anonymous
        case (.standard, .user): limit = settings.standard
        case (.analytics, .user): limit = settings.analytics
        }
        guard limit > 0 else { return nil }
        let key = Key(caller: caller, analytics: limitClass == .analytics)
        return shard(caller).windows.withLock { windows in
            if windows.count >= Self.callersMax, windows[key] == nil { windows.removeAll(keepingCapacity: true) }
            return windows[key, default: RateWindow()].take(limit: limit, now: now)
        }
    }

    /// Claims a socket for a user; false when they hold as many as they may. Every true needs a ``releaseSocket(_:)``.
    func claimSocket(_ user: UserID) -> Bool {
        guard settings.sockets > 0 else { return true }
        return shard(.user(user)).sockets.withLock { sockets in
            guard sockets[user, default: 0] < settings.sockets else { return false }
            sockets[user, default: 0] += 1
            return true
        }
    }

    func releaseSocket(_ user: UserID) {
        guard settings.sockets > 0 else { return }
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
