import CLinux
import Glibc
import Shared

/// Processes of this very program that are kept for computing which must slow nobody down, however much of it there is.
/// One request and one answer at a time each, over two pipes.
///
/// A thread of ours, however low its priority, computes on our account: to the kernel, which shares processors out among
/// sessions and containers first, this program has had its turn, and its loops wait. A companion has a session, and with it
/// a share, of its own (decision 0027).
public final class Companions: Sendable {
    private let path: String
    private let command: String
    private let pool: Blocking
    private let timeMax: Duration
    private let idle = Guarded<[Companion]>([])

    /// - Parameters:
    ///   - path: the program; this very one.
    ///   - command: its command, which calls ``serve(_:)``.
    ///   - pool: one thread waits for each process, so its size is how many there are at most.
    ///   - timeMax: what a request may take; then its process is killed.
    public init(path: String = "/proc/self/exe", command: String, pool: Blocking, timeMax: Duration) {
        self.path = path
        self.command = command
        self.pool = pool
        self.timeMax = timeMax
    }

    /// - Throws: ``Worker/Failure``; ``Blocking/Full`` when too many wait already.
    public func ask(_ request: [UInt8]) async throws -> [UInt8] {
        try await pool.run { [self] in try perform(request) }
    }

    private func perform(_ request: [UInt8]) throws(Worker.Failure) -> [UInt8] {
        if let kept = idle.withLock({ $0.popLast() }) {
            do {
                return try perform(request, by: kept)
            } catch .ended {
                // It had died since; a new one is asked.
            }
        }
        return try perform(request, by: Companion(child: try Child(path, command)))
    }

    private func perform(_ request: [UInt8], by companion: Companion) throws(Worker.Failure) -> [UInt8] {
        do {
            let answer = try companion.ask(request, until: .now + timeMax)
            idle.withLock { $0.append(companion) }
            return answer
        } catch {
            companion.child.kill()
            throw error
        }
    }

    /// Those that wait for the next request.
    var resting: [pid_t] { idle.withLock { $0.map(\.child.process) } }

    /// The other side: answers requests until there are no more. Takes a low priority first, and while it computes
    /// steps aside when every core has something else to do.
    public static func serve(_ answer: ([UInt8]) -> [UInt8]) {
        cl_background_process()
        while let request = Frame.read(0) {
            cl_give_way(1)
            let answered = answer(request)
            cl_give_way(0)
            guard Frame.write(answered, to: 1) else { return }
        }
    }
}

/// `@unchecked Sendable`: whoever took it out of the list has it alone.
private final class Companion: @unchecked Sendable {
    let child: Child

    init(child: Child) { self.child = child }

    func ask(_ request: [UInt8], until deadline: ContinuousClock.Instant) throws(Worker.Failure) -> [UInt8] {
        guard Frame.write(request, to: child.input.writeEnd) else { throw .ended(0) }
        let left = ContinuousClock.now.duration(to: deadline).milliseconds
        var waits = pollfd(fd: child.output.readEnd, events: Int16(POLLIN), revents: 0)
        var ready: Int32
        repeat { ready = poll(&waits, 1, Int32(clamping: max(0, left))) } while ready < 0 && errno == EINTR
        guard ready > 0 else { throw .timeout }
        guard let answer = Frame.read(child.output.readEnd) else { throw .ended(0) }
        return answer
    }
}

/// Four bytes of length, the highest first, and that many bytes: small enough for a pipe to take whole.
private enum Frame {
    private static let bytesMax = 60_000

    /// nil at the end of the pipe.
    static func read(_ descriptor: Int32) -> [UInt8]? {
        guard let head = read(descriptor, 4) else { return nil }
        let count = head.reduce(0) { $0 << 8 | Int($1) }
        return count <= bytesMax ? read(descriptor, count) : nil
    }

    private static func read(_ descriptor: Int32, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let more = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress.map { $0 + have }, count - have)
            }
            if more < 0, errno == EINTR { continue }
            guard more > 0 else { return nil }
            have += more
        }
        return bytes
    }

    /// False when nobody reads it.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        guard bytes.count <= bytesMax else { return false }
        let frame = (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> (24 - 8 * $0)) } + bytes
        return Child.write(frame, to: descriptor)
    }
}
