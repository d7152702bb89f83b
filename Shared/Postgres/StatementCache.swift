/// Which statements one connection has prepared, by SQL text and parameter types. Pure: it knows names, not servers.
struct StatementCache {
    struct Key: Hashable {
        let parts: [Query.Part]
        let types: [UInt32]

        init(_ query: Query) {
            parts = query.parts
            types = query.parameters.types
        }
    }

    private struct Entry {
        let name: String
        var used: UInt64
    }

    private let capacity: Int
    private var entries: [Key: Entry] = [:]
    private var clock: UInt64 = 0
    private var named = 0

    init(capacity: Int) {
        self.capacity = capacity
        entries.reserveCapacity(capacity)
    }

    var count: Int { entries.count }

    mutating func find(_ key: Key) -> String? {
        clock += 1
        guard let index = entries.index(forKey: key) else { return nil }
        entries.values[index].used = clock
        return entries.values[index].name
    }

    /// A new name for a statement that was not found, and the least recently used name to drop when full. Names are
    /// never used twice, so dropping may happen any time later.
    mutating func add(_ key: Key) -> (name: String, dropped: String?) {
        clock += 1
        named += 1
        var dropped: String?
        if entries.count >= capacity, let oldest = entries.min(by: { $0.value.used < $1.value.used }) {
            dropped = oldest.value.name
            entries[oldest.key] = nil
        }
        let name = "s\(named)"
        entries[key] = Entry(name: name, used: clock)
        return (name, dropped)
    }

    /// The statement has to be prepared anew. Returns the name it had.
    @discardableResult
    mutating func forget(_ key: Key) -> String? {
        entries.removeValue(forKey: key)?.name
    }
}
