import Runtime

/// One PostgreSQL database. Call it from any task on an `EventLoop`; each loop has connections of its own.
///
/// Single statements of many tasks travel in pipelines over few connections; a transaction has one to itself.
///
/// Errors: `PostgresError` when the server refuses, `PoolTimeout` when no connection became free in time,
/// `ConnectionLost` when it broke (reads were tried again), `ConnectionRefused`, `DatabaseClosed`, `UnsendableValue`,
/// and `CancellationError` when the surrounding task was cancelled.
public final class Database: Sendable {
    private let settings: ConnectionSettings
    private let limits: PoolState.Limits
    private let waitDeadline: Duration
    private let pools = LoopPools()
    let health = DatabaseHealth()

    /// - Parameters:
    ///   - url: `postgresql://user:password@host:port/name`, with libpq's parameters. An unusable one shows as
    ///     `ConnectionRefused` at the first query.
    ///   - poolMax: connections per loop.
    ///   - waitersMax: tasks per loop that may wait for one.
    ///   - waitDeadline: how long they wait.
    ///   - statementTimeout: the server ends a statement that takes longer, with SQLSTATE 57014.
    public init(
        url: String, poolMax: Int = 4, waitersMax: Int = 1024, waitDeadline: Duration = .seconds(5),
        statementTimeout: Duration = .seconds(30), application: String = "switchboard"
    ) {
        settings = ConnectionSettings(url: url, application: application, statementTimeout: statementTimeout)
        limits = PoolState.Limits(lanesMax: max(1, poolMax), waitersMax: max(0, waitersMax))
        self.waitDeadline = waitDeadline
    }

    /// A database that nobody closed is closed when its last user lets go of it.
    deinit {
        for pool in pools.close() {
            pool.loop.execute { pool.close(within: .seconds(10)) {} }
        }
    }

    // MARK: Single statements

    public func query(_ query: Query) async throws -> Rows {
        try await run([query])[0]
    }

    /// The first row, when there is one.
    public func queryOne(_ query: Query) async throws -> Row? {
        try await run([query])[0].first
    }

    /// The number of rows touched.
    @discardableResult
    public func execute(_ query: Query) async throws -> Int {
        try await run([query])[0].affected
    }

    /// Several statements in one round trip, as one implicit transaction: all of them happen, or none.
    public func pipeline(_ queries: [Query]) async throws -> [Rows] {
        queries.isEmpty ? [] : try await run(queries)
    }

    /// Throws unless the server answers.
    public func ping() async throws {
        _ = try await query("SELECT 1")
    }

    /// Refuses new work on every loop and closes each connection as soon as it is idle, or at the deadline. Returns
    /// when all are closed.
    public func close(within deadline: Duration = .seconds(10)) async {
        let own = EventLoop.current
        for pool in pools.close() {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                pool.loop.execute {
                    pool.close(within: deadline) {
                        // Resumed on the loop that waits, so that it is awaited by then (decision 0010).
                        guard let own else { return continuation.resume() }
                        own.execute { continuation.resume() }
                    }
                }
            }
        }
    }

    // MARK: Inside

    func pool() throws -> LoopPool {
        let pool = pools.pool(of: EventLoop.required()) { loop in
            LoopPool(loop: loop, settings: settings, limits: limits, waitDeadline: waitDeadline)
        }
        guard let pool else { throw DatabaseClosed() }
        return pool
    }

    private func run(_ queries: [Query]) async throws -> [Rows] {
        for query in queries {
            if let reason = query.parameters.refusal { throw UnsendableValue(reason: reason) }
        }
        let pool = try pool()
        var items = queries.map(Batch.Item.query)
        if let rider = Rider.on(self), !queries.allSatisfy(\.isRead) { items.append(.query(rider)) }
        let began = ContinuousClock.now
        var attempt = 1
        while true {
            do {
                let rows = try await pool.run(items)
                pool.took(began, queries)
                return items.count == queries.count ? rows : Array(rows.dropLast())
            } catch  where attempt == 1 && Self.mayRunAgain(queries, after: error) && !Task.isCancelled {
                attempt += 1
            } catch {
                pool.failed(error)
                throw error
            }
        }
    }

    /// Whether running the statements a second time cannot do them twice.
    private static func mayRunAgain(_ queries: [Query], after error: any Error) -> Bool {
        switch error {
        case let lost as ConnectionLost: !lost.mayHaveHappened || queries.allSatisfy(\.isRead)
        case let refused as PostgresError: refused.isStalePlan
        case is HitByCancel: true
        default: false
        }
    }
}

/// The pools of one database by loop.
///
/// Sendable because the lock guards both variables.
private final class LoopPools: @unchecked Sendable {
    private let lock = Lock()
    private var byLoop: [ObjectIdentifier: LoopPool] = [:]
    private var isClosed = false

    /// nil once closed.
    func pool(of loop: EventLoop, make: (EventLoop) -> LoopPool) -> LoopPool? {
        lock.withLock {
            if let pool = byLoop[ObjectIdentifier(loop)] { return pool }
            guard !isClosed else { return nil }
            let pool = make(loop)
            byLoop[ObjectIdentifier(loop)] = pool
            return pool
        }
    }

    func close() -> [LoopPool] {
        lock.withLock {
            isClosed = true
            defer { byLoop.removeAll() }
            return Array(byLoop.values)
        }
    }
}
