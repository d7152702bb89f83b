import Runtime
import Shared
import Testing

@testable import HTTP

@Suite(.serialized) struct ServerUpstreamTests {
    @Test func `one connection carries many exchanges, bodies of every kind included`() async throws {
        try await withServer { request in
            let body = (try? await request.bytes()) ?? []
            if request.target == "/stream" {
                return .stream(type: "text/plain") { writer in
                    for _ in 0..<3 { try await writer.write(body) }
                }
            }
            return .text(200, "\(request.method) \(request.headers["X-A"] ?? "") \(body.count)")
        } _: { server in
            let port = server.boundPort
            let answers = try await onLoop {
                let upstream = try await Upstream.connect(host: "127.0.0.1", port: port, deadline: .seconds(5))
                var answers: [String] = []
                for (method, target, body) in [
                    (Method.get, "/1", Body()), (.post, "/2", Body([UInt8](repeating: 1, count: 100_000))),
                    (.put, "/3", pieces(5, of: 30_000)), (.head, "/4", Body()), (.post, "/stream", Body([65, 66])),
                ] {
                    #expect(upstream.isStillOpen())
                    let answer = try await upstream.exchange(
                        method, target, headers: ["Host": "h", "X-A": "b"], body: body)
                    #expect(!upstream.isReusable || answer.body.isEmpty)
                    answers.append(String(decoding: try await answer.body.bytes(max: 1000), as: UTF8.self))
                }
                upstream.close()
                #expect(!upstream.isStillOpen())
                return answers
            }
            #expect(answers == ["GET b 0", "POST b 100000", "PUT b 150000", "", "ABABAB"])
        }
    }

    @Test func `an answer cut short is an error and the connection is not used again`() async throws {
        try await withServer { _ in
            .stream(type: "text/plain", length: 100) { writer in
                try await writer.write("half")
                throw Failure("broken")
            }
        } _: { server in
            let port = server.boundPort
            try await onLoop {
                let upstream = try await Upstream.connect(host: "127.0.0.1", port: port, deadline: .seconds(5))
                let answer = try await upstream.exchange(.get, "/", headers: ["Host": "h"])
                await #expect(throws: Body.Abort.self) { _ = try await answer.body.bytes(max: 1000) }
                #expect(!upstream.isReusable)
            }
        }
    }

    @Test func `a server that has closed an idle connection is noticed before the next request`() async throws {
        var limits = ServerLimits()
        limits.idleSeconds = 0
        let hasty = limits
        try await withServer(limits: hasty, handler: { _ in .text(200, "x") }) { server in
            let port = server.boundPort
            try await onLoop {
                let upstream = try await Upstream.connect(host: "127.0.0.1", port: port, deadline: .seconds(5))
                _ = try await upstream.exchange(.get, "/", headers: ["Host": "h"]).body.bytes(max: 10)
                #expect(upstream.hasServed)
                let clock = ContinuousClock()
                let limit = clock.now + .seconds(5)
                while upstream.isStillOpen(), clock.now < limit { try await EventLoop.sleep(for: .milliseconds(20)) }
                #expect(!upstream.isReusable)
            }
        }
    }

    @Test func `a tunnel carries both directions and ends with either`() async throws {
        try await withServer { _ in
            Response(
                status: 101, headers: ["Upgrade": "echo", "Connection": "Upgrade"],
                body: .upgrade { stream, leftover in
                    try await stream.write(leftover)
                    while let bytes = try await stream.read() { try await stream.write(bytes) }
                })
        } _: { behind in
            let port = behind.boundPort
            try await withServer { request in
                do {
                    let upstream = try await Upstream.connect(host: "127.0.0.1", port: port, deadline: .seconds(5))
                    let answer = try await upstream.exchange(
                        .get, request.target, headers: ["Host": "h", "Upgrade": "echo", "Connection": "Upgrade"])
                    guard answer.head.status == 101 else { return .text(502, "") }
                    let (stream, ahead) = upstream.detach()
                    return Response(
                        status: 101, headers: ["Upgrade": "echo", "Connection": "Upgrade"],
                        body: .upgrade { client, leftover in
                            await tunnel(client, ahead: leftover, stream, otherAhead: ahead)
                            stream.close()
                        })
                } catch { return .text(502, "\(error)") }
            } _: { front in
                let client = try RawClient(front.boundPort)
                client.send("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nahead")
                #expect(try await client.readHead().hasPrefix("HTTP/1.1 101 "))
                #expect(try await client.readBytes(5) == Array("ahead".utf8))
                client.send("and more")
                #expect(try await client.readBytes(8) == Array("and more".utf8))
                client.endSending()
                #expect(try await client.readAll() == "")
            }
        }
    }

