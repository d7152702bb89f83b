import CLinux
import Glibc
import Shared

/// A non-blocking stream socket of one loop. Try first, wait only when it would block: a busy connection never pays for
/// a system call that says "not yet".
///
/// Not `Sendable`: it belongs to the loop it was made on.
public final class Socket {
    public let descriptor: Int32
    /// The address at the other end, without the port; empty for a listener and for a unix socket.
    public let peer: String
    private let loop: EventLoop
    private var watch: Watch?
    private var readers: [Waiter] = []
    private var writers: [Waiter] = []
    private var parked: UnsafeContinuation<Void, Never>?
    // False from "would block" until epoll reports again: until then no system call is made at all.
    private var maybeReadable = true
    private var maybeWritable = true
    // The peer has ended its stream: no further edge will come, so reading goes on until it says 0.
    private var peerEnded = false
    private var closed = false
    public var isClosed: Bool { closed }

    /// - Parameter watched: false for a listener, whose owner watches it itself.
    init(_ descriptor: Int32, peer: String, loop: EventLoop, watched: Bool = true) {
        self.descriptor = descriptor
        self.peer = peer
        self.loop = loop
        if watched {
            watch = loop.watch(descriptor, .edge) { [unowned self] ready in onReady(ready) }
        }
    }

    deinit {
        if !closed {
            watch?.cancel()
            Glibc.close(descriptor)
        }
    }

    /// The system refused; `code` is errno.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public let operation: StaticString
        public let code: Int32
        public var description: String { "\(operation): \(String(cString: strerror(code)))" }

