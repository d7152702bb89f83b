import Runtime
import Shared
import Testing

@testable import HTTP

private let chunkedHead = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

@Suite(.serialized) struct ServerBodyTests {
    @Test func `a client that expects 100 gets it when the body is read, and only then`() async throws {
        try await withServer { request in
            if request.target == "/refuse" { return .text(413, "no") }
            let bytes = (try? await request.bytes()) ?? []
            return .text(200, String(decoding: bytes, as: UTF8.self))
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await client.readHead() == "HTTP/1.1 100 Continue\r\n\r\n")
            client.send("hello")
            #expect(try await client.readResponse().body == "hello")
            client.send("POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            let refused = try await client.readAll()
            #expect(refused.hasPrefix("HTTP/1.1 413 "))
            #expect(refused.contains("Connection: close"))
        }
    }

    @Test func `a small body that nobody read is swallowed and the connection goes on`() async throws {
        try await withServer { request in
            .text(200, request.target)
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n")
            client.send(String(repeating: "GET / HTTP/1.1\r\n", count: 1875))
            #expect(try await client.readResponse().body == "/1")
            client.send(chunkedHead + "5\r\nhello\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.readResponse().body == "/a")
            #expect(try await client.readResponse().body == "/2")
        }
    }

    @Test func `a large body that nobody read closes the connection and the answer still arrives`() async throws {
        try await withServer { _ in
            .text(413, "too large")
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 800000\r\n\r\n")
            client.send([UInt8](repeating: 65, count: 800_000))
            let all = try await client.readAll()
            #expect(all.hasPrefix("HTTP/1.1 413 "))
            #expect(all.contains("Connection: close"))
            #expect(all.hasSuffix("too large"))
        }
    }

    @Test func `a body larger than its reader accepts is refused before it is read`() async throws {
        try await withServer { request in
            do {
                _ = try await request.bytes(max: 1000)
                return .text(200, "read")
            } catch { return .text(413, error is Body.TooLarge ? "too large" : "\(error)") }
        } _: { server in
            let declared = try RawClient(server.boundPort)
            declared.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
            #expect(try await declared.readAll().hasSuffix("too large"))
            let chunked = try RawClient(server.boundPort)
            chunked.send(chunkedHead + "600\r\n" + String(repeating: "x", count: 0x600) + "\r\n0\r\n\r\n")
            #expect(try await chunked.readResponse().status == 413)
        }
    }

    @Test func `a body cut short is an error to its reader`() async throws {
        let seen = AsyncStream.makeStream(of: String.self)
        try await withServer { request in
            do {
                _ = try await request.bytes()
                seen.continuation.yield("read")
            } catch { seen.continuation.yield(error is Body.Abort ? "abort" : "\(error)") }
            return .text(200, "")
        } _: { server in
            var outcomes = seen.stream.makeAsyncIterator()
            for start in ["POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", chunkedHead + "5\r\nhel"] {
                let client = try RawClient(server.boundPort)
                client.send(start)
                client.endSending()
                #expect(await outcomes.next() == "abort")
            }
        }
    }

    @Test func `a body that nobody reads holds the sender back`() async throws {
        let release = AsyncStream.makeStream(of: Void.self)
        try await withServer { request in
            _ = try? await request.body.next()
            for await _ in release.stream { break }
            return .text(200, "")
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
            // Both kernels' buffers fill up, and then it stops.
            #expect(client.sendUntilBlocked(max: 200 << 20) < 32 << 20)
            release.continuation.finish()
        }
    }

    @Test func `a streamed upload arrives whole and in order`() async throws {
        try await withServer { request in
            var count = 0
            var sum = 0
            do {
                for try await chunk in request.body {
                    for octet in chunk {
                        sum = (sum &* 31 &+ Int(octet)) % 1_000_003
                        count += 1
                    }
                }
            } catch { return .text(400, "\(error)") }
            return .text(200, "\(count) \(sum)")
        } _: { server in
            let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
            let expected = content.reduce(0) { ($0 &* 31 &+ Int($1)) % 1_000_003 }
            let client = try RawClient(server.boundPort)
            client.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: \(content.count)\r\n\r\n")
            client.send(content)
            #expect(try await client.readResponse().body == "300000 \(expected)")
            client.send(chunkedHead)
            var at = 0
            for size in [1, 70_000, 3, 100_000, 129_996] {
                client.send(ChunkedEncoder.encode(content[at..<at + size]))
                at += size
            }
            client.send(ChunkedEncoder.end)
            #expect(try await client.readResponse().body == "300000 \(expected)")
        }
    }

    // MARK: Streaming answers

    @Test func `a stream of unknown length is chunked, or ends with the connection for HTTP 1.0`() async throws {
        try await withServer { _ in
            .stream(type: "text/plain") { writer in
                try await writer.write("hello ")
                try await writer.write("")
                try await writer.write("world")
            }
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            let head = try await client.readHead()
            #expect(head.contains("Transfer-Encoding: chunked"))
            let all = try await client.readAll()
            #expect(all.hasPrefix("6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\nHTTP/1.1 200"))
            let old = try RawClient(server.boundPort)
            old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let answer = try await old.readAll()
            #expect(!answer.contains("chunked"))
            #expect(answer.hasSuffix("\r\n\r\nhello world"))
        }
    }

    @Test func `a stream that fails is cut so that the reader notices`() async throws {
        try await withServer { request in
            .stream(type: "text/plain", length: request.target == "/length" ? 10 : nil) { writer in
                try await writer.write("half")
                if request.target == "/throw" { throw Failure("broken") }
                if request.target == "/long" { try await writer.write("much too long") }
            }
        } _: { server in
            let chunked = try RawClient(server.boundPort)
            chunked.send("GET /throw HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await chunked.readAll().hasSuffix("4\r\nhalf\r\n"))
            let short = try RawClient(server.boundPort)
            short.send("GET /length HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await short.readAll().hasSuffix("\r\n\r\nhalf"))
        }
    }

    @Test func `a reader that does not read holds the stream back`() async throws {
        let progress = AsyncStream.makeStream(of: Int.self)
        try await withServer { _ in
            .stream(type: "text/plain") { writer in
                let piece = [UInt8](repeating: 65, count: 64 * 1024)
                for number in 1...3200 {
                    try await writer.write(piece)
                    progress.continuation.yield(number)
                }
            }
        } _: { server in
            let client = try RawClient(server.boundPort, receiveBuffer: 64 * 1024)
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await client.readHead()
            progress.continuation.finish()
            var written = 0
            for await number in progress.stream { written = number }
            #expect(written < 1000)
        }
    }
}

@Suite(.serialized) struct ServerFairnessTests {
    @Test func `a peer that sends without pause does not keep the loop to itself`() async throws {
        try await withServer { _ in
            Response(
                status: 101, headers: ["Upgrade": "count", "Connection": "Upgrade"],
                body: .upgrade { stream, _ in
                    // Everything is in the socket when the first byte is, so no read ever waits.
                    _ = try await stream.read(max: 1)
                    let others = Turn()
                    EventLoop.required().execute { others.came = true }
                    var reads = 0
                    while reads < 99, !others.came {
                        _ = try await stream.read(max: 1)
                        reads += 1
                    }
                    try await stream.write(Array("\(reads)\n".utf8))
                })
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: count\r\nConnection: upgrade\r\n\r\n")
            _ = try await client.readHead()
            client.send(String(repeating: "x", count: 100))
            let reads = Int(try await client.readAll().dropLast()) ?? 0
            #expect(reads < 20)
        }
    }

    @Test func `giving others a turn does not leave the loop`() async throws {
        let strays = try await onLoop {
            let loop = EventLoop.required()
            var strays = 0
            for _ in 0..<100 {
                await Task.yield()
                if EventLoop.current !== loop { strays += 1 }
            }
            return strays
        }
        #expect(strays == 0)
    }

    @Test func `a body or a writer kept beyond its connection is an error and no crash`() async throws {
        let kept = AsyncStream.makeStream(of: String.self)
        try await withServer { request in
            let body = request.body
            if request.target == "/writer" {
                return .stream(type: "text/plain") { writer in
                    try await writer.write("x")
                    EventLoop.required().spawn {
                        try? await EventLoop.sleep(for: .milliseconds(50))
                        do { try await writer.write("late") } catch { kept.continuation.yield("refused") }
                    }
                }
            }
            EventLoop.required().spawn {
                try? await EventLoop.sleep(for: .milliseconds(50))
                do { _ = try await body.next() } catch { kept.continuation.yield("refused") }
            }
            return .text(200, "")
        } _: { server in
            var outcomes = kept.stream.makeAsyncIterator()
            let client = try RawClient(server.boundPort)
            client.send("POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\nx")
            _ = try await client.readHead()
            client.endSending()
            #expect(await outcomes.next() == "refused")
            let other = try RawClient(server.boundPort)
            other.send("GET /writer HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(await outcomes.next() == "refused")
        }
    }
}

/// Whether somebody else had a turn. Confined to one loop.
private final class Turn: @unchecked Sendable {
    var came = false
}
