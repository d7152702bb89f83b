import HTTP
import Runtime
import Shared

/// The connection of one loop: commands of one round of the loop leave together, answers come back in order. It is kept
/// open for as long as the program runs; while it is not, nobody waits for it.
///
/// `@unchecked Sendable`: confined to its loop; the tasks and timers it starts there capture it.
final class Line: @unchecked Sendable {
    private let address: RedisAddress
    private let authorities: String?
    private let answerMax: Duration
    private let lease: Duration
    private let loop: EventLoop
    /// Called with why the line is down, and with nil when it is up.
    private let report: (String?) -> Void
    private(set) var isUp = false
    private var transport: Transport?
    private var reader: ReplyReader?
    private var output: [UInt8] = []
    private var isLeaving = false
    private var pending: [Pending] = []
    /// Those before it are answered.
    private var answered = 0
    private var isTimed = false
    private var scratch = [UInt8](repeating: 0, count: 16 * 1024)
    /// Sockets of this loop that are counted, with their person's mark. Told anew now and then, and after every break.
    private var leases: [String: String] = [:]
    private var renewal: Runtime.Timer?

    private struct Pending {
        /// nil: nobody wants to know.
        let waiter: UnsafeContinuation<Reply?, Never>?
        /// ``MonotonicClock``.
        let since: Int64
    }

    private static let connectMax: Duration = .seconds(1)
    /// At 100 bytes each. A loop that has so many under way is better off alone.
    private static let pendingMax = 20_000

    /// - Parameters:
    ///   - answerMax: a caller waits at most this long; then it is counted here alone.
    ///   - lease: how long a socket counts unless it is told again, which it is three times in that time.
    init(
        _ address: RedisAddress, authorities: String?, answerMax: Duration, lease: Duration, loop: EventLoop,
        report: @escaping (String?) -> Void
    ) {
        self.address = address
        self.authorities = authorities
        self.answerMax = answerMax
        self.lease = lease
        self.loop = loop
        self.report = report
    }

    // MARK: Asking

    /// nil when there is no answer in time, or one that is an error.
    func ask(_ command: [String]) async -> Reply? {
        guard isUp, pending.count - answered < Self.pendingMax else { return nil }
        let reply = await withUnsafeContinuation { push(command, $0) }
        guard case .error(let text) = reply else { return reply }
        lose(text)
        return nil
    }

    /// Says something whose answer is of no interest.
    func tell(_ command: [String]) {
        if isUp { push(command, nil) }
    }

    private func push(_ command: [String], _ waiter: UnsafeContinuation<Reply?, Never>?) {
        encode(command, into: &output)
        pending.append(Pending(waiter: waiter, since: MonotonicClock.now()))
        if !isTimed { time(answerMax) }
        guard !isLeaving else { return }
        isLeaving = true
        // After everybody else who is about to ask in this round.
        loop.execute { [self] in loop.spawn("counters.send") { [self] in await send() } }
    }

    private func send() async {
        do {
            while let transport, !output.isEmpty {
                let bytes = output
                output.removeAll(keepingCapacity: true)
                try await transport.write(bytes)
            }
        } catch {
            lose("\(error)")
        }
        isLeaving = false
    }

    /// One timer for all who wait: it looks at the oldest.
    private func time(_ delay: Duration) {
        isTimed = true
        _ = loop.after(delay) { [weak self] in
            guard let self else { return }
            isTimed = false
            // What has come while the loop was busy is no fault of the server's.
            if isUp { _ = take() }
            guard answered < pending.count else { return }
            let waited = Duration.nanoseconds(MonotonicClock.now() - pending[answered].since)
            if waited >= answerMax {
                lose("no answer within \(answerMax.milliseconds) ms")
            } else {
                time(answerMax - waited)
            }
        }
    }

    // MARK: Staying connected

    /// Until its task is cancelled.
    func run() async {
        renewLater()
        defer { renewal?.cancel() }
        let pauses = Retry(attempts: .max, first: .milliseconds(50), longest: .seconds(1))
        var failures = 0
        while !Task.isCancelled {
            do {
                try await open()
                failures = 0
                try await listen()
            } catch is CancellationError {
                letGo()
            } catch {
                lose("\(error)")
            }
            transport?.close()
            transport = nil
            failures += 1
            do { try await EventLoop.sleep(for: pauses.delay(after: failures)) } catch { return }
        }
    }

