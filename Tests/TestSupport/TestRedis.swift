import Glibc
import Runtime

/// A Valkey or Redis of the test's own, which keeps nothing: killing and starting it again is one that comes back empty.
public final class PrivateRedis: PrivateServer, @unchecked Sendable {
    /// - Parameter options: of its command line, `{port}` standing for its port.
    public init(_ options: [String] = []) throws {
        let places = ["/usr/bin", "/usr/local/bin", "/usr/sbin"]
        let candidates: [String] = ["valkey-server", "redis-server"].flatMap { name in places.map { $0 + "/" + name } }
        let found = candidates.first { (path: String) -> Bool in access(path, X_OK) == 0 }
        guard let found else { throw NeverHappened(description: "no valkey-server or redis-server: make setup") }
        try super.init { port in
            let own = options.isEmpty ? ["--port", "\(port)"] : options.map { $0 == "{port}" ? "\(port)" : $0 }
            return [found, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"] + own
        }
    }

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
