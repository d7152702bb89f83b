/// What travels under one Sync: statements that succeed or fail together, and the task that waits for them.
///
/// Sendable because only the connection's loop touches it; a cancelled task hands it to that loop.
final class Batch: @unchecked Sendable {
    enum Item {
        /// BEGIN, COMMIT, ROLLBACK … without parameters, never prepared.
        case control(StaticString)
        case query(Query)
        /// Any number of statements as one text, by the simple protocol; alone in its batch.
        case script(String)
    }

    /// One command on the wire. The server answers them in this order.
    enum Step {
        case prepare(StatementCache.Key)
        case run(label: StaticString?)
    }

    let items: [Item]
    /// A statement that shares its lane with others, as opposed to one of a transaction.
    let isShared: Bool
    var steps: [Step] = []
    var nextStep = 0
    /// One per item, in order, until the first that failed.
    var rows: [Rows] = []
    var failure: (any Error)?
    private(set) var isAbandoned = false
    private var continuation: UnsafeContinuation<[Rows], any Error>?

    init(_ items: [Item], isShared: Bool) {
        self.items = items
        self.isShared = isShared
    }

    var isScript: Bool {
        if case .script? = items.first { true } else { false }
    }

    /// SELECT, INSERT and the like, which the server commits only after their results.
    var hasOnlyPlannedStatements: Bool {
        items.allSatisfy { if case .query(let query) = $0 { query.isPreparable } else { false } }
    }

    func await(_ continuation: UnsafeContinuation<[Rows], any Error>) {
        self.continuation = continuation
    }

    /// The server answered everything.
    func finish() {
        let waiting = continuation.take()
        if let failure { waiting?.resume(throwing: failure) } else { waiting?.resume(returning: rows) }
    }

    func fail(_ error: any Error) {
        failure = error
        continuation.take()?.resume(throwing: error)
    }

    /// Its task was cancelled: the answer is nobody's when it comes. false when it had come already.
    func abandon() -> Bool {
        guard let waiting = continuation.take() else { return false }
        isAbandoned = true
        waiting.resume(throwing: CancellationError())
        return true
    }
}
