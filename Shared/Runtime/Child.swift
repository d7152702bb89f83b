import CLinux
import Glibc
import Shared

/// A process of ours that inherits nothing: no descriptor but its pipes, no environment but the path of the libraries.
/// When we end, however that happens, its input ends.
final class Child {
    /// What it reads.
    let input: Pipe
    /// What it writes.
    let output: Pipe
    let process: pid_t

    /// Writing to one that has died is an error like others, not the end of us.
    private static let survivesBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    /// - Parameter command: its only argument.
    init(_ path: String, _ command: String) throws(Worker.Failure) {
        _ = Self.survivesBrokenPipes
        (input, output) = (try Pipe(), try Pipe())
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.readEnd, 0)
        posix_spawn_file_actions_adddup2(&actions, output.writeEnd, 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        cl_spawn_close_from(&actions, 3)
        // The local platform's libraries lie beside it.
        let libraries = Environment.variables["LD_LIBRARY_PATH"].map { ["LD_LIBRARY_PATH=\($0)"] } ?? []
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), strdup(command), nil]
        var environment: [UnsafeMutablePointer<CChar>?] = libraries.map { strdup($0) } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var started = pid_t()
        let code = posix_spawn(&started, path, &actions, nil, &arguments, &environment)
        guard code == 0 else { throw .notStarted(code) }
        process = started
        input.closeReadEnd()
        output.closeWriteEnd()
    }

    /// Writes all of it, for whichever side of a pipe; false when nobody reads it.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.write(descriptor, buffer.baseAddress.map { $0 + sent }, bytes.count - sent)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Its exit status when it has ended, 128 + n after signal n. Call this or ``kill()``, once.
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    func kill() {
        Glibc.kill(process, SIGKILL)
        _ = wait()
    }
}

/// Both ends, each closed once.
final class Pipe {
    private(set) var readEnd: Int32 = -1
    private(set) var writeEnd: Int32 = -1

    init() throws(Worker.Failure) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .notStarted(errno) }
        (readEnd, writeEnd) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    func closeReadEnd() {
        if readEnd >= 0 { close(readEnd) }
        readEnd = -1
    }

    func closeWriteEnd() {
        if writeEnd >= 0 { close(writeEnd) }
        writeEnd = -1
    }

    deinit {
        closeReadEnd()
        closeWriteEnd()
    }
}
