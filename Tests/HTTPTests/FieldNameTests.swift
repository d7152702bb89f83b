import Testing

@testable import HTTP

@Suite struct FieldNameTests {
    private static let known: [(String, FieldName)] = [
        ("TE", .te), ("Host", .host), ("Date", .date), ("ETag", .etag), ("Expect", .expect), ("Origin", .origin),
        ("Upgrade", .upgrade), ("Trailer", .trailer), ("Connection", .connection), ("Keep-Alive", .keepAlive),
        ("traceparent", .traceparent), ("Content-Type", .contentType), ("X-Request-Id", .requestID),
        ("Authorization", .authorization), ("Content-Length", .contentLength), ("X-Forwarded-For", .forwardedFor),
        ("Proxy-Connection", .proxyConnection), ("Transfer-Encoding", .transferEncoding),
        ("Proxy-Authenticate", .proxyAuthenticate), ("Proxy-Authorization", .proxyAuthorization),
        ("Access-Control-Request-Method", .accessControlRequestMethod),
    ]

    private func name(_ text: String) -> FieldName { Headers.withOctets(text) { FieldName($0) } }

    @Test func `a known name is known in any case, and one letter off is another`() {
        for (text, kind) in Self.known {
            #expect(name(text) == kind)
            #expect(name(text.uppercased()) == kind && name(text.lowercased()) == kind)
            for place in text.indices {
                var other = text
                other.replaceSubrange(place...place, with: "~")
                #expect(name(other) != kind, "\(other)")
            }
            #expect(name(text + "x") != kind)
        }
    }

    @Test(arguments: [
        "X-User-Id", "x-workspace-id", "X-FORWARDED-HOST", "X-Deadline-Ms", "Forwarded", "forwarded-for", "X-User-",
    ])
    func `what only programs of ours say is told by its beginning`(_ text: String) { #expect(name(text) == .ours) }

    @Test(arguments: ["X-Users", "X-Userid", "Forward", "X", "F", "From", "X-Forwarded", "Accept", "", "Cookie"])
    func `other names are other`(_ text: String) { #expect(name(text) == .other) }

    @Test func `names of one kind are still told apart`() {
        let headers: Headers = ["Accept": "a", "Cookie": "b", "X-User-Id": "c", "X-Workspace-Id": "d"]
        #expect(headers["accept"] == "a" && headers["COOKIE"] == "b" && headers["Vary"] == nil)
        #expect(headers["x-user-id"] == "c" && headers["x-workspace-id"] == "d" && headers["X-Deadline-Ms"] == nil)
    }

    @Test func `a removed field is gone and its name may come again`() {
        var headers: Headers = ["Host": "a", "Accept": "1", "Date": "x", "accept": "2"]
        headers.remove("HOST")
        headers.remove("Accept")
        #expect(headers["Host"] == nil && !headers.contains("accept") && headers.count == 1)
        headers.set("host", "b")
        headers.setTrusted("Date", "y")
        #expect(headers.all("Host") == ["b"] && headers.all("Date") == ["y"])
    }

    @Test func `a proxy drops what was listed, what is of one hop, and what it is told to`() {
        var headers: Headers = [
            "Host": "h", "Connection": "X-Secret, close", "X-Secret": "1", "Date": "d", "X-User-Id": "1",
            "Accept": "*/*",
        ]
        headers.keepEndToEnd(without: [.ours, .date])
        #expect(headers.map(\.name) == ["Host", "Accept"])
        #expect(headers["X-Secret"] == nil && headers["Date"] == nil && headers["X-User-Id"] == nil)
        // Even what listed fields name may be one of those that are looked up by number.
        var listed: Headers = ["Connection": "Host, ETag", "Host": "h", "ETag": "e", "Accept": "a"]
        listed.keepEndToEnd()
        #expect(listed["Host"] == nil && listed["ETag"] == nil && listed.count == 1)
    }

    @Test func `a field with another's value says the same, also when there is none`() {
        var headers: Headers = ["Host": "a.example"]
        headers.addTrusted("X-Forwarded-Host", sameAs: "Host")
        headers.remove("Host")
        #expect(headers["X-Forwarded-Host"] == "a.example")
        headers.addTrusted("X-Forwarded-Proto", sameAs: "Host")
        #expect(headers["X-Forwarded-Proto"] == "")
    }

    @Test func `fields are written as name, colon, one space and value, however they came`() throws {
        var parser = RequestParser()
        let text =
            "GET / HTTP/1.1\r\nHost:h\r\nA: plain\r\nB:\t tabbed \t\r\nC:\r\nD: \r\nE:\te\r\nX-Request-Id: 1\r\n\r\n"
        guard case .head(let head, _) = parser.parse(Array(text.utf8)) else { throw Failure("no head") }
        let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: head.headers.writtenMax)
        defer { memory.deallocate() }
        var pen = Pen(memory)
        head.headers.write(without: .requestID, to: &pen)
        #expect(
            String(decoding: pen.written, as: UTF8.self) == "Host: h\r\nA: plain\r\nB: tabbed\r\nC: \r\nD: \r\nE: e\r\n"
        )
    }

    @Test func `numbers are written in decimal`() {
        var headers = Headers()
        headers.addTrusted("X-RateLimit-Limit", 0)
        headers.setTrusted("X-RateLimit-Limit", Int.max)
        headers.addTrusted("X-RateLimit-Remaining", 10)
        #expect(headers["X-RateLimit-Limit"] == "9223372036854775807" && headers["X-RateLimit-Remaining"] == "10")
        headers.setTrusted("X-RateLimit-Remaining", -5)
        #expect(headers.all("X-RateLimit-Remaining") == ["0"])
    }

    @Test(arguments: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "GOT", "PURGE", "PROPFIND"])
    func `a method is the same read from bytes`(_ text: String) {
        #expect(Headers.withOctets(text) { Method($0) } == Method(text))
        #expect(Method(text).name == text)
    }
}

@Suite struct OctetsTests {
    /// Every octet at every place of texts around the length of a word.
    @Test func `eight octets together are compared and checked as one by one`() {
        let lower = Array("content-length-x".utf8)
        for count in 1...lower.count {
            lower.withUnsafeBufferPointer { text in
                guard let start = text.baseAddress else { return }
                for place in 0..<count {
                    for octet in UInt8.min...UInt8.max {
                        var octets = Array(lower[..<count])
                        octets[place] = octet
                        let same = Octets.lower(octet) == lower[place]
                        #expect(octets.withUnsafeBufferPointer { Octets.equal($0, toLower: start) } == same)
                        let isValue = Octets.classes[Int(octet)] & 2 != 0
                        let end = octets.withUnsafeBufferPointer { Octets.valueEnd($0, 0, count) }
                        #expect(end == (isValue ? count : place))
                    }
                }
            }
        }
    }

    @Test func `a check begins and ends where it is told`() {
        let octets = Array("\u{1}abcdefghij\tklmnopqrst\u{1}".utf8)
        octets.withUnsafeBufferPointer { octets in
            #expect(Octets.valueEnd(octets, 1, 9) == 9)
            #expect(Octets.valueEnd(octets, 1, octets.count) == octets.count - 1)
            #expect(Octets.valueEnd(octets, 0, octets.count) == 0)
            #expect(Octets.valueEnd(octets, 5, 5) == 5)
        }
    }
}
