import Runtime

/// What one loop's pool counts.
struct Measurements {
    private let inUse: Gauge
    private let waiting: Gauge
    private let waited: Histogram
    private let connectFailures: Counter
    private let refusals: Counter
    /// By the address of the query's label, so that nothing is formatted for a statement.
    private var statements: [UInt: Histogram] = [:]
    private let database: String

    init(database: String, loop: Int) {
        self.database = database
        let (place, metrics) = (String(loop), Metrics.shared)
        inUse = metrics.gauge(
            "postgres_connections_in_use", "Connections with a statement or transaction on them.",
            ("database", database), ("loop", place))
        waiting = metrics.gauge(
            "postgres_pool_waiting", "Tasks waiting for a connection.", ("database", database), ("loop", place))
        waited = metrics.histogram(
            "postgres_pool_wait_seconds", "How long tasks that had to wait for a connection waited.",
            ("database", database))
        connectFailures = metrics.counter(
            "postgres_connect_failures_total", "Connection attempts that failed.", ("database", database))
        refusals = metrics.counter(
            "postgres_pool_refusals_total", "Tasks that got no connection in time.", ("database", database))
    }

    func report(inUse: Int, waiting: Int) {
        self.inUse.set(Double(inUse))
        self.waiting.set(Double(waiting))
    }

    func waited(_ duration: Duration) { waited.observe(duration) }
    func refused() { refusals.add() }
    func failedToConnect() { connectFailures.add() }

    /// A statement's time from asking for a connection to its last row.
    mutating func took(_ duration: Duration, _ label: StaticString?) {
        let key = label.map { UInt(bitPattern: $0.utf8Start) } ?? 0
        if let known = statements[key] { return known.observe(duration) }
        let histogram = Metrics.shared.histogram(
            "postgres_query_seconds", "Time of statements by name, waiting for a connection included.",
            ("database", database), ("statement", label?.description ?? "other"))
        statements[key] = histogram
        histogram.observe(duration)
    }

    /// Errors by SQLSTATE class ("23" integrity, "40" rollback …) or by what else went wrong.
    func failed(_ error: any Error) {
        let kind =
            switch error {
            case let refused as PostgresError: String(refused.sqlState.prefix(2))
            case is ConnectionLost: "lost"
            case is CommitOutcomeUnknown: "unknown"
            case is PoolTimeout: "pool"
            case is ConnectionRefused: "refused"
            case is UnsendableValue: "value"
            default: ""
            }
        // What the body of a transaction throws is not the database's.
        guard !kind.isEmpty else { return }
        Metrics.shared.counter(
            "postgres_errors_total", "Failed statements by SQLSTATE class.", ("database", database), ("class", kind)
        ).add()
    }
}
