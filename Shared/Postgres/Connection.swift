import CPostgres
import Glibc
import Runtime

/// One libpq connection in pipeline mode. Batches are written as they come and answered in order.
///
/// Sendable because it is touched only on the loop it was made on: everything that crosses threads (cancellation, the
/// cancel request) comes back through `loop.execute`.
final class Connection: @unchecked Sendable {
    enum Phase { case connecting, ready, closed }

    let lane: PoolState.LaneID
    let loop: EventLoop
    unowned let pool: LoopPool
    private(set) var phase = Phase.connecting
    var handle: OpaquePointer?
    var watch: Watch?
    private var timer: Timer?
    var isWriting = false
    /// Something was sent in this tick already.
    var flushIsDue = false
    var cork = Cork()
    var statements = StatementCache(capacity: Connection.statementsMax)
    /// Names to drop on the server as soon as no transaction is open.
    var dropped: [String] = []
    /// Sent and not answered yet, the oldest first.
    var pending = Fifo<Batch>()
    /// A cancel request is on its way: closed as soon as nothing is pending.
    private(set) var isCondemned = false
    private var isWatchingAbandoned = false
    /// The server announced that it ends the connection: statements after that point were never looked at.
    var saidGoodBye = false

    /// Prepared statements per connection. Each costs the server some 10–100 kB.
    static let statementsMax = 256
    static let connectDeadline = Duration.seconds(5)
    /// How long an abandoned statement may go on before it is cancelled on the server, which costs the connection.
    static let abandonedPatience = Duration.milliseconds(100)
    /// How long a cancelled statement may take to stop.
    static let cancelPatience = Duration.seconds(5)

    init(lane: PoolState.LaneID, loop: EventLoop, pool: LoopPool) {
        self.lane = lane
        self.loop = loop
        self.pool = pool
    }

    var isBusy: Bool { !pending.isEmpty }
}

// MARK: Connecting

extension Connection {
    func open(_ settings: ConnectionSettings) {
        guard phase == .connecting else { return }
        var names: [UnsafePointer<CChar>?] = []
        var values: [UnsafePointer<CChar>?] = []
        let texts = settings.parameters.map { (strdup($0.name), strdup($0.value)) }
        defer {
            for (name, value) in texts {
                free(name)
                free(value)
            }
        }
        for (name, value) in texts {
            names.append(UnsafePointer(name))
            values.append(UnsafePointer(value))
        }
        names.append(nil)
        values.append(nil)
        handle = PQconnectStartParams(names, values, 0)
        guard handle != nil, PQstatus(handle) != CONNECTION_BAD else { return failToConnect() }
        PQsetNoticeReceiver(handle, { _, _ in }, nil)
        timer = loop.after(Self.connectDeadline) { [weak self] in
            self?.failToConnect("no answer within \(Self.connectDeadline)")
        }
        listen(read: false, write: true)
    }

    /// libpq may close its socket and open another with the same number between two calls, so the watch is made anew.
    private func listen(read: Bool, write: Bool) {
        watch = loop.watch(PQsocket(handle)) { [weak self] readiness in self?.onReady(readiness) }
        watch?.set(read: read, write: write)
    }

    func advance() {
        watch?.cancel()
        watch = nil
        switch PQconnectPoll(handle) {
        case PGRES_POLLING_READING: listen(read: true, write: false)
        case PGRES_POLLING_WRITING: listen(read: false, write: true)
        case PGRES_POLLING_OK: becomeReady()
        default: failToConnect()
        }
    }

    private func becomeReady() {
        guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else { return failToConnect() }
        timer?.cancel()
        timer = nil
        phase = .ready
        cork = Cork(socket: PQsocket(handle))
        listen(read: true, write: false)
        pool.connected(self)
    }

    private func failToConnect(_ reason: String? = nil) {
        let reason = reason ?? lastMessage
        dispose()
        pool.failedToConnect(self, reason)
    }

    var lastMessage: String {
        let text = PQerrorMessage(handle).map { String(cString: $0) } ?? "out of memory"
        return text.split(separator: "\n").joined(separator: "; ")
    }
}

// MARK: Cancelling and closing

extension Connection {
    func abandon(_ batch: Batch) {
        guard batch.abandon() else { return }
        if batch.isShared { watchAbandoned() } else { condemn() }
    }

    /// Nobody waits for the statement any more. Most end by themselves at once; one that does not is cancelled when it
    /// is its turn, so that the statements of other tasks behind it go on.
    private func watchAbandoned() {
        guard !isWatchingAbandoned else { return }
        isWatchingAbandoned = true
        timer = loop.after(Self.abandonedPatience) { [weak self] in
            guard let self, phase == .ready, !isCondemned else { return }
            isWatchingAbandoned = false
            guard let oldest = pending.first else { return }
            if oldest.isAbandoned { condemn() } else if pending.contains(where: \.isAbandoned) { watchAbandoned() }
        }
    }

    /// Stops what runs on the server and never serves again.
    func condemn() {
        guard phase == .ready, !isCondemned else { return }
        guard isBusy else { return close() }
        isCondemned = true
        pool.condemned(self)
        timer?.cancel()
        timer = loop.after(Self.cancelPatience) { [weak self] in
            self?.lose("a cancelled statement did not stop within \(Self.cancelPatience)")
        }
        guard let request = PQgetCancel(handle) else { return }
        pool.send(CancelRequest(request))
    }

    /// The connection broke: answers that arrived are still handed out, everybody else is told.
    func lose(_ reason: String) {
        guard phase == .ready else { return }
        receive()
        guard phase == .ready else { return }
        dispose()
        let reason = reason.isEmpty ? "closed by the server" : reason
        while let batch = pending.removeFirst() {
            if batch.failure == nil {
                batch.failure = ConnectionLost(reason: reason, mayHaveHappened: !saidGoodBye || batch.nextStep > 0)
            }
            batch.finish()
        }
        pool.lost(self)
    }

    /// Ends the connection in good order; whatever is pending is lost.
    func close() {
        switch phase {
        case .closed: break
        case .connecting: dispose()
        case .ready:
            dispose()
            while let batch = pending.removeFirst() {
                batch.fail(ConnectionLost(reason: "the connection was closed", mayHaveHappened: true))
            }
            pool.lost(self)
        }
    }

    private func dispose() {
        phase = .closed
        watch?.cancel()
        watch = nil
        timer?.cancel()
        timer = nil
        PQfinish(handle)
        handle = nil
    }
}

/// libpq's cancel request: a connection of its own to the server, and blocking.
///
/// Sendable because libpq lets another thread use it, and it is used once and freed there.
final class CancelRequest: @unchecked Sendable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { PQfreeCancel(handle) }

    func send() {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { message in
            _ = PQcancel(handle, message.baseAddress, Int32(message.count))
        }
    }
}
