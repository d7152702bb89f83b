import Glibc

/// Threads for work that blocks or computes for long (argon2, DNS, parsing documents), so that no loop ever does.
///
/// `@unchecked Sendable`: the queue and the counters are touched under the condition's mutex only.
public final class Blocking: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    private var idle = 0
    private var threads = 0
    private let threadsMax: Int
    private let queueMax: Int

    /// For short look-ups (DNS) and frees that may block; heavy work gets a pool of its own.
    public static let shared = Blocking(threads: 4, queueMax: 1024)

    /// - Parameters:
    ///   - threads: started when first needed. - queueMax: how many may wait; more are refused at once.
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
        try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<T, any Error>) in
            let accepted = add { continuation.resume(with: Result { try work() }) }
            if !accepted { continuation.resume(throwing: Full()) }
        }
    }

    private func add(_ job: @escaping @Sendable () -> Void) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard queue.count < queueMax else { return false }
        queue.append(job)
        if idle > 0 {
            pthread_cond_signal(condition)
        } else if threads < threadsMax {
            threads += 1
            startThread { self.serve() }
        }
        return true
    }

    private func serve() {
        while true {
            pthread_mutex_lock(mutex)
            while queue.isEmpty {
                idle += 1
                pthread_cond_wait(condition, mutex)
                idle -= 1
            }
            let job = queue.removeFirst()
            pthread_mutex_unlock(mutex)
            job()
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
