/// In which order rows of the outbox go out, and when. Pure.
///
/// A row's `seq` is taken when it is inserted, so whoever changed something after somebody else had committed has the
/// higher number: publishing in that order keeps every key in order. (The order of transaction numbers does not: a
/// transaction gets its number with its first write, perhaps long before it gets to the row that both change.)
///
/// A transaction still open may hold a lower number than rows already visible. It shows as a hole, and nothing behind a
/// hole goes out before the hole is filled, or is known to stay: its transaction was rolled back. Whoever has taken a place
/// holds PostgreSQL's lock of writers on the outbox until the end of its transaction. So the writers are noted after the
/// hole was seen, and when all of those have ended, what is missing then will be missing for ever. Transactions that
/// publish nothing, and those of other databases, hold nobody up, however long they take.
struct PublishOrder {
    /// Every place up to here has been decided.
    private(set) var settled: Int64 = 0
    private var seen: (upTo: Int64, writers: Set<String>)?

    /// How many of the rows may go out, from the first on.
    /// - Parameters:
    ///   - published: the last place that is done.
    ///   - rows: the places of visible rows after it, rising.
    func ready(after published: Int64, rows: [Int64]) -> Int {
        var done = published
        for (count, place) in rows.enumerated() {
            guard place == done + 1 || place - 1 <= settled else { return count }
            done = place
        }
        return rows.count
    }

    /// A hole is in the way.
    /// - Parameters:
    ///   - upTo: the highest place that was visible.
    ///   - writers: the transactions that hold the outbox now, after that.
    mutating func blocked(upTo: Int64, writers: Set<String>) {
        let left = seen.map { ($0.upTo, $0.writers.intersection(writers)) } ?? (upTo, writers)
        seen = left.1.isEmpty ? nil : left
        if left.1.isEmpty { settled = max(settled, left.0) }
    }
}