    private func open() async throws {
        let (address, authorities) = (address, authorities)
        try await withDeadline(Self.connectMax) { [self] in
            let transport = try await Transport.connect(
                host: address.host, port: address.port, secure: address.isSecure, trusting: authorities,
                deadline: Self.connectMax)
            do {
                let reader = try ReplyReader()
                var hello: [UInt8] = []
                for command in address.greeting { encode(command, into: &hello) }
                try await transport.write(hello)
                var expected = address.greeting.count
                while expected > 0 {
                    guard let bytes = try await transport.read() else { throw Broken("the server hung up") }
                    try bytes.withUnsafeBytes { try reader.feed($0) }
                    while let reply = try reader.next() {
                        if case .error(let text) = reply { throw Broken(text) }
                        expected -= 1
                    }
                }
                self.transport = transport
                self.reader = reader
                isUp = true
                report(nil)
                renew()
            } catch {
                transport.close()
                throw error
            }
        }
    }

    private struct Broken: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private func listen() async throws {
        while isUp, let transport {
            if take() { try await transport.waitReadable() }
        }
    }

    /// Hands out the answers that are there. False when the line is down.
    private func take() -> Bool {
        guard isUp, let transport, let reader else { return false }
        do {
            while true {
                let outcome = try scratch.withUnsafeMutableBytes { try transport.tryRead($0) }
                switch outcome {
                case .again: return true
                case .end: throw Broken("the server hung up")
                case .bytes(let count):
                    try scratch.withUnsafeBytes { try reader.feed(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
                    while let reply = try reader.next() { answer(reply) }
                }
            }
        } catch {
            lose("\(error)")
            return false
        }
    }

    private func answer(_ reply: Reply) {
        guard answered < pending.count else { return lose("an answer that nobody asked for") }
        let waiter = pending[answered].waiter
        answered += 1
        if answered == pending.count {
            pending.removeAll(keepingCapacity: true)
            answered = 0
        } else if answered > 1024 {
            pending.removeFirst(answered)
            answered = 0
        }
        waiter?.resume(returning: reply)
    }

    /// From here on everybody counts for himself until the line is up again.
    private func lose(_ reason: String) {
        report(reason)
        letGo()
    }

    private func letGo() {
        isUp = false
        reader = nil
        output.removeAll()
        let waiting = pending[answered...]
        pending.removeAll()
        answered = 0
        for each in waiting { each.waiter?.resume(returning: nil) }
        // Wakes the task that reads, which closes it.
        transport?.abort()
    }

    // MARK: Sockets

    /// Counts one more socket of that person, unless as many as `most` are open by now; then false. True when nobody could
    /// be asked: it is told later.
    func claim(_ socket: String, of mark: String, most: Int) async -> Bool {
        let reply = await ask(leasing(socket, of: mark, most: most))
        if case .integer(0) = reply { return false }
        leases[socket] = mark
        return true
    }

    /// From any thread: whoever held the last reference to a lease may be anywhere.
    func leave(_ socket: String) { loop.execute { [self] in release(socket) } }

    private func release(_ socket: String) {
        guard let mark = leases.removeValue(forKey: socket) else { return }
        tell(["ZREM", Self.key(mark), socket])
    }

    private func renewLater() {
        renewal = loop.after(lease / 3) { [weak self] in
            self?.renew()
            self?.renewLater()
        }
    }

    private func renew() {
        for (socket, mark) in leases { tell(leasing(socket, of: mark, most: 0)) }
        // Keeps middle boxes from forgetting the connection, and finds out that they have.
        if leases.isEmpty { tell(["PING"]) }
    }

    private static func key(_ mark: String) -> String { "switchboard:sockets:\(mark)" }

    private func leasing(_ socket: String, of mark: String, most: Int) -> [String] {
        ["EVAL", Self.script, "1", Self.key(mark), socket, "\(most)", "\(lease.milliseconds)"]
    }

    /// A sorted set a person: each socket with the instant at which it counts no more unless it is told again. By the
    /// server's clock, which all gateways share. `most` 0 is a renewal.
    private static let script = """
        local now = redis.call('TIME')
        now = now[1] * 1000 + math.floor(now[2] / 1000)
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        local most = tonumber(ARGV[2])
        if most > 0 and redis.call('ZCARD', KEYS[1]) >= most then return 0 end
        redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
        return 1
        """
}
