import Runtime

/// The connections of one loop to one database: performs what `PoolState` decides.
///
/// Sendable because it is touched only on its loop: `Database` hands it to nobody else, and cancellation comes through
/// `loop.execute`.
final class LoopPool: @unchecked Sendable {
    let loop: EventLoop
    private let settings: ConnectionSettings
    private let waitDeadline: Duration
    private var measurements: Measurements
    private var state: PoolState
    private var connections: [PoolState.LaneID: Connection] = [:]
    private var waiters: [PoolState.Ticket: Waiter] = [:]
    private var lastFailure: String?
    private var sweeper: Timer?
    private var closing: [() -> Void] = []

    private struct Waiter {
        let continuation: UnsafeContinuation<PoolState.LaneID, any Error>
        let timer: Timer
    }

    /// Connections unused for one to two of these are closed, all but one.
    static let sweepInterval = Duration.seconds(300)

    init(loop: EventLoop, settings: ConnectionSettings, limits: PoolState.Limits, waitDeadline: Duration) {
        self.loop = loop
        self.settings = settings
        self.waitDeadline = waitDeadline
        measurements = Measurements(database: settings.value("dbname") ?? "", loop: loop.index)
        state = PoolState(limits: limits)
    }
}

// MARK: What Database asks for

extension LoopPool {
    /// Runs statements under one Sync on a shared connection.
    func run(_ items: [Batch.Item]) async throws -> [Rows] {
        let connection: Connection
        if let lane = state.takeShared() {
            guard let taken = connections[lane] else {
                throw ConnectionLost(reason: "no connection", mayHaveHappened: false)
            }
            connection = taken
            perform()
        } else {
            connection = try await wait(for: .shared)
        }
        return try await connection.perform(Batch(items, isShared: true))
    }

    /// A connection for one transaction; give it back with `release`.
    func lease() async throws -> Connection {
        if let lane = state.takeExclusive(), let connection = connections[lane] {
            report()
            return connection
        }
        return try await wait(for: .exclusive)
    }

    /// The transaction is over and the connection clean. A closed or condemned one has left the pool by itself.
    func release(_ connection: Connection) {
        guard connection.phase == .ready, !connection.isCondemned else { return }
        connection.dropStatements()
        state.released(connection.lane)
        perform()
    }

    /// Refuses everybody from now on; `done` is called when the last connection is closed. What is still under way at
    /// the deadline loses its connection.
    func close(within deadline: Duration, _ done: @escaping () -> Void) {
        sweeper?.cancel()
        sweeper = nil
        let timer = loop.after(deadline) { [weak self] in
            guard let self else { return }
            for connection in Array(connections.values) { connection.close() }
            perform()
        }
        closing.append {
            timer.cancel()
            done()
        }
        state.close()
        perform()
    }

    func took(_ began: ContinuousClock.Instant, _ queries: [Query]) {
        measurements.took(.now - began, queries.count == 1 ? queries[0].label : nil)
    }

    func failed(_ error: any Error) {
        measurements.failed(error)
    }

    private func wait(for use: PoolState.Use) async throws -> Connection {
        if let problem = settings.problem { throw ConnectionRefused(reason: problem) }
        guard let ticket = state.wait(use) else {
            measurements.refused()
            throw PoolTimeout(cause: .queueFull(state.limits.waitersMax))
        }
        let began = ContinuousClock.now
        let lane = try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                let timer = loop.after(waitDeadline) { [weak self] in
                    guard let self else { return }
                    measurements.refused()
                    giveUp(ticket, PoolTimeout(cause: .waited(waitDeadline, lastFailure: lastFailure)))
                }
                waiters[ticket] = Waiter(continuation: continuation, timer: timer)
                perform()
            }
        } onCancel: {
            loop.execute { self.giveUp(ticket, CancellationError()) }
        }
        measurements.waited(ContinuousClock.now - began)
        guard let connection = connections[lane] else {
            throw ConnectionLost(reason: "lost before it was used", mayHaveHappened: false)
        }
        return connection
    }

    private func giveUp(_ ticket: PoolState.Ticket, _ error: any Error) {
        guard state.leave(ticket) else { return }
        resume(ticket) { $0.resume(throwing: error) }
        perform()
    }

    private func resume(
        _ ticket: PoolState.Ticket, _ body: (UnsafeContinuation<PoolState.LaneID, any Error>) -> Void
    ) {
        guard let waiter = waiters.removeValue(forKey: ticket) else { return }
        waiter.timer.cancel()
        body(waiter.continuation)
    }
}

