import Glibc
import Runtime
import Shared

@testable import HTTP

/// A server on a free port with its own loop, for one test.
func withServer(
    limits: ServerLimits = ServerLimits(), tls: TLS.Files? = nil, loops: Int = 1,
    handler: @escaping @Sendable (Request) async -> Response, _ test: (Server) async throws -> Void
) async throws {
    let group = EventLoopGroup(count: loops)
    group.start()
    let server = Server(port: 0, host: "127.0.0.1", tls: tls, limits: limits, handler: handler)
    try await server.start(on: group)
    do {
        try await test(server)
    } catch {
        await server.stop(deadline: .milliseconds(500))
        group.stop()
        throw error
    }
    await server.stop(deadline: .milliseconds(500))
    group.stop()
}

/// Runs the body on a loop of its own and hands its result back.
func onLoop<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
    let group = EventLoopGroup(count: 1)
    group.start()
    defer { group.stop() }
    let box = Box<T>()
    await group.loops[0].spawn("test") {
        do { box.result = .success(try await body()) } catch { box.result = .failure(error) }
    }.value
    guard let result = box.result else { throw Failure("the loop gave no result") }
    return try result.get()
}

/// Written by one task and read after it has ended.
private final class Box<T: Sendable>: @unchecked Sendable {
    var result: Result<T, any Error>?
}

/// A blocking socket that knows nothing of HTTP: what a hostile or broken client sends, byte by byte.
///
/// `@unchecked Sendable`: one task at a time uses it.
final class RawClient: @unchecked Sendable {
    let descriptor: Int32
    private var received: [UInt8] = []
    private(set) var isEnded = false

    /// Every read gives up after `patience` seconds.
    init(_ port: Int, patience: Int = 8, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure("cannot connect: \(errno)") }
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            at += count
        }
    }

    /// How many bytes the other side lets through before it holds back.
    func sendUntilBlocked(max: Int) -> Int {
        let piece = [UInt8](repeating: 65, count: 64 * 1024)
        var total = 0
        var quiet = 0
        while total < max, quiet < 20 {
            let count = Glibc.send(descriptor, piece, piece.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if count > 0 {
                total += count
                quiet = 0
            } else {
                var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&writable, 1, 25)
                quiet += 1
            }
        }
        return total
    }

    /// Whether something came (or the other side closed) within so many milliseconds.
    func isAnswered(within milliseconds: Int32) -> Bool {
        var readable = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&readable, 1, milliseconds) > 0
    }

    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Waits on a thread of its own: blocked threads of the tests' pool could leave none to what they wait for.
    private static let threads = Blocking(threads: 32, queueMax: 32)
    private static let loops = {
        let loops = EventLoopGroup(count: 1)
        loops.start()
        return loops
    }()

    private func more() async throws -> Bool {
        if isEnded { return false }
        let descriptor = descriptor
        let box = Box<[UInt8]?>()
        await Self.loops.loops[0].spawn {
            box.result = .success(
                try? await Self.threads.run { () -> [UInt8]? in
                    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
                    let count = recv(descriptor, &buffer, buffer.count, 0)
                    if count < 0, errno == EAGAIN { return nil }
                    return Array(buffer[..<max(0, count)])
                })
        }.value
        guard let bytes = try box.result?.get() else { throw Failure("nothing came; so far: \(text)") }
        if bytes.isEmpty { isEnded = true }
        received += bytes
        return !bytes.isEmpty
    }

    private var text: String { String(decoding: received, as: UTF8.self) }

    /// Everything until the other side closes.
    func readAll() async throws -> String {
        while try await more() {}
        defer { received = [] }
        return text
    }

    func readBytes(_ count: Int) async throws -> [UInt8] {
        while received.count < count {
            guard try await more() else { throw Failure("closed after \(received.count) of \(count) bytes: \(text)") }
        }
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }

    func readHead() async throws -> String {
        while true {
            if let end = text.range(of: "\r\n\r\n") {
                let head = String(text[..<end.upperBound])
                received.removeFirst(head.utf8.count)
                return head
            }
            guard try await more() else { throw Failure("closed before the end of a head: \(text)") }
        }
    }

    /// One response with a Content-Length.
    func readResponse() async throws -> (status: Int, head: String, body: String) {
        let head = try await readHead()
        var length = 0
        for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("content-length: ") {
            length = Int(line.dropFirst(16)) ?? 0
        }
        let status = Int(head.dropFirst(9).prefix(3)) ?? 0
        return (status, head, String(decoding: try await readBytes(length), as: UTF8.self))
    }
}

extension String {
    /// Where the text first occurs; Foundation is not needed for that.
    fileprivate func range(of needle: String) -> Range<String.Index>? {
        let all = Array(utf8)
        let wanted = Array(needle.utf8)
        guard all.count >= wanted.count else { return nil }
        for start in 0...(all.count - wanted.count) where Array(all[start..<start + wanted.count]) == wanted {
            let low = utf8.index(utf8.startIndex, offsetBy: start)
            return low..<utf8.index(low, offsetBy: wanted.count)
        }
        return nil
    }
}
