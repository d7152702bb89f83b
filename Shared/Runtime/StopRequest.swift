import CLinux
import Glibc

/// The wish to stop the program, made by a signal on another thread.
final class StopRequest: Sendable {
    private let lock = Lock()
    // Both guarded by `lock`.
    nonisolated(unsafe) private var isMade = false
    nonisolated(unsafe) private var listeners: [@Sendable () -> Void] = []

    /// False when it had been made before.
    func make() -> Bool {
        let (first, listeners) = lock.withLock {
            defer {
                isMade = true
                self.listeners = []
            }
            return (!isMade, self.listeners)
        }
        for listener in listeners { listener() }
        return first
    }

    /// Calls `listener` once, on the requester's thread, or at once when the request is there.
    func onMade(_ listener: @escaping @Sendable () -> Void) {
        let made = lock.withLock {
            if !isMade { listeners.append(listener) }
            return isMade
        }
        if made { listener() }
    }

    var wasMade: Bool { lock.withLock { isMade } }

    /// On a loop.
    func wait() async {
        let loop = EventLoop.required()
        await withUnsafeContinuation { continuation in onMade { loop.execute { continuation.resume() } } }
    }
}

/// SIGTERM and SIGINT, read by a thread that sleeps until one arrives: the handler itself only writes a byte.
struct StopSignals {
    private let descriptor = cl_stop_signals()

    func watch(_ onSignal: @escaping @Sendable (_ number: Int32) -> Void) {
        let descriptor = descriptor
        startThread {
            var number: UInt8 = 0
            while true {
                let count = read(descriptor, &number, 1)
                if count == 1 { onSignal(Int32(number)) } else if count == 0 || errno != EINTR { return }
            }
        }
    }
}
