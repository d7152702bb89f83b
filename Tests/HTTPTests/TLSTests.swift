import Glibc
import Runtime
import Shared
import Testing

@testable import HTTP

/// A certificate for `localhost` made for one test, in a folder of its own.
private func withCertificate(_ body: (TLS.Files) async throws -> Void) async throws {
    var template = Array("/tmp/switchboard-tls-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure("no folder: \(errno)") }
    let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    let files = TLS.Files(certificate: folder + "/cert.pem", key: folder + "/key.pem")
    defer {
        unlink(files.certificate)
        unlink(files.key)
        rmdir(folder)
    }
    let made = try TLS.selfSigned(for: "localhost")
    for (path, text) in [(files.certificate, made.certificate), (files.key, made.key)] {
        guard let file = fopen(path, "w") else { throw Failure("cannot write \(path)") }
        fputs(text, file)
        fclose(file)
    }
    try await body(files)
}

@Suite(.serialized) struct TLSTests {
    @Test func `a WebSocket over TLS carries messages of every size both ways`() async throws {
        try await withCertificate { files in
            try await withServer(tls: files) { request in
                #expect(request.isSecure)
                return .webSocket { socket in
                    while let message = try await socket.receive() {
                        if case .binary(let bytes) = message { socket.send(bytes) }
                    }
                }
            } _: { server in
                let port = server.boundPort
                try await onLoop {
                    let socket = try await WebSocket.connect(
                        url: "wss://localhost:\(port)/", trusting: files.certificate)
                    for count in [1, 1000, 16_384, 16_385, 60_000] {
                        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 3) }
                        socket.send(bytes)
                        #expect(try await socket.receive() == .binary(bytes))
                    }
                    await socket.end()
                    #expect(socket.closeCode == .normal)
                }
            }
        }
    }

    @Test func `a large answer over TLS arrives whole, and requests are pipelined as without`() async throws {
        let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 11) }
        try await withCertificate { files in
            try await withServer(tls: files) { request in
                request.target == "/large" ? .bytes(type: "text/plain", large) : .text(200, request.target)
            } _: { server in
                let port = server.boundPort
                let received = try await onLoop {
                    let socket = try await Socket.connect(host: "localhost", port: port)
                    let transport = Transport(
                        socket,
                        tls: try TLSSession(client: TLS.Context(clientTrusting: files.certificate), host: "localhost"))
                    try await transport.handshake()
                    try await transport.write(
                        Array(
                            "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                                .utf8))
                    var all: [UInt8] = []
                    while let bytes = try await transport.read() { all += bytes }
                    transport.close()
                    return all
                }
                #expect(Array(received.suffix(large.count)) == large)
                #expect(String(decoding: received.prefix(300), as: UTF8.self).contains("/aHTTP/1.1 200 OK"))
            }
        }
    }

    @Test func `a certificate nobody vouches for, or for another name, is refused`() async throws {
        try await withCertificate { files in
            try await withServer(tls: files, handler: { _ in .text(200, "") }) { server in
                let port = server.boundPort
                await #expect(throws: TLS.Failure.self) {
                    try await onLoop { _ = try await WebSocket.connect(url: "wss://localhost:\(port)/") }
                }
                await #expect(throws: TLS.Failure.self) {
                    try await onLoop {
                        _ = try await WebSocket.connect(url: "wss://127.0.0.1:\(port)/", trusting: files.certificate)
                    }
                }
            }
        }
    }

    @Test func `plain HTTP on a TLS port, and silence, end the connection`() async throws {
        var limits = ServerLimits()
        limits.headSeconds = 1
        let hasty = limits
        try await withCertificate { files in
            try await withServer(limits: hasty, tls: files, handler: { _ in .text(200, "secret") }) { server in
                let plain = try RawClient(server.boundPort)
                plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                #expect(try await !plain.readAll().contains("secret"))
                let silent = try RawClient(server.boundPort)
                #expect(try await silent.readAll() == "")
            }
        }
    }

    @Test func `a key that does not fit its certificate is refused at start`() async throws {
        try await withCertificate { one in
            try await withCertificate { two in
                #expect(throws: TLS.Failure.self) {
                    _ = try TLS.Context(server: TLS.Files(certificate: one.certificate, key: two.key))
                }
            }
        }
        #expect(throws: TLS.Failure.self) {
            _ = try TLS.Context(server: TLS.Files(certificate: "/nowhere/cert.pem", key: "/nowhere/key.pem"))
        }
    }
}
