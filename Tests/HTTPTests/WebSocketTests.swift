import Runtime
import Shared
import Testing

@testable import HTTP

private let handshake = """
    GET /ws HTTP/1.1\r
    Host: h\r
    Connection: keep-alive, Upgrade\r
    Upgrade: WebSocket\r
    Sec-WebSocket-Version: 13\r
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
    \r

    """

/// Echoes until the peer closes.
@Sendable private func echo(_ socket: WebSocket) async throws {
    while let message = try await socket.receive() {
        switch message {
        case .text(let text): socket.send(text)
        case .binary(let bytes): socket.send(bytes)
        }
    }
}

private func echoServer(
    limits: WebSocket.Limits = WebSocket.Limits(), origins: [String]? = nil
) -> @Sendable (Request) async -> Response {
    { _ in .webSocket(limits: limits, origins: origins, echo) }
}

extension RawClient {
    /// One unmasked frame as a server sends it.
    fileprivate func readFrame() async throws -> (opcode: UInt8, payload: [UInt8]) {
        let head = try await readBytes(2)
        var length = Int(head[1] & 0x7F)
        if length == 126 { length = try await readBytes(2).reduce(0) { $0 << 8 | Int($1) } }
        if length == 127 { length = try await readBytes(8).reduce(0) { $0 << 8 | Int($1) } }
        return (head[0], try await readBytes(length))
    }

    fileprivate func sendFrame(_ opcode: Opcode, _ payload: [UInt8]) {
        send(Frame.encode(opcode, payload, mask: 0x0403_0201))
    }

    /// Reads up to the server's close frame and hands its code back; the connection must end behind it.
    fileprivate func closeCode() async throws -> UInt16 {
        while true {
            let frame = try await readFrame()
            guard frame.opcode == 0x88 else { continue }
            #expect(try await readAll() == "")
            return frame.payload.count < 2 ? 1005 : UInt16(frame.payload[0]) << 8 | UInt16(frame.payload[1])
        }
    }
}

@Suite(.serialized) struct WebSocketTests {
    @Test func `the handshake of the standard's example gets the standard's answer`() async throws {
        try await withServer(handler: echoServer()) { server in
            let client = try RawClient(server.boundPort)
            client.send(handshake)
            let head = try await client.readHead()
            #expect(head.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            #expect(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
            client.sendFrame(.text, Array("hi".utf8))
            #expect(try await client.readFrame() == (0x81, Array("hi".utf8)))
        }
    }

    @Test func `frames sent ahead of the answer and torn anywhere are read`() async throws {
        try await withServer(handler: echoServer()) { server in
            let frame = Frame.encode(.text, Array("hello".utf8), mask: 7)
            for cut in 1..<frame.count {
                let client = try RawClient(server.boundPort)
                client.send(Array(handshake.utf8) + frame[..<cut])
                _ = try await client.readHead()
                client.send(Array(frame[cut...]))
                #expect(try await client.readFrame().payload == Array("hello".utf8))
            }
        }
    }

