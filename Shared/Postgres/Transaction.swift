import Runtime

public enum Isolation: Sendable {
    case readCommitted
    case repeatableRead
    case serializable

    var begin: StaticString {
        switch self {
        case .readCommitted: "BEGIN"
        case .repeatableRead: "BEGIN ISOLATION LEVEL REPEATABLE READ"
        case .serializable: "BEGIN ISOLATION LEVEL SERIALIZABLE"
        }
    }
}

extension Database {
    /// Runs the body in a transaction on a connection of its own and commits when it returns; an error rolls back and
    /// is thrown.
    ///
    /// The body may run again, up to three times: after a serialization failure, a deadlock, or a connection that was
    /// lost before COMMIT was sent. Remote calls do not belong in it, nor effects outside the database; those go into
    /// `onCommit`. A statement that failed fails the transaction, whether or not the body caught its error.
    ///
    /// Throws `CommitOutcomeUnknown` when the connection broke between COMMIT and its answer.
    @discardableResult
    public func transaction<Value>(
        isolation: Isolation = .readCommitted, _ body: (borrowing Transaction) async throws -> Value
    ) async throws -> Value {
        let pool = try pool()
        var attempt = 1
        while true {
            try Task.checkCancellation()
            let state = TransactionState(try await pool.lease(), isolation)
            do {
                let transaction = Transaction(state)
                let value = try await body(transaction)
                if state.isAsked, let rider = Rider.on(self) { state.enqueued.append(rider) }
                try await state.commit()
                pool.release(state.connection)
                for action in state.actions { action() }
                return value
            } catch {
                await state.rollBack()
                pool.release(state.connection)
                let cause = state.failure ?? error
                pool.failed(cause)
                guard attempt < Self.attemptsMax, state.mayRunAgain else { throw error }
                // Whoever lost against each other should not meet again at once.
                try await EventLoop.sleep(for: .milliseconds(Int.random(in: 1...(8 << attempt))))
                attempt += 1
            }
        }
    }

    private static var attemptsMax: Int { 3 }
}

/// An open transaction. It cannot be copied or kept: it lives as long as the body it was given to.
public struct Transaction: ~Copyable {
    let state: TransactionState

    init(_ state: TransactionState) { self.state = state }

    public func query(_ query: Query) async throws -> Rows {
        try await state.run(query)
    }

    /// The first row, when there is one.
    public func queryOne(_ query: Query) async throws -> Row? {
        try await state.run(query).first
    }

    /// The number of rows touched.
    @discardableResult
    public func execute(_ query: Query) async throws -> Int {
        try await state.run(query).affected
    }

    /// Several statements in one round trip. Each sees what was committed before it began, not before the first did
    /// (READ COMMITTED): what a lock in one of them had to wait for is in the answers of those behind it.
    public func pipeline(_ queries: [Query]) async throws -> [Rows] {
        queries.isEmpty ? [] : try await state.run(queries)
    }

    /// Sent together with the next statement or with COMMIT, in order, without a round trip of its own: what follows sees
    /// its effect. When it fails, so does what it travels with, and the transaction is rolled back.
    public func enqueue(_ query: Query) {
        state.enqueued.append(query)
    }

    /// Called on this loop once the transaction is committed, in the order given; never when it is rolled back.
    public func onCommit(_ action: @escaping @Sendable () -> Void) {
        state.actions.append(action)
    }
}

/// Where a transaction is. Lives on one loop and is reached through the one `Transaction` only.
final class TransactionState {
    let connection: Connection
    private let isolation: Isolation
    private var hasBegun = false
    private var isOver = false
    var enqueued: [Query] = []
    var actions: [@Sendable () -> Void] = []
    /// What failed first. From then on PostgreSQL would refuse every statement.
    private(set) var failure: (any Error)?

    init(_ connection: Connection, _ isolation: Isolation) {
        self.connection = connection
        self.isolation = isolation
    }

    /// BEGIN travels with the first statement, under the same Sync: when it fails, so does the statement.
    func run(_ query: Query) async throws -> Rows {
        try await run([query])[0]
    }

    /// The answers to these, one each.
    func run(_ queries: [Query]) async throws -> [Rows] {
        if let failure { throw failure }
        try Task.checkCancellation()
        let asked = enqueued + queries
        enqueued.removeAll()
        if let refusal = asked.lazy.compactMap(\.parameters.refusal).first {
            throw fail(UnsendableValue(reason: refusal))
        }
        let begin: [Batch.Item] = hasBegun ? [] : [.control(isolation.begin)]
        hasBegun = true
        do {
            let rows = try await connection.perform(Batch(begin + asked.map(Batch.Item.query), isShared: false))
            guard rows.count >= queries.count else {
                throw ConnectionLost(reason: "no answer", mayHaveHappened: true)
            }
            return Array(rows.suffix(queries.count))
        } catch {
            throw fail(error)
        }
    }

    /// Any number of statements as one text, without values: migrations.
    func script(_ text: String) async throws {
        if let failure { throw failure }
        do {
            _ = try await connection.perform(Batch([.script(text)], isShared: false))
        } catch {
            throw fail(error)
        }
    }

    /// Whether the database has anything to do for it.
    var isAsked: Bool { hasBegun || !enqueued.isEmpty }

    func commit() async throws {
        if let failure { throw failure }
        try Task.checkCancellation()
        if let reason = enqueued.lazy.compactMap(\.parameters.refusal).first {
            throw fail(UnsendableValue(reason: reason))
        }
        // Nothing was asked of the database: nothing to commit.
        guard isAsked else { return }
        // COMMIT outside a transaction block is only a warning to PostgreSQL.
        if hasBegun, connection.phase == .ready, !connection.isInTransaction {
            throw fail(PostgresError(sqlState: "25P01", message: "the transaction was ended by its own statements"))
        }
        var items: [Batch.Item] = hasBegun ? [] : [.control(isolation.begin)]
        items += enqueued.map(Batch.Item.query)
        items.append(.control("COMMIT"))
        hasBegun = true
        do {
            let rows = try await connection.performToTheEnd(Batch(items, isShared: false))
            isOver = true
            guard rows.last?.table.commandTag == "COMMIT" else {
                throw PostgresError(sqlState: "25P02", message: "the transaction had failed and was rolled back")
            }
        } catch let lost as ConnectionLost where lost.mayHaveHappened {
            throw fail(CommitOutcomeUnknown(reason: lost.reason))
        } catch {
            throw fail(error)
        }
    }

    /// Ends whatever is open, also when the task is cancelled. A condemned connection rolls back by closing.
    func rollBack() async {
        guard hasBegun, !isOver, connection.phase == .ready, !connection.isCondemned else { return }
        isOver = true
        do {
            _ = try await connection.performToTheEnd(Batch([.control("ROLLBACK")], isShared: false))
        } catch {
            connection.close()
        }
    }

    /// Nothing was committed, and the reason lies in other transactions or in the connection.
    var mayRunAgain: Bool {
        guard !Task.isCancelled else { return false }
        return switch failure {
        case let refused as PostgresError: refused.isSerializationFailure || refused.isStalePlan
        case is ConnectionLost: true
        default: false
        }
    }

    private func fail(_ error: any Error) -> any Error {
        if failure == nil { failure = error }
        return error
    }
}
