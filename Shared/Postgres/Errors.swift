import CPostgres

/// The server refused a statement.
public struct PostgresError: Error, Sendable, CustomStringConvertible {
    /// Five characters, PostgreSQL's appendix A: `23505` is a unique violation.
    public let sqlState: String
    public let message: String
    /// May hold values of rows; for tests and operators, never for clients or logs.
    public let detail: String?
    public let hint: String?
    public let table: String?
    public let column: String?
    public let constraint: String?
    /// The label of the query, when it had one.
    public let label: String?

    public init(
        sqlState: String, message: String, detail: String? = nil, hint: String? = nil, table: String? = nil,
        column: String? = nil, constraint: String? = nil, label: String? = nil
    ) {
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.hint = hint
        self.table = table
        self.column = column
        self.constraint = constraint
        self.label = label
    }

    public func isUniqueViolation(_ constraint: String? = nil) -> Bool { isViolation("23505", constraint) }
    public func isForeignKeyViolation(_ constraint: String? = nil) -> Bool { isViolation("23503", constraint) }
    public func isCheckViolation(_ constraint: String? = nil) -> Bool { isViolation("23514", constraint) }

    /// The transaction lost against another one and may simply run again.
    public var isSerializationFailure: Bool { sqlState == "40001" || sqlState == "40P01" }

    /// `statement_timeout` or a cancel request ended it.
    public var isCanceled: Bool { sqlState == "57014" }

    /// The prepared statement is gone or its result changed shape: preparing it again helps.
    var isStalePlan: Bool { sqlState == "26000" || (sqlState == "0A000" && message.contains("cached plan")) }

    private func isViolation(_ state: String, _ constraint: String?) -> Bool {
        sqlState == state && (constraint == nil || constraint == self.constraint)
    }

    public var description: String {
        let name = label.map { " in \($0)" } ?? ""
        return "PostgreSQL \(sqlState)\(name): \(message)"
    }
}

extension PostgresError {
    /// nil when the error is libpq's own and not the server's.
    init?(result: OpaquePointer, label: StaticString?) {
        func field(_ code: Int32) -> String? { PQresultErrorField(result, code).map { String(cString: $0) } }
        guard let sqlState = field(Int32(UInt8(ascii: "C"))) else { return nil }
        self.init(
            sqlState: sqlState,
            message: field(Int32(UInt8(ascii: "M"))) ?? "no message",
            detail: field(Int32(UInt8(ascii: "D"))), hint: field(Int32(UInt8(ascii: "H"))),
            table: field(Int32(UInt8(ascii: "t"))), column: field(Int32(UInt8(ascii: "c"))),
            constraint: field(Int32(UInt8(ascii: "n"))), label: label?.description)
    }
}

/// The connection broke while a statement was under way. Reads, and writes that certainly had no effect, were already
/// run a second time.
public struct ConnectionLost: Error, Sendable, CustomStringConvertible {
    public let reason: String
    /// false when the statement certainly had no effect: it was never sent, or the server said good-bye before it.
    public let mayHaveHappened: Bool
    public var description: String { "the connection to PostgreSQL was lost: \(reason)" }
}

/// The connection broke after COMMIT was sent and before its answer came: committed or not, nobody knows. Whoever
/// repeats the work must be able to recognise that it was done already.
public struct CommitOutcomeUnknown: Error, Sendable, CustomStringConvertible {
    public let reason: String
    public var description: String { "it is unknown whether the transaction was committed: \(reason)" }
}

/// No connection became free in time, or too many were waiting for one already.
public struct PoolTimeout: Error, Sendable, CustomStringConvertible {
    public enum Cause: Sendable, Equatable {
        /// The wait deadline passed; the reason of the last failed connection attempt when there was one.
        case waited(Duration, lastFailure: String?)
        case queueFull(Int)
    }
    public let cause: Cause

    public var description: String {
        switch cause {
        case .waited(let deadline, nil): "no PostgreSQL connection became free within \(deadline)"
        case .waited(let deadline, let failure?): "no PostgreSQL connection within \(deadline): \(failure)"
        case .queueFull(let count): "\(count) tasks are waiting for a PostgreSQL connection already"
        }
    }
}

/// The server is there and refuses us for good: wrong password, no such database, an unreadable URL.
public struct ConnectionRefused: Error, Sendable, CustomStringConvertible {
    public let reason: String
    public var description: String { "PostgreSQL refuses the connection: \(reason)" }
}

/// The database was closed by `close()`.
public struct DatabaseClosed: Error, Sendable, CustomStringConvertible {
    public var description: String { "the database is closed" }
}

/// A bound value that PostgreSQL cannot take, such as text holding NUL.
public struct UnsendableValue: Error, Sendable, CustomStringConvertible {
    public let reason: String
    public var description: String { "the query cannot be sent: \(reason)" }
}
