import Glibc

/// A value that is only reached under its lock.
///
/// Not `Synchronization.Mutex`: ThreadSanitizer does not see that one lock, and reports races with it that are none.
public final class Guarded<Value: Sendable>: @unchecked Sendable {
    // Sendable because the lock makes access to the value orderly.
    private let lock = Lock()
    private var value: Value

    public init(_ value: Value) { self.value = value }

    @inline(__always)
    public func withLock<T, Failure: Error>(_ body: (inout Value) throws(Failure) -> T) throws(Failure) -> T {
        try lock.withLock { () throws(Failure) -> T in try body(&value) }
    }
}

/// A pthread mutex, for what ``Guarded`` cannot hold.
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
    public func withLock<T, Failure: Error>(_ body: () throws(Failure) -> T) throws(Failure) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
