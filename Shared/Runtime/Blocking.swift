import Glibc

/// Threads for work that blocks or computes for long (argon2, DNS, parsing documents), so that no loop ever does.
///
/// `@unchecked Sendable`: the queue and the counters are touched under the condition's mutex only.
public final class Blocking: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    /// Threads without work, a woken or just started one included until it has taken its job.
    private var idle = 0
    private var threads = 0
    private let threadsMax: Int
    private let queueMax: Int

    /// For short look-ups (DNS) and frees that may block; heavy work gets a pool of its own.
    public static let shared = Blocking(threads: 4, queueMax: 1024)

    /// - Parameters:
    ///   - threads: how many at most; started when first needed.
    ///   - queueMax: how much work may wait for a thread; more is refused at once.
    public init(threads: Int, queueMax: Int) {
        threadsMax = threads
        self.queueMax = queueMax
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    /// More work waits than the pool takes: answer 503 rather than let everyone wait.
    public struct Full: Error, Sendable {}

    /// Runs `work` on a thread of the pool and returns to the loop with its result.
    /// - Throws: ``Full``, or what `work` throws.
    public func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        let loop = EventLoop.current
        return try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<T, any Error>) in
            // Resumed on the loop, so that it is awaited by then (decision 0010).
            let accepted = add {
                let result = Result { try work() }
                guard let loop else { return continuation.resume(with: result) }
                loop.execute { continuation.resume(with: result) }
            }
            if !accepted { continuation.resume(throwing: Full()) }
        }
    }

    private func add(_ job: @escaping @Sendable () -> Void) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        // Work that a free thread takes at once does not count as waiting.
        guard queue.count < idle + (threadsMax - threads) + queueMax else { return false }
        queue.append(job)
        if queue.count <= idle {
            pthread_cond_signal(condition)
        } else if threads < threadsMax {
            threads += 1
            idle += 1
            startThread { self.serve() }
        }
        return true
    }

    private func serve() {
        pthread_mutex_lock(mutex)
        while true {
            while queue.isEmpty { pthread_cond_wait(condition, mutex) }
            let job = queue.removeFirst()
            idle -= 1
            pthread_mutex_unlock(mutex)
            job()
            pthread_mutex_lock(mutex)
            idle += 1
        }
    }
}

/// Starts a detached thread.
func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, &attributes,
        { pointer in
            if let pointer { Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().body() }
            return nil
        }, Unmanaged.passRetained(Box(body)).toOpaque())
    precondition(code == 0, "no thread could be started: raise the process limit (ulimit -u)")
}
