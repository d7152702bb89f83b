import Glibc
import Runtime

/// A Valkey or Redis of the test's own, which keeps nothing: killing and starting it again is one that comes back empty.
///
/// Sendable because the test's loop alone uses it.
public final class PrivateRedis: @unchecked Sendable {
    public let port: Int
    private let binary: String
    private let options: [String]
    private var process: pid_t?

    /// - Parameter options: of its command line, `{port}` standing for its port.
    public init(_ options: [String] = []) throws {
        let places = ["/usr/bin", "/usr/local/bin", "/usr/sbin"]
        let candidates: [String] = ["valkey-server", "redis-server"].flatMap { name in places.map { $0 + "/" + name } }
        let found = candidates.first { (path: String) -> Bool in access(path, X_OK) == 0 }
        guard let found else { throw NeverHappened(description: "no valkey-server or redis-server: make setup") }
        binary = found
        self.options = options
        // A port that was free a moment ago.
        let listener = try Socket.listen(host: "127.0.0.1", port: 0)
        port = listener.localPort
        listener.close()
    }

    deinit {
        if let process { Glibc.kill(process, SIGKILL) }
    }

    /// Starts the server and waits until it takes connections.
    public func start() async throws {
        let own = options.isEmpty ? ["--port", "\(port)"] : options.map { $0 == "{port}" ? "\(port)" : $0 }
        process = try startProcess(
            [binary, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"] + own)
        try await eventually("the server listens") {
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

    /// What it answers to a few words, as it is written.
    public func say(_ words: String...) async throws -> String {
        let socket = try await Socket.connect(host: "127.0.0.1", port: port)
        defer { socket.close() }
        try await socket.write(Array((words.joined(separator: " ") + "\r\nQUIT\r\n").utf8))
        var answer: [UInt8] = []
        while true {
            let bytes = try await socket.read()
            if bytes.isEmpty { break }
            answer += bytes
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
