import Runtime
import Shared
import Synchronization

/// Counts that all gateways share, in a Redis or Valkey. When it cannot be asked the answer is nil, at once, and each
/// gateway goes on for itself: limits protect the platform and must never be what stops it.
///
/// Nothing here says who is counted: a ``Mark`` is all that leaves the process, and every key dies within minutes.
public final class Counters: Component {
    public let name = "limits"
    private let address: RedisAddress
    private let authorities: String?
    private let answerMax: Duration
    private let lease: Duration
    private let log: Log
    private let state = Guarded<State>(State())
    private let degradedGauge: Gauge
    /// Rises whenever a line breaks: what the server knew may be gone.
    private let breaks = Atomic<Int>(0)

    private struct State {
        /// By the loop's index.
        var lines: [Line] = []
        var tasks: [Task<Void, Never>] = []
        /// Why each line is down; nil in it: up.
        var down: [Int: String] = [:]
        var heard: Set<Int> = []
        /// What the log was told last; nil: nothing yet.
        var told: Bool?
    }

    /// Start-up waits so long for the first answer and then goes on without.
    private static let startMax: Duration = .seconds(2)
    /// Seconds a request's key lives: the minute it counts, and clocks that are not quite the same.
    private static let keySeconds = 120

    /// - Parameters:
    ///   - authorities: a PEM file of whom to trust for `rediss://`; nil: the system's.
    ///   - answerMax: a caller waits at most this long for a count. A server in the same network answers in less than one
    ///     millisecond.
    ///   - lease: after this the sockets of a gateway that died without a word are free again.
    public init(
        _ address: RedisAddress, trusting authorities: String? = nil, answerMax: Duration = .milliseconds(50),
        lease: Duration = .seconds(45), log: Log
    ) {
        self.address = address
        self.authorities = authorities
        self.answerMax = answerMax
        self.lease = lease
        self.log = log
        degradedGauge = Metrics.shared.gauge(
            "gateway_limits_degraded", "1 while limits are counted by this gateway alone although REDIS_URL is set.")
    }

    // MARK: Component

    public func start(on group: EventLoopGroup) async throws {
        for loop in group.loops {
            let index = loop.index
            let line = Line(address, authorities: authorities, answerMax: answerMax, lease: lease, loop: loop) {
                [weak self] in
                self?.note(index, $0)
            }
            let task = loop.spawn("counters") { await line.run() }
            state.withLock { state in
                state.lines.append(line)
                state.tasks.append(task)
            }
        }
        let end = ContinuousClock.now + Self.startMax
        while state.withLock({ $0.heard.count < group.loops.count }), ContinuousClock.now < end {
            try await EventLoop.sleep(for: .milliseconds(5))
        }
    }

    public func stop(deadline: Duration) async {
        let tasks = state.withLock { $0.tasks }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    /// Why this gateway counts alone; nil when it does not.
    public func degraded() -> String? {
        guard let reason = state.withLock({ $0.down.values.first }) else { return nil }
        return "counting in this process alone: \(address): \(reason)"
    }

    private func note(_ loop: Int, _ trouble: String?) {
        let (before, after) = state.withLock { state in
            let before = state.told
            state.heard.insert(loop)
            state.down[loop] = trouble
            state.told = !state.down.isEmpty
            return (before, !state.down.isEmpty)
        }
        if trouble != nil { breaks.wrappingAdd(1, ordering: .releasing) }
        guard before != after else { return }
        degradedGauge.set(after ? 1 : 0)
        if after {
            log.warn("limits.degraded", ("server", "\(address)"), ("error", .string(trouble ?? "")))
        } else {
            log.info("limits.shared", ("server", "\(address)"))
        }
    }

    private var line: Line? {
        let index = EventLoop.required().index
        return state.withLock { $0.lines.indices.contains(index) ? $0.lines[index] : nil }
    }

    // MARK: Counting

    /// Whose something is, for those who keep it: a keyed digest, which cannot be turned back by trying all addresses.
    public struct Mark: Sendable, Hashable {
        let text: String

        /// - Parameter secret: the same on all gateways.
        public init(_ words: String, secret: String) {
            text = Digest.base64URL(
                Array(Digest.hmacSHA256(key: Array(secret.utf8), Array("limits\0\(words)".utf8)).prefix(16)))
        }
    }

    /// Which server's memory an answer came from: as long as it is the same, what was told is known.
    public var era: Int { breaks.load(ordering: .acquiring) }

    /// Counts one in a window.
    /// - Parameter known: what this gateway counted so far, if the server may not know the window; nil when it does.
    /// - Returns: how many there are now over all gateways; nil when nobody says.
    public func count(_ mark: Mark, minute: Int64, known: Int?) async -> Int? {
        guard let line else { return nil }
        let key = "switchboard:requests:\(mark.text):\(minute)"
        if let known { line.tell(["SET", key, "\(known)", "EX", "\(Self.keySeconds)", "NX"]) }
        guard case .integer(let total) = await line.ask(["INCR", key]) else { return nil }
        // The server had lost it without our line breaking: evicted, or flushed by hand.
        if total == 1, known == nil { line.tell(["EXPIRE", key, "\(Self.keySeconds)"]) }
        return total
    }

    /// Whether this is the first time, over all gateways, that anybody asks about it; nil when nobody says.
    /// - Parameter seconds: for which it is remembered.
    public func isFirst(_ mark: Mark, seconds: Int) async -> Bool? {
        guard let line else { return nil }
        switch await line.ask(["SET", "switchboard:once:\(mark.text)", "1", "EX", "\(seconds)", "NX"]) {
        case .text: return true
        case .other: return false
        default: return nil
        }
    }

    /// Claims one of the places that all gateways together have for a socket; nil when all are taken.
    public func claim(_ mark: Mark, most: Int) async -> Lease? {
        guard let line else { return Lease(nil, "") }
        let socket = Digest.randomToken(bytes: 12)
        return await line.claim(socket, of: mark.text, most: most) ? Lease(line, socket) : nil
    }

    /// A place, until it is given back.
    public final class Lease: Sendable {
        private let line: Line?
        private let socket: String

        init(_ line: Line?, _ socket: String) {
            self.line = line
            self.socket = socket
        }

        /// Does no harm twice.
        public func release() { line?.leave(socket) }
    }
}
