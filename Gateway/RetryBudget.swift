/// How many requests may be sent a second time: a tenth of all, and a few at once so that one replica's end is covered.
/// When everything fails, retries would only double the load. Pure.
struct RetryBudget: Sendable {
    /// In tenths of a retry, so that every request earns exactly one.
    private var tenths = RetryBudget.tenthsMax

    /// Ten retries saved up, for a loop.
    static let tenthsMax = 100

    /// A request was sent for the first time.
    mutating func earn() { tenths = min(tenths + 1, Self.tenthsMax) }

    /// False when the budget is spent.
    mutating func spend() -> Bool {
        guard tenths >= 10 else { return false }
        tenths -= 10
        return true
    }
}