    @Test(arguments: [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426), ("Upgrade: WebSocket", "Upgrade: h2c", 426),
        ("Connection: keep-alive, Upgrade", "Connection: keep-alive", 426), ("GET /ws", "POST /ws", 426),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400), ("Sec-WebSocket-Key", "X-Key", 400),
        ("Host: h", "Host: h\r\nOrigin: https://evil.example", 403),
    ])
    func `a handshake that is none is refused`(_ part: String, _ wrong: String, _ status: Int) async throws {
        try await withServer(handler: echoServer(origins: ["https://good.example"])) { server in
            let client = try RawClient(server.boundPort)
            let pieces = handshake.split(separator: part, omittingEmptySubsequences: false)
            client.send(pieces.joined(separator: wrong))
            let answer = try await client.readAll()
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            if wrong.hasSuffix(" 8") { #expect(answer.contains("Sec-WebSocket-Version: 13\r\n")) }
        }
    }

    @Test func `an origin on the list is let in`() async throws {
        try await withServer(handler: echoServer(origins: ["https://good.example"])) { server in
            let client = try RawClient(server.boundPort)
            client.send(handshake.replacing("Host: h", with: "Host: h\r\nOrigin: https://good.example"))
            #expect(try await client.readHead().hasPrefix("HTTP/1.1 101 "))
        }
    }

    @Test(
        arguments: [
            (Frame(.text, [65]).bytes, 1002), ([0xC1, 0x80, 0, 0, 0, 0], 1002), ([0x83, 0x80, 0, 0, 0, 0], 1002),
            ([0x09, 0x80, 0, 0, 0, 0], 1002), (Frame.encode(.text, [0xFF], mask: 1), 1007),
            (Frame.encode(.binary, [UInt8](repeating: 0, count: 65537), mask: 1), 1009),
            (Frame.encode(.close, [3], mask: 1), 1002), (Frame.encode(.close, [0x03, 0xED], mask: 1), 1002),
            (Frame.encode(.close, [0x03, 0xE8, 0xFF], mask: 1), 1007), (Frame.encode(.close, [], mask: 1), 1000),
            (Frame.encode(.close, [0x0F, 0xA0], mask: 1), 4000),
        ] as [([UInt8], UInt16)])
    func `a broken rule closes with its code and a close is answered with its own`(
        _ frame: [UInt8], _ code: UInt16
    ) async throws {
        try await withServer(handler: echoServer()) { server in
            let client = try RawClient(server.boundPort)
            client.send(Array(handshake.utf8) + frame)
            _ = try await client.readHead()
            client.endSending()
            #expect(try await client.closeCode() == code)
        }
    }

    @Test func `pings are answered between the fragments of a message`() async throws {
        try await withServer(handler: echoServer()) { server in
            let client = try RawClient(server.boundPort)
            client.send(handshake)
            _ = try await client.readHead()
            var first = Frame.encode(.text, Array("a".utf8), mask: 1)
            first[0] = 0x01
            client.send(first)
            client.sendFrame(.ping, [1, 2, 3])
            client.sendFrame(.continuation, Array("b".utf8))
            #expect(try await client.readFrame() == (0x8A, [1, 2, 3]))
            #expect(try await client.readFrame() == (0x81, Array("ab".utf8)))
        }
    }

    @Test func `a silent peer is pinged and dropped when it stays silent`() async throws {
        var limits = WebSocket.Limits()
        limits.pingEvery = .milliseconds(100)
        limits.pongWithin = .milliseconds(100)
        let impatient = limits
        let codes = AsyncStream.makeStream(of: CloseCode?.self)
        try await withServer { _ in
            .webSocket(limits: impatient) { socket in
                try await echo(socket)
                codes.continuation.yield(socket.closeCode)
            }
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send(handshake)
            _ = try await client.readHead()
            // Answered pings keep it open.
            for _ in 0..<3 {
                let ping = try await client.readFrame()
                #expect(ping.opcode == 0x89)
                client.sendFrame(.pong, ping.payload)
            }
            #expect(try await client.readFrame().opcode == 0x89)
            #expect(try await client.readAll() == "")
            var all = codes.stream.makeAsyncIterator()
            #expect(await all.next() == .some(.abnormal))
        }
    }

    @Test func `a slow reader is closed with 1013 and does not hold up another`() async throws {
        let frame = Frame(.binary, [UInt8](repeating: 7, count: 60_000))
        try await withServer { request in
            if request.target == "/quick" { return .webSocket(nil, echo) }
            return .webSocket { socket in
                var sent = 0
                while socket.send(preencoded: frame) {
                    sent += 1
                    if sent > 2000 { return }
                    // Lets the others run, as a broadcast between two events would.
                    try await EventLoop.sleep(for: .zero)
                }
                #expect(socket.closeCode == .tryAgainLater)
                #expect(socket.outboundCount <= 256 * 1024 + 200)
            }
        } _: { server in
            let slow = try RawClient(server.boundPort, receiveBuffer: 32 * 1024)
            slow.send(handshake)
            _ = try await slow.readHead()
            let quick = try RawClient(server.boundPort)
            quick.send(handshake.replacing("/ws", with: "/quick"))
            _ = try await quick.readHead()
            quick.sendFrame(.text, Array("still here".utf8))
            #expect(try await quick.readFrame().payload == Array("still here".utf8))
            #expect(try await slow.closeCode() == 1013)
        }
    }

    @Test func `a stop says 1001`() async throws {
        let group = EventLoopGroup(count: 1)
        group.start()
        let server = Server(port: 0, host: "127.0.0.1", handler: echoServer())
        try await server.start(on: group)
        let client = try RawClient(server.boundPort)
        client.send(handshake)
        _ = try await client.readHead()
        async let stopped: Void = server.stop(deadline: .seconds(5))
        let frame = try await client.readFrame()
        #expect(frame.opcode == 0x88)
        #expect(Array(frame.payload.prefix(2)) == [0x03, 0xE9])
        client.sendFrame(.close, [0x03, 0xE9])
        #expect(try await client.readAll() == "")
        await stopped
        group.stop()
    }

    // MARK: Our client with our server

    @Test func `client and server understand each other, large messages and closing included`() async throws {
        var limits = WebSocket.Limits()
        limits.messageMax = 1 << 20
        limits.outboundMax = 4 << 20
        let generous = limits
        try await withServer { request in
            request.headers["Sec-WebSocket-Protocol"] == "one, two"
                ? .webSocket("two", limits: generous, echo) : .webSocket(limits: generous, echo)
        } _: { server in
            let port = server.boundPort
            try await onLoop {
                let socket = try await WebSocket.connect(
                    url: "ws://127.0.0.1:\(port)/ws?x=y", protocols: ["one", "two"], limits: generous)
                #expect(socket.subprotocol == "two")
                for count in [0, 1, 125, 126, 65535, 65536, 900_000] {
                    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
                    socket.send(bytes)
                    #expect(try await socket.receive() == .binary(bytes))
                }
                socket.send(text: "grüße")
                #expect(try await socket.receive() == .text("grüße"))
                socket.close(CloseCode(rawValue: 4001), reason: "enough")
                #expect(try await socket.receive() == nil)
                #expect(!socket.send("late"))
                await socket.end()
            }
        }
    }

    @Test func `a server that does not upgrade is an error with its status`() async throws {
        try await withServer { _ in
            .text(404, "no")
        } _: { server in
            let port = server.boundPort
            let status = try await onLoop {
                do {
                    _ = try await WebSocket.connect(url: "ws://127.0.0.1:\(port)/")
                    return 0
                } catch let refused as WebSocket.Refused { return refused.status ?? -1 }
            }
            #expect(status == 404)
        }
    }

    @Test func `a handler that returns or throws ends the socket with the right code`() async throws {
        try await withServer { request in
            .webSocket { _ in
                if request.target == "/throw" { throw Failure("broken") }
            }
        } _: { server in
            for (path, code) in [("/ws", 1000 as UInt16), ("/throw", 1011)] {
                let client = try RawClient(server.boundPort)
                client.send(handshake.replacing("/ws", with: path))
                _ = try await client.readHead()
                let frame = try await client.readFrame()
                #expect(UInt16(frame.payload[0]) << 8 | UInt16(frame.payload[1]) == code)
                client.sendFrame(.close, frame.payload)
                #expect(try await client.readAll() == "")
            }
        }
    }

    @Test(arguments: [
        ("ws://a/b?c#d", "a", 80, "/b?c"), ("wss://a", "a", 443, "/"), ("WS://[::1]:8000?x", "::1", 8000, "/?x"),
        ("ws://a:81/", "a", 81, "/"),
    ])
    func `a WebSocket URL is taken apart`(_ url: String, _ host: String, _ port: Int, _ target: String) throws {
        let address = try #require(WebSocket.Address(url))
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.target == target)
    }

    @Test(arguments: ["http://a", "ws://", "ws://u@a", "ws://a:0", "ws://a:x", "ws://a b", "ws://a/\r\n"])
    func `what is no WebSocket URL is refused`(_ url: String) {
        #expect(WebSocket.Address(url) == nil)
    }
}