        init(_ operation: StaticString, _ code: Int32 = errno) {
            self.operation = operation
            self.code = code
        }
    }

    // MARK: Without waiting

    /// Bytes read into `target`; 0 at the end of the stream, nil when there is nothing yet.
    public func tryRead(into target: UnsafeMutableRawBufferPointer) throws(Failure) -> Int? {
        guard !closed else { throw Failure("read", EBADF) }
        guard maybeReadable else { return nil }
        while true {
            let count = recv(descriptor, target.baseAddress, target.count, 0)
            if count >= 0 {
                // A short read has emptied the socket; whatever comes later makes a new edge (epoll(7), question 9).
                if count > 0, count < target.count, !peerEnded { maybeReadable = false }
                return count
            }
            guard try isTransient("read") else { continue }
            maybeReadable = false
            return nil
        }
    }

    /// Bytes the system took, possibly fewer than given; nil when it takes none now.
    public func tryWrite(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Int? {
        guard !closed else { throw Failure("write", EBADF) }
        guard maybeWritable else { return nil }
        while true {
            let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return count }
            guard try isTransient("write") else { continue }
            maybeWritable = false
            return nil
        }
    }

    /// As ``tryWrite(_:)``, of several buffers in one call.
    public func tryWritev(_ buffers: [UnsafeRawBufferPointer]) throws(Failure) -> Int? {
        guard !closed else { throw Failure("write", EBADF) }
        guard maybeWritable else { return nil }
        while true {
            let count = withUnsafeTemporaryAllocation(of: iovec.self, capacity: buffers.count) { vectors in
                for (place, buffer) in buffers.enumerated() {
                    vectors[place] = iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress), iov_len: buffer.count)
                }
                var message = msghdr()
                message.msg_iov = vectors.baseAddress
                message.msg_iovlen = buffers.count
                return sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
            }
            if count >= 0 { return count }
            guard try isTransient("write") else { continue }
            maybeWritable = false
            return nil
        }
    }

    /// True for "not now", false for "again at once".
    private func isTransient(_ operation: StaticString) throws(Failure) -> Bool {
        switch errno {
        case EAGAIN: return true
        case EINTR: return false
        default: throw Failure(operation)
        }
    }

    // MARK: Waiting

    /// Returns when a read may have something, the end of the stream included.
    /// - Throws: `CancellationError`, or ``Failure`` when the socket is closed here.
    public func waitReadable() async throws {
        guard !closed else { throw Failure("wait", EBADF) }
        if maybeReadable { return }
        let waiter = Waiter(loop: loop)
        readers.removeAll { $0.isFinished }
        readers.append(waiter)
        try await waiter.value()
    }

    /// Resumes the one task that reads here when a read may have something, the end of the stream included; at once
    /// when it may now or the socket is closed. Cancelling the task does not resume it: ``shutdown(_:)`` does.
    public func park(_ reader: UnsafeContinuation<Void, Never>) {
        precondition(parked == nil, "two tasks read one socket")
        if maybeReadable || closed { reader.resume() } else { parked = reader }
    }

    private func unpark() {
        guard let reader = parked else { return }
        parked = nil
        reader.resume()
    }

    /// Returns when a write may be taken, or fail.
    /// - Throws: `CancellationError`, or ``Failure`` when the socket is closed here.
    public func waitWritable() async throws {
        guard !closed else { throw Failure("wait", EBADF) }
        if maybeWritable { return }
        let waiter = Waiter(loop: loop)
        writers.removeAll { $0.isFinished }
        writers.append(waiter)
        try await waiter.value()
    }

    private func onReady(_ ready: Readiness) {
        if ready.contains(.ended) { peerEnded = true }
        if ready.contains(.read) {
            maybeReadable = true
            unpark()
            if !readers.isEmpty { Self.wake(&readers) }
        }
        if ready.contains(.write) {
            maybeWritable = true
            if !writers.isEmpty { Self.wake(&writers) }
        }
    }

    private static func wake(_ waiters: inout [Waiter], _ result: Result<Void, any Error> = .success(())) {
        for waiter in waiters { waiter.finish(result) }
        waiters.removeAll(keepingCapacity: true)
    }

    /// At most `max` bytes, empty at the end of the stream.
    public func read(max: Int = 16_384) async throws -> [UInt8] {
        while true {
            var count: Int?
            let bytes = try [UInt8](unsafeUninitializedCapacity: max) { buffer, used in
                count = try tryRead(into: UnsafeMutableRawBufferPointer(buffer))
                used = count ?? 0
            }
            if count != nil { return bytes }
            try await waitReadable()
        }
    }

    /// Returns when the system has taken them all.
    public func write(_ bytes: [UInt8]) async throws {
        var sent = 0
        while sent < bytes.count {
            let count = try bytes.withUnsafeBytes { all in
                try tryWrite(UnsafeRawBufferPointer(rebasing: all[sent...]))
            }
            sent += count ?? 0
            if count == nil { try await waitWritable() }
        }
    }

    /// `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` (integers in Glibc).
    public func shutdown(_ how: some BinaryInteger) { _ = Glibc.shutdown(descriptor, Int32(how)) }

    /// Ends whoever waits with ``Failure`` and frees the descriptor.
    public func close() {
        guard !closed else { return }
        closed = true
        watch?.cancel()
        watch = nil
        Glibc.close(descriptor)
        unpark()
        let gone = Result<Void, any Error>.failure(Failure("wait", EBADF))
        Self.wake(&readers, gone)
        Self.wake(&writers, gone)
    }

    // MARK: Making one

    /// Connects over TCP, trying each address of the name in turn.
    /// - Parameter deadline: for looking up and connecting together. An address that does not answer may use up its share
    ///   of what is left, not the share of those after it.
    public static func connect(host: String, port: Int, deadline: Duration = .seconds(5)) async throws -> Socket {
        let end = ContinuousClock.now + deadline
        let addresses = try await withDeadline(deadline) { try await Address.resolve(host, port: port) }
        var failure: any Error = Failure("connect", EHOSTUNREACH)
        for (place, address) in addresses.enumerated() {
            let share = ContinuousClock.now.duration(to: end) / (addresses.count - place)
            do {
                return try await withDeadline(share) { try await connect(address) }
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// Connects to one address.
    public static func connect(_ address: Address) async throws -> Socket {
        let loop = EventLoop.required()
        let descriptor = try open(address.family)
        let code = address.withPointer { Glibc.connect(descriptor, $0, $1) }
        guard code == 0 || errno == EINPROGRESS else {
            let failure = Failure("connect")
            Glibc.close(descriptor)
            throw failure
        }
        // Watched only now: before, epoll would report an unconnected socket as hung up.
        let socket = Socket(descriptor, peer: address.host, loop: loop)
        if code == 0 { return socket }
        socket.maybeWritable = false
        do {
            try await socket.waitWritable()
            var problem: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &length)
            guard problem == 0 else { throw Failure("connect", problem) }
            return socket
        } catch {
            socket.close()
            throw error
        }
    }

    /// Listens on a TCP port; 0 takes a free one (see ``localPort``).
    /// - Parameter reusePort: let several loops listen on the same port; the kernel spreads the connections.
    public static func listen(host: String, port: Int, reusePort: Bool = true, backlog: Int32 = 4096) throws -> Socket {
        guard let address = Address(host: host, port: port) else { throw Failure("listen", EINVAL) }
        let descriptor = try open(address.family)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        if reusePort { setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, socklen_t(MemoryLayout<Int32>.size)) }
        guard address.withPointer({ bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, backlog) == 0 else {
            let failure = Failure("listen")
            Glibc.close(descriptor)
            throw failure
        }
        return Socket(descriptor, peer: "", loop: .required(), watched: false)
    }

    /// The next connection of a listener; nil when there is none.
    public func accept() throws(Failure) -> Socket? {
        while true {
            var storage = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let accepted = withUnsafeMutablePointer(to: &storage) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { cl_accept4(descriptor, $0, &length) }
            }
            if accepted >= 0 {
                var on: Int32 = 1
                setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
                return Socket(accepted, peer: Address(storage: storage).host, loop: loop)
            }
            switch errno {
            case EAGAIN: return nil
            case EINTR, ECONNABORTED: continue
            default: throw Failure("accept")
            }
        }
    }

    /// The port this socket is bound to.
    public var localPort: Int {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        return Address(storage: storage).port
    }

    private static func open(_ family: Int32) throws(Failure) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw Failure("socket") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }
}
