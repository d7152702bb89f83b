import Shared

/// How often and how patiently something is tried again.
public struct Retry: Sendable {
    public var attempts: Int
    public var first: Duration
    public var longest: Duration

    /// - Parameters: - attempts: including the first. - first: wait before the second; doubles up to `longest`.
    public init(attempts: Int, first: Duration = .milliseconds(50), longest: Duration = .seconds(2)) {
        self.attempts = attempts
        self.first = first
        self.longest = longest
    }

    /// For what must work in the end (a database at start, a broker): gives up only when cancelled.
    public static let forever = Retry(attempts: .max)

    /// The wait after `failures` failures in a row: between half and all of the doubled first wait, so that many who
    /// failed together do not come back together.
    public func delay(after failures: Int) -> Duration {
        let doubled = first * Double(1 << min(max(failures - 1, 0), 20))
        return min(doubled, longest) * Double.random(in: 0.5...1)
    }

    /// Runs `body` until it succeeds, the error is not worth another try, or the attempts are used up. A deadline around
    /// it cancels it, the waits included.
    ///
    /// Name the value first (`let retry = Retry(…)`): Swift 6.3.1 crashes on `Retry(…) { … }`.
    public func callAsFunction<T>(
        while isWorthIt: (any Error) -> Bool = { !($0 is CancellationError) }, _ body: () async throws -> T
    ) async throws -> T {
        var failures = 0
        while true {
            do { return try await body() } catch {
                failures += 1
                guard failures < attempts, isWorthIt(error), !Task.isCancelled else { throw error }
                try await EventLoop.sleep(for: delay(after: failures))
            }
        }
    }
}
