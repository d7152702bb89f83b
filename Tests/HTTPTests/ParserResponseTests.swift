import Testing

@testable import HTTP

private func parse(_ text: String, _ method: Method = .get) -> Parsed<ResponseHead> {
    var parser = ResponseParser()
    return parser.parse(Array(text.utf8), method: method)
}

private func head(_ text: String, _ method: Method = .get) throws -> ResponseHead {
    guard case .head(let head, _) = parse(text, method) else { throw Failure("\(parse(text, method))") }
    return head
}

@Suite struct ParserResponseTests {
    @Test func `a plain response is taken apart at whatever byte it is cut`() throws {
        let bytes = Array(
            "HTTP/1.1 200 All is well\r\nContent-Length: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n".utf8)
        for cut in 0..<bytes.count {
            var parser = ResponseParser()
            guard case .incomplete = parser.parse(Array(bytes[..<cut]), method: .get) else {
                throw Failure("cut at \(cut)")
            }
            guard case .head(let head, let consumed) = parser.parse(bytes, method: .get) else {
                throw Failure("cut at \(cut)")
            }
            #expect(head.status == 200)
            #expect(head.framing == .length(3))
            #expect(head.headers.all("set-cookie") == ["a", "b"])
            #expect(consumed == bytes.count)
        }
    }

    @Test func `framing follows status and method`() throws {
        #expect(try head("HTTP/1.1 200 OK\r\n\r\n").framing == .untilClose)
        #expect(try !head("HTTP/1.1 200 OK\r\n\r\n").keepAlive)
        #expect(try head("HTTP/1.1 204 No Content\r\n\r\n").framing == .none)
        #expect(try head("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").framing == .none)
        #expect(try head("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", .head).framing == .none)
        #expect(try head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").framing == .chunked)
        #expect(try head("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").framing == .none)
        #expect(try head("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").framing == .none)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
    ])
    func `what two readers could read differently is a 502`(_ text: String) {
        guard case .refused(let refusal) = parse(text) else {
            Issue.record("\(text.debugDescription) passed")
            return
        }
        #expect(refusal.status == 502)
    }
}