    @Test func `a server that does not answer, or stops in a small answer, is given up in time`() async throws {
        for isBegun in [false, true] {
            try await onLoop {
                let listener = try Socket.listen(host: "127.0.0.1", port: 0)
                let upstream = try await Upstream.connect(
                    host: "127.0.0.1", port: listener.localPort, deadline: .seconds(5))
                let silent = try listener.accept()
                if isBegun { try await silent?.write(Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".utf8)) }
                let began = ContinuousClock.now
                await #expect(throws: DeadlineExceeded.self) {
                    _ = try await upstream.exchange(.get, "/", headers: ["Host": "h"], within: 1, wholeMax: 100)
                }
                let spent = began.duration(to: .now)
                #expect(spent >= .seconds(1) && spent < .seconds(5))
                #expect(!upstream.isReusable)
                upstream.close()
            }
        }
    }

    @Test func `a small answer is whole at once, and one too large or of unknown length is not`() async throws {
        try await withServer { request in
            switch request.target {
            case "/slow":
                return .stream(type: "text/plain", length: 4) { writer in
                    try await writer.write("ab")
                    try await EventLoop.sleep(for: .milliseconds(30))
                    try await writer.write("cd")
                }
            case "/chunked": return .stream(type: "text/plain") { try await $0.write("abcd") }
            case "/empty": return .empty()
            default: return .text(200, "abcd")
            }
        } _: { server in
            let port = server.boundPort
            try await onLoop {
                let upstream = try await Upstream.connect(host: "127.0.0.1", port: port, deadline: .seconds(5))
                func ask(_ method: Method, _ target: String, _ max: Int) async throws -> (whole: String?, rest: String)
                {
                    let answer = try await upstream.exchange(method, target, headers: ["Host": "h"], wholeMax: max)
                    let whole = answer.body.takeReady().map { String(decoding: $0, as: UTF8.self) }
                    #expect(whole == nil || upstream.isReusable)
                    let rest = try await answer.body.bytes(max: 100)
                    #expect(upstream.isReusable)
                    return (whole, String(decoding: rest, as: UTF8.self))
                }
                #expect(try await ask(.get, "/", 4) == ("abcd", ""))
                #expect(try await ask(.get, "/", 3) == (nil, "abcd"))
                #expect(try await ask(.get, "/slow", 4) == ("abcd", ""))
                #expect(try await ask(.get, "/chunked", 100) == (nil, "abcd"))
                #expect(try await ask(.get, "/empty", 100) == (nil, ""))
                #expect(try await ask(.head, "/", 100) == (nil, ""))
                upstream.close()
            }
        }
    }

    @Test func `interim answers are passed over, wherever the pieces end`() async throws {
        let text =
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
            + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        for cut in [1, 20, 33, 34, 50, text.utf8.count - 1, text.utf8.count] {
            try await onLoop {
                let listener = try Socket.listen(host: "127.0.0.1", port: 0)
                let upstream = try await Upstream.connect(
                    host: "127.0.0.1", port: listener.localPort, deadline: .seconds(5))
                nonisolated(unsafe) let server = try listener.accept()
                let bytes = Array(text.utf8)
                try await server?.write(Array(bytes[..<cut]))
                EventLoop.required().spawn {
                    try? await EventLoop.sleep(for: .milliseconds(5))
                    try? await server?.write(Array(bytes[cut...]))
                }
                let answer = try await upstream.exchange(.get, "/", headers: ["Host": "h"], wholeMax: 10)
                #expect(answer.head.status == 200 && answer.body.takeReady() == Array("ok".utf8))
                #expect(upstream.isReusable)
                upstream.close()
            }
        }
    }

    @Test func `only end-to-end fields are passed on`() {
        let headers: Headers = [
            "Host": "h", "Connection": "close, X-Secret", "X-Secret": "1", "Keep-Alive": "5", "TE": "trailers",
            "Upgrade": "x", "Transfer-Encoding": "chunked", "Content-Length": "5", "Accept": "*/*",
        ]
        #expect(headers.endToEnd.map(\.name) == ["Host", "Accept"])
    }
}

/// A body of unknown length, in pieces.
private func pieces(_ count: Int, of size: Int) -> Body {
    var left = count
    return Body(length: nil) {
        if left == 0 { return nil }
        left -= 1
        return [UInt8](repeating: 2, count: size)
    }
}
