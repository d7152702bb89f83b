import Testing

@testable import HTTP

/// Parses one request whole; nil when it is not complete.
private func parse(_ text: String, limits: HeadLimits = HeadLimits()) -> Parsed<RequestHead> {
    var parser = RequestParser(limits: limits)
    return parser.parse(Array(text.utf8))
}

private func head(_ text: String) throws -> RequestHead {
    guard case .head(let head, _) = parse(text) else {
        throw Failure("\(text.debugDescription) gave \(parse(text))")
    }
    return head
}

private func refusal(_ text: String, limits: HeadLimits = HeadLimits()) -> Int? {
    guard case .refused(let refusal) = parse(text, limits: limits) else { return nil }
    return refusal.status
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

@Suite struct ParserTests {
    let plain = "GET /a/b?c=d HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n"

    @Test func `a plain request is taken apart`() throws {
        let head = try head(plain)
        #expect(head.method == .get)
        #expect(head.target == "/a/b?c=d")
        #expect(head.minorVersion == 1)
        #expect(head.headers["host"] == "example.com")
        #expect(head.headers["ACCEPT"] == "*/*")
        #expect(head.headers["Missing"] == nil)
        #expect(head.framing == .none)
        #expect(head.keepAlive)
    }

    @Test func `a head cut at any byte is incomplete until its last byte and then the same`() throws {
        let text = "\r\nPOST /x HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\nX-A:  b c \r\nx-a:\r\n\r\n"
        let bytes = Array(text.utf8)
        for cut in 0..<bytes.count {
            var parser = RequestParser()
            guard case .incomplete = parser.parse(Array(bytes[..<cut])) else {
                Issue.record("cut at \(cut) was not incomplete")
                continue
            }
            guard case .head(let head, let consumed) = parser.parse(bytes) else {
                Issue.record("cut at \(cut) was not completed")
                continue
            }
            #expect(consumed == bytes.count)
            #expect(head.target == "/x")
            #expect(head.framing == .length(5))
            #expect(head.headers.all("X-A") == ["b c", ""])
        }
    }

    @Test func `bytes that come one at a time give the head at the last one`() throws {
        let bytes = Array(plain.utf8)
        var parser = RequestParser()
        for count in 1..<bytes.count {
            guard case .incomplete = parser.parse(Array(bytes[..<count])) else {
                throw Failure("not incomplete after \(count) bytes")
            }
        }
        guard case .head(_, let consumed) = parser.parse(bytes) else { throw Failure("no head") }
        #expect(consumed == bytes.count)
    }

    @Test func `what follows the head is left alone`() throws {
        var parser = RequestParser()
        guard case .head(_, let consumed) = parser.parse(Array((plain + plain).utf8)) else { throw Failure("no head") }
        #expect(consumed == plain.utf8.count)
        // The parser starts afresh for the next request on the connection.
        guard case .head(let second, _) = parser.parse(Array(plain.utf8)) else { throw Failure("no second head") }
        #expect(second.target == "/a/b?c=d")
    }

    // MARK: Rule 1: octets, lines, white space, version

    @Test(arguments: [
        "GET / HTTP/1.1\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\rHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
    ])
    func `a bare CR or LF is refused`(_ text: String) {
        #expect(refusal(text) == 400)
    }

    @Test func `a bare LF is refused before the head is complete`() {
        #expect(refusal("GET / HTTP/1.1\n") == 400)
    }

    @Test func `empty lines before the request are skipped but not without end`() throws {
        #expect(try head("\r\n\r\n" + plain).target == "/a/b?c=d")
        #expect(refusal(String(repeating: "\r\n", count: 40)) == 400)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "GET / HTTP/1.1\r\n\tHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "GET / HTTP/1.1\r\nHost\t: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", " GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nname\r\n\r\n",
    ])
    func `white space after the start line, before a colon, or folding is refused`(_ text: String) {
        #expect(refusal(text) == 400)
    }

    @Test(arguments: [
        ("HTTP/2.0", 505), ("HTTP/1.2", 505), ("HTTP/0.9", 505), ("HTTP/3.1", 505), ("http/1.1", 400),
        ("HTTP/1", 400), ("HTTP/1.10", 400), ("HTTP/1,1", 400), ("HTTP/+1.1", 400), ("", 400), ("XTTP/1.1", 400),
    ])
    func `a version other than 1.0 and 1.1 is refused`(_ version: String, _ status: Int) {
        #expect(refusal("GET / \(version)\r\nHost: h\r\n\r\n") == status)
    }

    @Test func `a request line without version is refused`() {
        #expect(refusal("GET /\r\n\r\n") == 400)
        #expect(refusal("GET\r\n\r\n") == 400)
    }

    @Test func `octets beyond ASCII may stand in a value but not in a target or name`() throws {
        #expect(try head("GET / HTTP/1.1\r\nHost: h\r\nX: grün\r\n\r\n").headers["x"] == "grün")
        #expect(refusal("GET /grün HTTP/1.1\r\nHost: h\r\n\r\n") == 400)
        #expect(refusal("GET / HTTP/1.1\r\nHost: h\r\nGrün: x\r\n\r\n") == 400)
    }

    // MARK: Rule 2: host, target, limits

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "GET / HTTP/1.1\r\nHost: [x]\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
    ])
    func `a missing, repeated or invalid host is refused`(_ text: String) {
        #expect(refusal(text) == 400)
    }

    @Test(arguments: ["a", "a:80", "127.0.0.1:8000", "[::1]", "[::1]:8000", "xn--bcher-kva.example", "a_b"])
    func `a valid host passes`(_ host: String) throws {
        #expect(try head("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n").headers["Host"] == host)
    }

    @Test func `HTTP 1.0 may leave the host out and closes unless asked otherwise`() throws {
        #expect(try !head("GET / HTTP/1.0\r\n\r\n").keepAlive)
        #expect(try head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keepAlive)
        #expect(try !head("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n").keepAlive)
    }

    @Test func `an absolute target is split and must agree with the host`() throws {
        #expect(try head("GET http://a.b/c?d HTTP/1.1\r\nHost: A.B\r\n\r\n").target == "/c?d")
        #expect(try head("GET http://a:80/c HTTP/1.1\r\nHost: a\r\n\r\n").target == "/c")
        #expect(try head("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").target == "/")
        #expect(try head("GET HTTP://a?q HTTP/1.1\r\nHost: a\r\n\r\n").target == "/?q")
        #expect(try head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target == "*")
        #expect(refusal("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n") == 400)
        #expect(refusal("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400)
        #expect(refusal("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400)
        #expect(refusal("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400)
        #expect(refusal("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n") == 400)
        #expect(refusal("GET * HTTP/1.1\r\nHost: a\r\n\r\n") == 400)
        #expect(refusal("GET a HTTP/1.1\r\nHost: a\r\n\r\n") == 400)
        #expect(refusal("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n") == 400)
    }

    @Test func `CONNECT and TRACE are refused`() {
        #expect(refusal("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n") == 405)
        #expect(refusal("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n") == 405)
    }

    @Test func `a target too long is 414, also before its end is seen`() {
        let long = String(repeating: "a", count: 8 * 1024)
        #expect(refusal("GET /\(long) HTTP/1.1\r\nHost: h\r\n\r\n") == 414)
        #expect(refusal("GET /" + String(repeating: "a", count: 16 * 1024)) == 414)
        #expect(refusal("GET /\(long.dropFirst()) HTTP/1.1\r\nHost: h\r\n\r\n") == nil)
    }

    @Test func `fields too large or too many are 431, also before their end is seen`() {
        let large = String(repeating: "a", count: 16 * 1024)
        #expect(refusal("GET / HTTP/1.1\r\nHost: h\r\nX: \(large)\r\n\r\n") == 431)
        #expect(refusal("GET / HTTP/1.1\r\nHost: h\r\nX: \(large)") == 431)
        let many = (0..<99).map { "X-\($0): y\r\n" }.joined()
        #expect(refusal("GET / HTTP/1.1\r\nHost: h\r\n\(many)\r\n") == nil)
        #expect(refusal("GET / HTTP/1.1\r\nHost: h\r\n\(many)Y: z\r\n\r\n") == 431)
    }

    // MARK: Rule 3: length and coding

    @Test(arguments: [
        "+5", "-5", "5,5", "5, 5", "0x5", "5 5", "", "five", "9223372036854775808", "99999999999999999999",
    ])
    func `a content length that is not one plain number is refused`(_ value: String) {
        #expect(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(value)\r\n\r\n") == 400)
    }

    @Test func `the largest content length is 2 to the 63rd minus 1`() throws {
        let head = try head("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n")
        #expect(head.framing == .length(Int.max))
    }

    @Test(arguments: [
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: foo", 501), ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked;q=1", 501), ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding: chunked, gzip", 400), ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: identity", 400), ("Transfer-Encoding:", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    ])
    func `a transfer coding that leaves the end in doubt is refused`(_ fields: String, _ status: Int) {
        #expect(refusal("POST / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\n") == status)
    }

    @Test func `HTTP 1.0 has no transfer coding`() {
        #expect(refusal("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n") == 400)
    }

    @Test func `chunked alone is understood in any case`() throws {
        #expect(try head("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n").framing == .chunked)
    }

    // MARK: Rules 5 and 7

    @Test func `only 100-continue can be expected, and not by HTTP 1.0`() throws {
        let lines = "Host: h\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n"
        #expect(try head("POST / HTTP/1.1\r\n" + lines).expectsContinue)
        #expect(try !head("POST / HTTP/1.0\r\n" + lines).expectsContinue)
        #expect(refusal("POST / HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n") == 417)
    }

    @Test(arguments: [
        "X: a\0b", "X: a\u{1}b", "X: a\u{7F}b", "X\0: a", "X(: a", "X@: a", "X Y: a", "\"X\": a", "X/Y: a",
    ])
    func `control characters in values and names that are no tokens are refused`(_ line: String) {
        #expect(refusal("GET / HTTP/1.1\r\nHost: h\r\n\(line)\r\n\r\n") == 400)
    }

    @Test(arguments: [
        "Content-Length: 1\r\nContent-Length: 1", "Content-Length: 1\r\ncontent-length: 2",
        "Authorization: a\r\nAuthorization: b", "Content-Type: a/b\r\nContent-Type: a/b",
    ])
    func `fields that must be single and are not are refused`(_ lines: String) {
        #expect(refusal("POST / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n\r\n") == 400)
    }

    @Test func `a method is any token but not an endless one`() throws {
        #expect(try head("get / HTTP/1.1\r\nHost: h\r\n\r\n").method == .other("get"))
        #expect(try head("M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n").method == .other("M-SEARCH"))
        #expect(refusal("G@T / HTTP/1.1\r\nHost: h\r\n\r\n") == 400)
        #expect(refusal(String(repeating: "G", count: 33) + " / HTTP/1.1\r\nHost: h\r\n\r\n") == 501)
    }

    @Test func `random bytes never crash the parser`() {
        var random = SystemRandomNumberGenerator()
        let pieces = ["GET ", "/", " HTTP/1.1", "\r\n", "Host: h", ": ", "\n", "\r", " ", "\0", "é", "http://", "%"]
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 1...14, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }
            var parser = RequestParser()
            _ = parser.parse(Array(text.joined().utf8))
            var responses = ResponseParser()
            _ = responses.parse(Array(("HTTP/1.1 200" + text.joined()).utf8), method: .get)
        }
    }
}

@Suite struct ParserHeadersTests {
    @Test func `fields are found in any case, kept in order, replaced and removed`() {
        var headers: Headers = ["Accept": "a", "X-Two": "1", "x-two": "2"]
        #expect(headers.all("X-TWO") == ["1", "2"])
        headers["x-two"] = "3"
        #expect(headers.map { "\($0.name)=\($0.value)" } == ["Accept=a", "x-two=3"])
        headers["accept"] = nil
        #expect(headers.count == 1)
    }

    @Test func `a value cannot end its field and a name must be a token`() {
        var headers = Headers()
        headers.add("X", "a\r\nSet-Cookie: b\0")
        headers.add("Bad Name", "x")
        headers.add("Bad\r\nName", "x")
        #expect(headers.count == 1)
        #expect(headers["X"] == "a  Set-Cookie: b ")
    }

    @Test func `lists are split, trimmed and lower-cased over every field`() {
        let headers: Headers = ["Connection": "Keep-Alive , Upgrade,,", "connection": "X-Foo"]
        #expect(headers.list("Connection") == ["keep-alive", "upgrade", "x-foo"])
        #expect(headers.list("connection", contains: "UPGRADE"))
        #expect(!headers.list("connection", contains: "keep"))
    }
}
