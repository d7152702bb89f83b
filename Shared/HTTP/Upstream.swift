import Runtime

/// A kept-alive connection to a server behind us, for a proxy: requests go out written anew from their parts, never as
/// received bytes, and answers are read by the same strict rules as requests (RFC 9112; design rule "as a proxy").
///
/// One exchange at a time. Deadlines are the caller's (``withDeadline(_:_:)``); a connection whose exchange failed or
/// was cut is closed, not reused.
///
/// `@unchecked Sendable`: belongs to the loop that connected it.
public final class Upstream: @unchecked Sendable {
    public struct Answer: Sendable {
        public let head: ResponseHead
        /// Reads from the connection as it is consumed. Throws ``Body/Abort`` (502) when it is cut short; the proxy has
        /// to break off its own answer then.
        public let body: Body
    }

    private let transport: Transport
    private let inbound: Inbound
    private var reader: BodyReader?
    private var keepsAlive = true
    private var isFresh = true

    public init(_ transport: Transport) {
        self.transport = transport
        inbound = Inbound(transport, scratch: .ofLoop())
    }

    public static func connect(host: String, port: Int, deadline: Duration) async throws -> Upstream {
        Upstream(try await Transport.connect(host: host, port: port, deadline: deadline))
    }

    /// Whether an exchange was made on it before: then a failure before the first byte of the answer may only mean that
    /// the server closed an idle connection, and an idempotent request may be tried again on another.
    public var hasServed: Bool { !isFresh }

    /// Whether the last answer has been read to its end and the connection may carry another exchange.
    public var isReusable: Bool {
        keepsAlive && !transport.isClosed && inbound.count == 0 && (reader?.isDone ?? true)
    }

    /// Looks, without waiting, whether the server has closed or spoken out of turn while the connection lay idle.
    public func isStillOpen() -> Bool {
        guard isReusable else { return false }
        var octet: UInt8 = 0
        let outcome = withUnsafeMutableBytes(of: &octet) { try? transport.tryRead($0) }
        if case .again = outcome { return true }
        close()
        return false
    }

    public func close() { transport.close() }

    /// Breaks off whatever waits on it.
    public func abort() { transport.abort() }

    /// Sends a request and returns its answer's head; interim answers (1xx) are skipped, but 101 is an answer.
    /// `headers` are end-to-end ones and `Host`; framing fields are written here.
    public func exchange(_ method: Method, _ target: String, headers: Headers, body: Body = Body()) async throws
        -> Answer
    {
        isFresh = false
        keepsAlive = false
        var output = Array("\(method.name) \(target) HTTP/1.1\r\n".utf8)
        headers.write(to: &output)
        let mayHaveBody = !body.isEmpty
        if let length = body.length {
            if length > 0 || method == .post || method == .put || method == .patch {
                output += Array("Content-Length: \(length)\r\n".utf8)
            }
        } else {
            output += Array("Transfer-Encoding: chunked\r\n".utf8)
        }
        output += [13, 10]
        if mayHaveBody {
            try await send(&output, body)
        } else {
            try await transport.write(output)
        }
        return try await answer(method)
    }

    /// Sends head and body. A server may answer and stop reading before it has all; its answer counts then.
    private func send(_ output: inout [UInt8], _ body: Body) async throws {
        while let chunk = try await body.next() {
            if body.length == nil {
                output += ChunkedEncoder.encode(chunk)
            } else {
                output += chunk
            }
            do {
                try await transport.write(output)
            } catch {
                return
            }
            output.removeAll(keepingCapacity: true)
        }
        if body.length == nil { output += ChunkedEncoder.end }
        do { try await transport.write(output) } catch { return }
    }

    private func answer(_ method: Method) async throws -> Answer {
        while true {
            let head = try await nextHead(method)
            if head.status < 200, head.status != 101 { continue }
            if head.status == 101 { return Answer(head: head, body: .none) }
            let reader = BodyReader(inbound, head.framing, blame: 502)
            self.reader = reader
            keepsAlive = head.keepAlive
            if reader.isDone { return Answer(head: head, body: .none) }
            let length: Int? = if case .length(let count) = head.framing { count } else { nil }
            return Answer(head: head, body: Body(length: length) { try await reader.next() })
        }
    }

    private func nextHead(_ method: Method) async throws -> ResponseHead {
        var parser = ResponseParser()
        let look = { (input: UnsafeBufferPointer<UInt8>) -> (used: Int, Parsed<ResponseHead>) in
            let parsed = parser.parse(input, method: method)
            if case .head(_, let consumed) = parsed { return (consumed, parsed) }
            return (0, parsed)
        }
        var parsed = inbound.count > 0 ? inbound.look(look) : .incomplete
        while true {
            switch parsed {
            case .head(let head, _): return head
            case .refused(let refusal): throw Body.Abort(502, refusal.reason)
            case .incomplete: break
            }
            guard let next = try await inbound.more(look) else {
                throw inbound.count == 0 ? Unanswered() : Body.Abort(502, "The head was cut short.")
            }
            parsed = next
        }
    }

    /// The server closed without a byte of an answer.
    public struct Unanswered: Error, Sendable {}

    /// After a 101: the stream and what the server sent ahead on it. The connection belongs to the caller from then on.
    public func detach() -> (stream: Transport, leftover: [UInt8]) { (transport, inbound.takeAll()) }
}

extension Headers {
    /// Without what concerns one hop only (RFC 9110 §7.6.1): the fields that `Connection` lists, and those that are
    /// hop-by-hop by nature. Framing fields go too: they are written anew.
    public var endToEnd: Headers {
        let listed = list("Connection")
        var kept = Headers()
        kept.bytes = bytes
        kept.slots = slots.filter { slot in
            !Self.hopByHop.contains { matches(slot, $0) } && !listed.contains { matches(slot, $0) }
        }
        return kept
    }

    private static let hopByHop = [
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "Content-Length", "Expect",
    ]
}

/// Copies between two streams until both have ended: a tunnel. Bounded by one buffer each way, since nothing is read
/// before the last piece has been taken. When one side breaks, both are broken off.
public func tunnel(_ one: Transport, ahead: [UInt8], _ other: Transport, otherAhead: [UInt8]) async {
    let loop = EventLoop.required()
    let back = loop.spawn("tunnel") { await pump(other, otherAhead, one) }
    await pump(one, ahead, other)
    await back.value
}

private func pump(_ source: Transport, _ ahead: [UInt8], _ target: Transport) async {
    do {
        if !ahead.isEmpty { try await target.write(ahead) }
        while let bytes = try await source.read() { try await target.write(bytes) }
        target.shutdownWrite()
    } catch {
        source.abort()
        target.abort()
    }
}
