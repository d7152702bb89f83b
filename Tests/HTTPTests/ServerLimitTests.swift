import Runtime
import Shared
import Testing

@testable import HTTP

/// Everything takes one second at most, so that the tests do not take a minute.
private var hasty: ServerLimits {
    var limits = ServerLimits()
    limits.headSeconds = 1
    limits.idleSeconds = 1
    limits.bodyStallSeconds = 1
    limits.writeStallSeconds = 1
    limits.lingerSeconds = 1
    return limits
}

@Sendable private func read(_ request: Request) async -> Response {
    do {
        return .text(200, "\(try await request.bytes().count)")
    } catch let abort as Body.Abort {
        return .text(abort.status, abort.reason)
    } catch {
        return .text(413, "")
    }
}

@Suite(.serialized) struct ServerLimitTests {
    @Test func `a head that takes too long is answered with 408, however it drips`() async throws {
        try await withServer(limits: hasty, handler: read) { server in
            let client = try RawClient(server.boundPort)
            let clock = ContinuousClock()
            let began = clock.now
            client.send("GET / HTTP/1.1\r\nHost: h\r\n")
            // Every further line would wind up a clock that starts anew with each byte.
            repeat {
                client.send("X-A: b\r\n")
            } while !client.isAnswered(within: 100) && clock.now - began < .seconds(8)
            #expect(try await client.readAll().hasPrefix("HTTP/1.1 408 "))
            #expect(clock.now - began < .seconds(5))
        }
    }

    @Test func `a silent connection is closed without a word`() async throws {
        try await withServer(limits: hasty, handler: read) { server in
            let fresh = try RawClient(server.boundPort)
            #expect(try await fresh.readAll() == "")
            let used = try RawClient(server.boundPort)
            used.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await used.readResponse().status == 200)
            #expect(try await used.readAll() == "")
        }
    }

    @Test func `a body that stalls is answered with 408`() async throws {
        try await withServer(limits: hasty, handler: read) { server in
            for start in ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"] {
                let client = try RawClient(server.boundPort)
                client.send("POST / HTTP/1.1\r\nHost: h\r\n" + start)
                let all = try await client.readAll()
                #expect(all.hasPrefix("HTTP/1.1 408 "))
                #expect(all.contains("Connection: close"))
            }
        }
    }

    @Test func `a body that drips is cut although it never stalls`() async throws {
        try await withServer(limits: hasty, handler: read) { server in
            let client = try RawClient(server.boundPort)
            client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
            let clock = ContinuousClock()
            let began = clock.now
            repeat { client.send("x") } while !client.isAnswered(within: 100) && clock.now - began < .seconds(8)
            #expect(try await client.readAll().hasPrefix("HTTP/1.1 408 "))
            #expect(clock.now - began < .seconds(6))
        }
    }

    @Test func `a reader that takes nothing of its answer is cut`() async throws {
        let large = [UInt8](repeating: 65, count: 64 << 20)
        let ended = AsyncStream.makeStream(of: Void.self)
        try await withServer(limits: hasty) { _ in
            .stream(type: "text/plain") { writer in
                defer { ended.continuation.yield() }
                try await writer.write(large)
            }
        } _: { server in
            let client = try RawClient(server.boundPort, receiveBuffer: 32 * 1024)
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            for await _ in ended.stream { break }
            _ = client
        }
    }

    @Test func `a stop finishes what has begun, says close, and takes nobody new`() async throws {
        let begun = AsyncStream.makeStream(of: Void.self)
        let release = AsyncStream.makeStream(of: Void.self)
        let group = EventLoopGroup(count: 1)
        group.start()
        let server = Server(port: 0, host: "127.0.0.1") { request in
            if request.target == "/slow" {
                begun.continuation.yield()
                for await _ in release.stream { break }
            }
            return .text(200, "done")
        }
        try await server.start(on: group)
        let port = server.boundPort
        let idle = try RawClient(port)
        idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try await idle.readResponse().status == 200)
        let busy = try RawClient(port)
        busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        for await _ in begun.stream { break }

        async let stopped: Void = server.stop(deadline: .seconds(5))
        // The idle one hears of it at once, so the listener is closed by then.
        #expect(try await idle.readAll() == "")
        #expect(throws: (any Error).self) { try RawClient(port) }
        release.continuation.yield()
        let all = try await busy.readAll()
        #expect(all.hasSuffix("done"))
        #expect(all.contains("Connection: close"))
        await stopped
        group.stop()
    }

    @Test func `a stop does not wait for ever`() async throws {
        let begun = AsyncStream.makeStream(of: Void.self)
        let group = EventLoopGroup(count: 1)
        group.start()
        let server = Server(port: 0, host: "127.0.0.1") { _ in
            begun.continuation.yield()
            try? await EventLoop.sleep(for: .seconds(60))
            return .text(200, "")
        }
        try await server.start(on: group)
        let client = try RawClient(server.boundPort)
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        for await _ in begun.stream { break }
        let clock = ContinuousClock()
        let took = await clock.measure { await server.stop(deadline: .milliseconds(200)) }
        #expect(took < .seconds(3))
        #expect(try await client.readAll() == "")
        group.stop()
    }

    @Test func `an upgrade hands over the stream with what was sent ahead`() async throws {
        try await withServer { _ in
            Response(
                status: 101, headers: ["Upgrade": "echo", "Connection": "Upgrade"],
                body: .upgrade { stream, leftover in
                    try await stream.write(leftover)
                    while let bytes = try await stream.read() { try await stream.write(bytes) }
                })
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nahead")
            let head = try await client.readHead()
            #expect(head.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            #expect(head.contains("Upgrade: echo\r\n"))
            #expect(try await client.readBytes(5) == Array("ahead".utf8))
            client.send("more")
            #expect(try await client.readBytes(4) == Array("more".utf8))
            client.endSending()
            #expect(try await client.readAll() == "")
        }
    }
}
