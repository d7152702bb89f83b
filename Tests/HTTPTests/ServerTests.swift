import Runtime
import Shared
import Testing

@testable import HTTP

/// Says what came: method, target and body.
@Sendable private func echo(_ request: Request) async -> Response {
    do {
        let body = String(decoding: try await request.bytes(), as: UTF8.self)
        return .text(200, "\(request.method) \(request.target) \(body)")
    } catch let abort as Body.Abort {
        return .text(abort.status, abort.reason)
    } catch {
        return .text(413, "\(error)")
    }
}

@Suite(.serialized) struct ServerTests {
    @Test func `a connection serves one request after another`() async throws {
        try await withServer(handler: echo) { server in
            let client = try RawClient(server.boundPort)
            for number in 0..<3 {
                client.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n")
                let answer = try await client.readResponse()
                #expect(answer.status == 200)
                #expect(answer.body == "GET /\(number) ")
                #expect(answer.head.contains("\r\nDate: "))
                #expect(!answer.head.contains("Connection: close"))
            }
        }
    }

    @Test func `a request torn at any byte is answered the same`() async throws {
        try await withServer(handler: echo) { server in
            let client = try RawClient(server.boundPort)
            let request = Array("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello".utf8)
            let chunked = Array(
                "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n".utf8
            )
            for whole in [request, chunked] {
                for cut in 1..<whole.count {
                    client.send(Array(whole[..<cut]))
                    client.send(Array(whole[cut...]))
                    #expect(try await client.readResponse().body == "POST /a hello")
                }
            }
        }
    }

    @Test func `pipelined requests are answered in order, also when the first takes longest`() async throws {
        try await withServer { request in
            // A server that ran them at once would answer the first one last.
            if request.target == "/0" { try? await EventLoop.sleep(for: .milliseconds(50)) }
            return await echo(request)
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send((0..<50).map { "POST /\($0) HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab" }.joined())
            for number in 0..<50 { #expect(try await client.readResponse().body == "POST /\(number) ab") }
        }
    }

    @Test func `nothing after close is read and the connection ends`() async throws {
        try await withServer(handler: echo) { server in
            let client = try RawClient(server.boundPort)
            client.send("GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
            let all = try await client.readAll()
            #expect(all.contains("GET /1 "))
            #expect(!all.contains("GET /2 "))
            #expect(all.contains("Connection: close"))
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\nHost: h\n\n", 400),
        ("GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        ("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: br\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "x", count: 20_000))\r\n\r\n", 431),
        ("GET /\(String(repeating: "x", count: 9000)) HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", 417),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400),
    ])
    func `what breaks the rules is refused and the connection closed`(_ text: String, _ status: Int) async throws {
        try await withServer(handler: echo) { server in
            let client = try RawClient(server.boundPort)
            client.send(text + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
            let all = try await client.readAll()
            #expect(all.hasPrefix("HTTP/1.1 \(status) "))
            #expect(all.contains("Connection: close"))
            #expect(!all.contains("smuggled"))
        }
    }

    @Test func `HTTP 1.0 closes unless it asks to keep the connection`() async throws {
        try await withServer(handler: echo) { server in
            let closing = try RawClient(server.boundPort)
            closing.send("GET /a HTTP/1.0\r\n\r\n")
            #expect(try await closing.readAll().hasSuffix("GET /a "))
            let keeping = try RawClient(server.boundPort)
            for _ in 0..<2 {
                keeping.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                #expect(try await keeping.readResponse().head.contains("Connection: keep-alive"))
            }
        }
    }

    @Test func `HEAD gets the head of GET and nothing more`() async throws {
        try await withServer(handler: echo) { server in
            let client = try RawClient(server.boundPort)
            client.send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            let head = try await client.readHead()
            #expect(head.contains("Content-Length: 8\r\n"))
            #expect(try await client.readAll().hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func `a handler's framing fields are the server's to say`() async throws {
        try await withServer { _ in
            var response = Response.text(200, "abc")
            response.headers.add("Content-Length", "99")
            response.headers.add("Transfer-Encoding", "chunked")
            response.headers.add("Connection", "close")
            return response
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
            let answer = try await client.readResponse()
            #expect(answer.body == "abc")
            #expect(!answer.head.contains("chunked"))
            #expect(!answer.head.contains("close"))
        }
    }

    @Test func `a large answer goes out whole`() async throws {
        let large = [UInt8](repeating: 66, count: 5 << 20)
        try await withServer { _ in
            .bytes(type: "text/plain", large)
        } _: { server in
            let client = try RawClient(server.boundPort)
            for _ in 0..<2 {
                client.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
                #expect(try await client.readResponse().body.utf8.count == large.count)
            }
        }
    }

    @Test func `answers without content have no length and no body`() async throws {
        try await withServer { request in
            Response.empty(request.target == "/304" ? 304 : 204)
        } _: { server in
            let client = try RawClient(server.boundPort)
            client.send("GET /204 HTTP/1.1\r\nHost: h\r\n\r\nGET /304 HTTP/1.1\r\nHost: h\r\n\r\n")
            for status in ["204", "304"] {
                let head = try await client.readHead()
                #expect(head.hasPrefix("HTTP/1.1 \(status) "))
                #expect(!head.contains("Content-Length"))
            }
        }
    }
}
