/// In which order rows of the outbox go out, and when. Pure.
///
/// A row's `seq` is taken when it is inserted, so whoever changed something after somebody else had committed has the
/// higher number: publishing in that order keeps every key in order. (The order of transaction numbers does not: a
/// transaction gets its number with its first write, perhaps long before it gets to the row that both change.)
///
/// A transaction still open may hold a lower number than rows already visible. It shows as a hole, and nothing behind a
/// hole goes out before the hole is filled, or is known to stay: its transaction was rolled back. To know that, a
/// transaction number is taken after the hole was seen. Whoever took the missing place has a lower one (the `xid` column is
/// filled before `seq`), so when every transaction below it has ended, what is missing then will be missing for ever.
struct PublishOrder {
    /// Every place up to here has been decided.
    private(set) var settled: Int64 = 0
    private var seen: (upTo: Int64, before: Int64)?

    /// How many of the rows may go out, from the first on.
    /// - Parameters:
    ///   - published: the last place that is done.
    ///   - rows: the places of visible rows after it, rising.
    ///   - oldest: the lowest number of a transaction open when the rows were read.
    mutating func ready(after published: Int64, rows: [Int64], oldest: Int64) -> Int {
        if let seen, oldest >= seen.before {
            settled = max(settled, seen.upTo)
            self.seen = nil
        }
        var done = published
        for (count, place) in rows.enumerated() {
            guard place == done + 1 || place - 1 <= settled else { return count }
            done = place
        }
        return rows.count
    }

    /// Whether a number has to be taken for a hole.
    var mustAsk: Bool { seen == nil }

    /// - Parameters:
    ///   - upTo: the highest place that was visible.
    ///   - before: a transaction number taken after that.
    mutating func saw(upTo: Int64, before: Int64) { seen = (upTo, before) }
}
