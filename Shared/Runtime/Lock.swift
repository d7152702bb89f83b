import Glibc

/// A pthread mutex. ThreadSanitizer understands it; with `Synchronization.Mutex` it reports races that are none.
public final class Lock: @unchecked Sendable {
    // Sendable because the mutex is what makes access to anything orderly.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    public init() {
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inline(__always)
    public func withLock<T>(_ body: () throws -> T) rethrows -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