// MARK: What connections report

extension LoopPool {
    func connected(_ connection: Connection) {
        lastFailure = nil
        state.connected(connection.lane)
        perform()
    }

    func failedToConnect(_ connection: Connection, _ reason: String) {
        connections[connection.lane] = nil
        lastFailure = reason
        measurements.failedToConnect()
        state.failed(connection.lane, permanently: Self.isPermanent(reason) ? reason : nil)
        perform()
    }

    func lost(_ connection: Connection) {
        connections[connection.lane] = nil
        state.lost(connection.lane)
        perform()
    }

    func condemned(_ connection: Connection) {
        state.retire(connection.lane)
        perform()
    }

    func finished(_ connection: Connection) {
        state.finished(connection.lane)
        perform()
    }

    /// Cancel requests go out from a thread that may block. When too many are waiting there, the statement's own
    /// timeout has to do.
    func send(_ request: CancelRequest) {
        loop.spawn("postgres cancel") {
            try? await Blocking.shared.run { request.send() }
        }
    }

    /// libpq gives no SQLSTATE for a failed connection, only the server's words: authentication and naming errors do
    /// not go away by trying again.
    private static func isPermanent(_ reason: String) -> Bool {
        [
            "password authentication failed", "no pg_hba.conf entry", "does not exist", "no password supplied",
            "is not permitted to log in", "invalid connection option", "certificate verify failed",
        ].contains { reason.contains($0) }
    }
}

// MARK: Performing

extension LoopPool {
    private func perform() {
        while !state.actions.isEmpty {
            for action in state.takeActions() { perform(action) }
        }
        report()
        if state.isClosed, connections.isEmpty {
            let done = closing
            closing.removeAll()
            for call in done { call() }
        }
    }

    private func perform(_ action: PoolState.Action) {
        switch action {
        case .open(let lane): open(lane)
        case .close(let lane):
            guard let connection = connections.removeValue(forKey: lane) else { return }
            connection.close()
        case .grant(let ticket, let lane): resume(ticket) { $0.resume(returning: lane) }
        case .refuse(let ticket, .closed): resume(ticket) { $0.resume(throwing: DatabaseClosed()) }
        case .refuse(let ticket, .permanent(let reason)):
            resume(ticket) { $0.resume(throwing: ConnectionRefused(reason: reason)) }
        case .retry(let failures):
            _ = loop.after(Retry.forever.delay(after: failures)) { [weak self] in
                self?.state.retry()
                self?.perform()
            }
        }
    }

    private func open(_ lane: PoolState.LaneID) {
        let connection = Connection(lane: lane, loop: loop, pool: self)
        connections[lane] = connection
        startSweeping()
        guard let host = settings.hostToLookUp else { return connection.open(settings) }
        let settings = settings
        loop.spawn("postgres lookup") {
            let addresses = (try? await Blocking.shared.run { ConnectionSettings.lookUp(host) }) ?? []
            // Without an address libpq tries by itself, and its failure says what is wrong.
            connection.open(settings.pinned(to: addresses))
        }
    }

    private func startSweeping() {
        guard sweeper == nil, !state.isClosed else { return }
        sweeper = loop.after(Self.sweepInterval) { [weak self] in
            guard let self else { return }
            sweeper = nil
            state.sweep()
            perform()
            if !connections.isEmpty { startSweeping() }
        }
    }

    private func report() {
        measurements.report(inUse: state.inUse, waiting: state.waiting)
    }
}
