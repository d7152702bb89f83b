import Runtime

/// Lets only so many in at a time; the rest wait their turn. Works between loops.
///
/// Sendable because the lock guards both variables.
final class Turnstile: @unchecked Sendable {
    private let lock = Lock()
    private var free: Int
    private var waiting: [UnsafeContinuation<Void, Never>] = []

    init(max: Int) { free = max }

    func enter() async {
        await withUnsafeContinuation { continuation in
            let isIn = lock.withLock {
                if free > 0 {
                    free -= 1
                    return true
                }
                waiting.append(continuation)
                return false
            }
            if isIn { continuation.resume() }
        }
    }

    func leave() {
        let next = lock.withLock { () -> UnsafeContinuation<Void, Never>? in
            guard !waiting.isEmpty else {
                free += 1
                return nil
            }
            return waiting.removeFirst()
        }
        next?.resume()
    }
}
