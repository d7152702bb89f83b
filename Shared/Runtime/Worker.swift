import Glibc
import Shared

/// Runs a command of a program, by default of this very one, in a process of its own: bytes in, bytes out. For what must
/// not share memory, descriptors or secrets with us, such as decoding a stranger's file.
///
/// The process inherits nothing: no descriptor but three pipes, no environment but the path of the libraries. It limits
/// itself first thing (``Confinement``) and is killed when its time is up.
public struct Worker: Sendable {
    private let path: String
    private let command: String
    private let pool: Blocking
    private let timeMax: Duration
    private let outputMax: Int

    /// - Parameters:
    ///   - command: its only argument.
    ///   - pool: one thread waits for each process, so its size is how many there are at once.
    public init(
        path: String = "/proc/self/exe", command: String, pool: Blocking, timeMax: Duration, outputMax: Int
    ) {
        self.path = path
        self.command = command
        self.pool = pool
        self.timeMax = timeMax
        self.outputMax = outputMax
    }

    public enum Failure: Error, Sendable, Hashable {
        /// The system would not start it; the code is errno's.
        case notStarted(Int32)
        /// It ended with this exit status, 128 + n after signal n.
        case ended(Int32)
        case timeout
        case tooMuchOutput
    }

    /// What the command writes when it is given `input`.
    /// - Throws: ``Failure``; ``Blocking/Full`` when too many wait already.
    public func run(_ input: [UInt8]) async throws -> [UInt8] {
        let worker = self
        return try await pool.run { try worker.perform(input) }
    }

    private func perform(_ input: [UInt8]) throws(Failure) -> [UInt8] {
        let child = try Child(path, command)
        var exchange = WorkerExchange(
            input: input, to: child.input, from: child.output, outputMax: outputMax,
            deadline: ContinuousClock.now + timeMax)
        if let outcome = exchange.run() {
            child.kill()
            throw outcome
        }
        let code = child.wait()
        guard code == 0 else { throw .ended(code) }
        return exchange.output
    }
}

/// The two directions at once, so that neither side waits for the other for ever.
private struct WorkerExchange {
    private let input: [UInt8]
    private let to: Pipe
    private let from: Pipe
    private let outputMax: Int
    private let deadline: ContinuousClock.Instant
    private var sent = 0
    private(set) var output: [UInt8] = []

    init(input: [UInt8], to: Pipe, from: Pipe, outputMax: Int, deadline: ContinuousClock.Instant) {
        self.input = input
        self.to = to
        self.from = from
        self.outputMax = outputMax
        self.deadline = deadline
    }

    /// Until the child closes its output; what went wrong, or nil.
    mutating func run() -> Worker.Failure? {
        _ = fcntl(to.writeEnd, F_SETFL, O_NONBLOCK)
        if input.isEmpty { to.closeWriteEnd() }
        while true {
            let left = ContinuousClock.now.duration(to: deadline).milliseconds
            guard left > 0 else { return .timeout }
            var waits = [pollfd(fd: from.readEnd, events: Int16(POLLIN), revents: 0)]
            if to.writeEnd >= 0 { waits.append(pollfd(fd: to.writeEnd, events: Int16(POLLOUT), revents: 0)) }
            let ready = poll(&waits, nfds_t(waits.count), Int32(min(left, 60_000)))
            if ready < 0, errno != EINTR { return .notStarted(errno) }
            guard ready > 0 else { continue }
            if waits.count > 1, waits[1].revents != 0 { send() }
            if waits[0].revents != 0 {
                guard let more = receive() else { return output.count > outputMax ? .tooMuchOutput : nil }
                if !more { return nil }
            }
        }
    }

    private mutating func send() {
        let count = input.withUnsafeBytes { bytes in
            write(to.writeEnd, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
        }
        if count > 0 { sent += count }
        // A child that wants no more (EPIPE) has its reasons; its exit status tells.
        if sent == input.count || count < 0 && errno != EAGAIN && errno != EINTR { to.closeWriteEnd() }
    }

    /// False at the end; nil when it is too much or unreadable.
    private mutating func receive() -> Bool? {
        var block = [UInt8](repeating: 0, count: 65_536)
        let count = read(from.readEnd, &block, block.count)
        if count < 0 { return errno == EINTR ? true : nil }
        output += block[..<count]
        if output.count > outputMax { return nil }
        return count > 0
    }
}

/// What a ``Worker``'s process takes away from itself before it looks at anything.
public enum Confinement {
    /// - Parameters:
    ///   - memory: bytes of address space, what the program has mapped already included.
    ///   - seconds: of computing.
    public static func enter(memory: Int, seconds: Int) {
        limit(RLIMIT_AS, memory)
        limit(RLIMIT_CPU, seconds)
        // No files grow, none are opened beside the three pipes and what is open already, no core is dumped.
        limit(RLIMIT_FSIZE, 0)
        limit(RLIMIT_NOFILE, 3)
        limit(RLIMIT_CORE, 0)
    }

    private static func limit(_ resource: __rlimit_resource, _ value: Int) {
        var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
        setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
    }

    /// All of standard input.
    public static func input() -> [UInt8] {
        var whole: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(0, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return whole }
            whole += block[..<count]
        }
    }

    /// Writes all of it to standard output; false when nobody reads it.
    public static func output(_ bytes: [UInt8]) -> Bool { Child.write(bytes, to: 1) }
}
