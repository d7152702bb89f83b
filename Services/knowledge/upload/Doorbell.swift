import Runtime

/// Tells one waiting task, on whatever loop it lives, that there is something to do.
///
/// `@unchecked Sendable`: the listener is guarded by the lock, and what it holds touched on its loop only.
final class Doorbell: @unchecked Sendable {
    /// Lives on the loop that waits.
    final class Listener {
        private let loop = EventLoop.required()
        private let signal = Signal()
        private var isDue = false

        fileprivate var ring: @Sendable () -> Void {
            // Only ever touched inside `execute`.
            nonisolated(unsafe) let listener = self
            return { [loop] in
                loop.execute {
                    listener.isDue = true
                    listener.signal.fire()
                }
            }
        }

        /// Returns when the bell rings or has rung, or when the time is up.
        /// - Throws: `CancellationError`.
        func wait(atMost limit: Duration) async throws {
            if !isDue {
                let timer = loop.after(limit) { self.signal.fire() }
                defer { timer.cancel() }
                try await signal.wait()
            }
            isDue = false
        }
    }

    private let lock = Lock()
    private var ring: (@Sendable () -> Void)?

    func listen() -> Listener {
        let listener = Listener()
        lock.withLock { ring = listener.ring }
        return listener
    }

    func fire() { lock.withLock { ring }?() }
}
