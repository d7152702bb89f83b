import Glibc
import Runtime

/// A server process of the test's own, on a port of its own, that a test may kill, start again and make fall silent.
///
/// Sendable because the test's loop alone uses it.
public class PrivateServer: @unchecked Sendable {
    public let port: Int
    private let command: [String]
    private var process: pid_t?

    /// - Parameter command: the program and its arguments, for a port.
    init(command: (_ port: Int) -> [String]) throws {
        // A port that was free a moment ago.
        let listener = try Socket.listen(host: "127.0.0.1", port: 0)
        port = listener.localPort
        listener.close()
        self.command = command(port)
    }

    deinit {
        if let process { Glibc.kill(process, SIGKILL) }
    }

    /// Starts it and waits until it takes connections.
    public func start() async throws {
        process = try startProcess(command)
        try await eventually("\(command[0]) listens") {
            guard let socket = try? await Socket.connect(host: "127.0.0.1", port: self.port) else { return false }
            socket.close()
            return true
        }
    }

    /// Ends it without a word, and everything it held with it.
    public func kill() async throws {
        guard let process else { return }
        self.process = nil
        Glibc.kill(process, SIGKILL)
        try await Blocking.shared.run {
            var status: Int32 = 0
            waitpid(process, &status, 0)
        }
    }

    /// Leaves every connection open and answers nothing.
    public func pause() { if let process { Glibc.kill(process, SIGSTOP) } }
    public func resume() { if let process { Glibc.kill(process, SIGCONT) } }
}

/// Starts a program whose path stands first; what it says goes nowhere.
private func startProcess(_ arguments: [String]) throws -> pid_t {
    var process = pid_t()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var words = arguments.map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    let code = posix_spawn(&process, arguments[0], &actions, nil, &words, environ)
    guard code == 0 else { throw NeverHappened(description: "\(arguments[0]) cannot be started: \(code)") }
    return process
}
