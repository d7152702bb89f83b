/// One task waiting on a loop for one answer. The first of `finish` and cancellation wins.
///
/// `@unchecked Sendable`: everything but the hop in `onCancel` happens on the loop.
final class Waiter: @unchecked Sendable {
    private let loop: EventLoop
    private var continuation: UnsafeContinuation<Void, any Error>?
    private var result: Result<Void, any Error>?

    init(loop: EventLoop) { self.loop = loop }

    var isFinished: Bool { result != nil }

    func finish(_ result: Result<Void, any Error>) {
        guard self.result == nil else { return }
        self.result = result
        let continuation = continuation
        self.continuation = nil
        continuation?.resume(with: result)
    }

    /// - Throws: what `finish` was given, or `CancellationError`.
    func value() async throws {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                if let result {
                    continuation.resume(with: result)
                } else {
                    self.continuation = continuation
                }
            }
        } onCancel: {
            // Runs on the canceller's thread, possibly before the wait begins: the loop puts things in order.
            loop.execute { self.finish(.failure(CancellationError())) }
        }
    }
}
