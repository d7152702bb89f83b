import CLinux
import Glibc

/// A descriptor that a library (or another thread) writes to wake a loop.
public final class Wakeup: Sendable {
    public let descriptor: Int32

    public init() { descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) }
    deinit { Glibc.close(descriptor) }

    /// Makes the descriptor readable. From any thread.
    public func fire() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Makes it unreadable again until the next ``fire()``.
    public func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
}
