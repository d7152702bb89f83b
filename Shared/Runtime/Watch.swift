import CLinux

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let read = Readiness(rawValue: 1)
    public static let write = Readiness(rawValue: 2)
    /// The other end is gone, or the descriptor failed. Comes with `read` and `write`, so that whoever waits finds out.
    public static let hangup = Readiness(rawValue: 4)
    /// The other end sends nothing more; what it sent before may still be there.
    public static let ended = Readiness(rawValue: 8)

    init(events: UInt32) {
        var ready: Readiness = []
        if events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLPRI.rawValue) != 0 { ready.insert(.read) }
        if events & EPOLLOUT.rawValue != 0 { ready.insert(.write) }
        if events & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { ready.insert(.ended) }
        if events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { ready.formUnion([.read, .write, .hangup]) }
        self = ready
    }
}

/// A descriptor under observation of one loop. Touched only on that loop. Cancel it before the descriptor is closed;
/// if a library closes it first and its number is in use again, the newer watch is left alone.
public final class Watch {
    /// How epoll reports.
    public enum Trigger: Sendable {
        /// Again and again while the descriptor is ready and the interest is set; for libraries that own the descriptor.
        case level
        /// Once for each time it becomes ready, for reading and writing at once and with no further system call; for
        /// sockets that are read until they would block.
        case edge
    }

    let descriptor: Int32
    private var isLive = true
    /// Used only while `isLive`, which the loop takes away before it goes.
    private unowned(unsafe) let loop: EventLoop
    private let slot: Int
    private let trigger: Trigger
    private var interest: UInt32
    var onReady: ((Readiness) -> Void)?

    init(_ descriptor: Int32, loop: EventLoop, slot: Int, trigger: Trigger, _ onReady: @escaping (Readiness) -> Void) {
        self.descriptor = descriptor
        self.loop = loop
        self.slot = slot
        self.trigger = trigger
        self.onReady = onReady
        interest = trigger == .edge ? EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue : 0
    }

    var events: UInt32 { interest }

    /// What a level-triggered watch waits for; nothing at first.
    public func set(read: Bool, write: Bool) {
        precondition(trigger == .level, "an edge-triggered watch always waits for both")
        let wanted = (read ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0) | (write ? EPOLLOUT.rawValue : 0)
        guard wanted != interest, isLive else { return }
        interest = wanted
        loop.change(self, slot: slot)
    }

    /// Stops watching. Reports already on their way are dropped, even if the number is used for another descriptor.
    public func cancel() {
        guard isLive else { return }
        loop.remove(self, slot: slot)
        forget()
    }

    func forget() {
        isLive = false
        onReady = nil
    }
}
