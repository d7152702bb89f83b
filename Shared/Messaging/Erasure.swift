import Postgres
import Shared

/// Something a program keeps of people or workspaces, and how it goes.
public struct ErasureStep: Sendable {
    /// Removes or makes anonymous one batch of what is left, and says how many rows that were; 0: nothing is left. Each
    /// batch is a transaction of its own, so it may be cut off anywhere and called again.
    public typealias Batch = @Sendable (ErasureSubject, borrowing Transaction) async throws -> Int
    /// The same for the rows whose numbers lie in a range.
    public typealias Stretch = @Sendable (ErasureSubject, ClosedRange<Int64>, borrowing Transaction) async throws -> Int

    enum Way: Sendable {
        case batches(Batch)
        case stretches(
            of: Int64, bounds: @Sendable (borrowing Transaction) async throws -> ClosedRange<Int64>?, Stretch)
    }

    /// What the rows are, in the report.
    public let name: String
    let way: Way

    public init(_ name: String, batch: @escaping Batch) {
        self.name = name
        way = .batches(batch)
    }

    /// For rows that no index leads to: the whole table is looked through, a stretch of numbers at a time.
    public static func scan(
        _ name: String, stretch: Int64,
        bounds: @escaping @Sendable (borrowing Transaction) async throws -> ClosedRange<Int64>?,
        _ look: @escaping Stretch
    ) -> ErasureStep {
        ErasureStep(name: name, way: .stretches(of: stretch, bounds: bounds, look))
    }

    private init(name: String, way: Way) {
        self.name = name
        self.way = way
    }

    /// A step for workspaces only.
    public static func workspace(
        _ name: String, _ batch: @escaping @Sendable (WorkspaceID, borrowing Transaction) async throws -> Int
    ) -> ErasureStep {
        ErasureStep(name) { subject, tx in
            guard case .workspace(let id) = subject else { return 0 }
            return try await batch(id, tx)
        }
    }

    /// A step for people only.
    public static func user(
        _ name: String, _ batch: @escaping @Sendable (UserID, borrowing Transaction) async throws -> Int
    ) -> ErasureStep {
        ErasureStep(name) { subject, tx in
            guard case .user(let id) = subject else { return 0 }
            return try await batch(id, tx)
        }
    }
}

/// What a step throws when something else has to happen first; the erasure tries again a second later.
public struct ErasureWaits: Error, CustomStringConvertible {
    private let what: String
    public init(for what: String) { self.what = what }
    public var description: String { "waiting for \(what)" }
}

extension Transaction {
    /// Whether the subject is erased, or being erased. When not, no erasure of it begins before this transaction has
    /// ended, so what it writes will be found. Ask before writing anything that an event says about a workspace.
    public func isErased(_ subject: ErasureSubject) async throws -> Bool {
        try await ErasureStore.isErased(subject, self)
    }

    /// From this commit on the subject is erased: the program's `Erasing` takes its data away, batch by batch.
    /// - Parameter reports: whether auth waits to hear of it.
    public func erase(_ subject: ErasureSubject, reports: Bool = true) async throws {
        try await ErasureStore.begin(subject, reports: reports, self)
        onCommit { Erasing.wakeAll() }
    }

    /// Another id by which events speak of the subject: events that hold it go too.
    public func alsoErase(_ other: String, with subject: ErasureSubject) { ErasureStore.add(other, to: subject, self) }

    /// The ids given to `alsoErase`.
    public func alsoErased(with subject: ErasureSubject) async throws -> [String] {
        try await ErasureStore.also(subject, self)
    }
}
