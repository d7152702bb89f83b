import Runtime

/// Lets only so many in at a time; the rest wait their turn. Works between loops, and is used on loops only.
///
/// Sendable because the lock guards both variables.
final class Turnstile: @unchecked Sendable {
    private let lock = Lock()
    private var free: Int
    private var waiting: [(loop: EventLoop, continuation: UnsafeContinuation<Void, Never>)] = []

    init(max: Int) { free = max }

    func enter() async {
        let loop = EventLoop.required()
        await withUnsafeContinuation { continuation in
            let isIn = lock.withLock {
                if free > 0 {
                    free -= 1
                    return true
                }
                waiting.append((loop, continuation))
                return false
            }
            if isIn { continuation.resume() }
        }
    }

    func leave() {
        let next = lock.withLock { () -> (loop: EventLoop, continuation: UnsafeContinuation<Void, Never>)? in
            guard !waiting.isEmpty else {
                free += 1
                return nil
            }
            return waiting.removeFirst()
        }
        // On its own loop, so that it is awaited by then.
        next.map { next in next.loop.execute { next.continuation.resume() } }
    }
}
