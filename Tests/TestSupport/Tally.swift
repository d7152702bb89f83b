import Synchronization

/// Counts what several tasks do.
public final class Tally: Sendable {
    private let value = Atomic(0)

    public init() {}

    public var count: Int { value.load(ordering: .relaxed) }

    @discardableResult
    public func add() -> Int { value.add(1, ordering: .relaxed).newValue }
}
