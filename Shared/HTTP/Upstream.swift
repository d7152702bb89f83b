import Runtime

/// A kept-alive connection to a server behind us, for a proxy: requests go out written anew from their parts, never as
/// received bytes, and answers are read by the same strict rules as requests (RFC 9112; design rule "as a proxy").
///
/// One exchange at a time, by a task that nobody cancels: its time limit breaks the connection off instead. A connection
/// whose exchange failed or was cut is closed, not reused.
///
/// `@unchecked Sendable`: belongs to the loop that connected it.
public final class Upstream: @unchecked Sendable {
    public struct Answer: Sendable {
        public var head: ResponseHead
        /// Reads from the connection as it is consumed. Throws ``Body/Abort`` (502) when it is cut short; the proxy has
        /// to break off its own answer then.
        public let body: Body
    }

    private let transport: Transport
    private let inbound: Inbound
    private var reader: BodyReader?
    private var keepsAlive = true
    private var isFresh = true
    private let sweep = Sweep.ofLoop()
    /// The sweep at which the exchange under way has had its time.
    private(set) var expires = Int.max
    private var timedOut = false
    /// Where the sweep keeps it; -1 when it does not.
    var place = -1

    public init(_ transport: Transport) {
        self.transport = transport
        inbound = Inbound(transport, scratch: .ofLoop())
        sweep.add(self)
    }

    deinit { sweep.remove(self) }

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

    public func close() {
        sweep.remove(self)
        transport.close()
    }

    /// Breaks off whatever waits on it.
    public func abort() { transport.abort() }

    /// Called by the sweep: whatever waits here wakes up and fails.
    func expire() {
        expires = .max
        timedOut = true
        transport.abort()
    }

    /// Sends a request and returns its answer's head; interim answers (1xx) are skipped, but 101 is an answer.
    /// `headers` are end-to-end ones and `Host`; framing fields are written here.
    /// - Parameters:
    ///   - seconds: how long it may take until the answer begins, or has come whole; up to two more.
    ///   - wholeMax: an answer of a known length up to this is read to its end before it is returned.
    /// - Throws: ``DeadlineExceeded`` when it took longer, ``Unanswered``, ``Body/Abort`` or a socket's error.
    public func exchange(
        _ method: Method, _ target: String, headers: Headers, body: Body = .none, within seconds: Int = 60,
        wholeMax: Int = 0
    ) async throws -> Answer {
        isFresh = false
        keepsAlive = false
        timedOut = false
        expires = sweep.tick(after: seconds)
        defer { expires = .max }
        do {
            let unsent = try start(method, target, headers, body)
            if !body.isEmpty {
                try await send(unsent, body)
            } else if !unsent.isEmpty {
                try await transport.write(unsent)
            }
            var parser = ResponseParser()
            var parsed =
                inbound.count > 0 ? inbound.look { Self.parse(&parser, $0, method, wholeMax) } : (.incomplete, nil)
            while true {
                switch parsed.head {
                case .head(let head, _):
                    // Interim answers are not passed on.
                    if head.status < 200, head.status != 101 {
                        parsed =
                            inbound.count > 0
                            ? inbound.look { Self.parse(&parser, $0, method, wholeMax) } : (.incomplete, nil)
                        continue
                    }
                    if let answer = answered(head, parsed.whole) { return answer }
                    return try await answer(head, wholeMax)
                case .refused(let refusal): throw Body.Abort(502, refusal.reason)
                case .incomplete: break
                }
                switch try inbound.poll({ Self.parse(&parser, $0, method, wholeMax) }) {
                case .seen(let next): parsed = next
                case .again: await transport.waitReadableUncancelled()
                case .end: throw inbound.count == 0 ? Unanswered() : Body.Abort(502, "The head was cut short.")
                }
            }
        } catch {
            throw timedOut ? DeadlineExceeded(after: .seconds(seconds)) : error
        }
    }

    /// Writes the head; what the socket did not take at once comes back. With a body it all does: they go out together.
    private func start(_ method: Method, _ target: String, _ headers: Headers, _ body: Body) throws -> [UInt8] {
        let most = method.name.utf8.count + target.utf8.count + headers.writtenMax + Self.ownMax
        return try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: most) { memory in
            var pen = Pen(memory)
            pen.put(method.name)
            pen.put(32)
            pen.put(target)
            pen.put(" HTTP/1.1\r\n")
            headers.write(to: &pen)
            if let length = body.length {
                if length > 0 || method == .post || method == .put || method == .patch {
                    pen.put("Content-Length: ")
                    pen.put(decimal: length)
                    pen.line()
                }
            } else {
                pen.put("Transfer-Encoding: chunked\r\n")
            }
            pen.line()
            var sent = 0
            if body.isEmpty { sent = try transport.tryWrite(UnsafeRawBufferPointer(pen.written)) }
            return sent == pen.count ? [] : Array(pen.written[sent...])
        }
    }

    /// Beside the method, the target and the fields: at most 13 bytes of the start line, 38 of Content-Length or 28 of
    /// Transfer-Encoding, and the empty line.
    private static let ownMax = 64

    /// A head, and its content where that is small and came along with it.
    private static func parse(
        _ parser: inout ResponseParser, _ input: UnsafeBufferPointer<UInt8>, _ method: Method, _ wholeMax: Int
    ) -> (used: Int, (head: Parsed<ResponseHead>, whole: [UInt8]?)) {
        let parsed = parser.parse(input, method: method)
        guard case .head(let head, let consumed) = parsed else { return (0, (parsed, nil)) }
        guard case .length(let length) = head.framing, length <= wholeMax, length <= input.count - consumed else {
            return (consumed, (parsed, nil))
        }
        return (consumed + length, (parsed, Array(input[consumed..<consumed + length])))
    }

    /// The answer when nothing more of it has to be read.
    private func answered(_ head: ResponseHead, _ whole: [UInt8]?) -> Answer? {
        if head.status == 101 { return Answer(head: head, body: .none) }
        if whole == nil, head.framing != .none { return nil }
        reader = nil
        keepsAlive = head.keepAlive
        return Answer(head: head, body: whole.map { Body($0) } ?? .none)
    }

    private func answer(_ head: ResponseHead, _ wholeMax: Int) async throws -> Answer {
        let reader = BodyReader(inbound, head.framing, blame: 502)
        self.reader = reader
        keepsAlive = head.keepAlive
        let length: Int? = if case .length(let count) = head.framing { count } else { nil }
        let body = Body(length: length) { try await reader.next() }
        guard let length, length <= wholeMax else { return Answer(head: head, body: body) }
        return Answer(head: head, body: Body(try await body.bytes(max: wholeMax)))
    }

    /// Sends head and body. A server may answer and stop reading before it has all; its answer counts then.
    private func send(_ head: [UInt8], _ body: Body) async throws {
        var output = head
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

    /// The server closed without a byte of an answer.
    public struct Unanswered: Error, Sendable {}

    /// After a 101: the stream and what the server sent ahead on it. The connection belongs to the caller from then on.
    public func detach() -> (stream: Transport, leftover: [UInt8]) {
        sweep.remove(self)
        return (transport, inbound.takeAll())
    }
}

extension Headers {
    /// Without what concerns one hop only (RFC 9110 §7.6.1): the fields that `Connection` lists, and those that are
    /// hop-by-hop by nature. Framing fields go too: they are written anew.
    public var endToEnd: Headers {
        var kept = self
        kept.keepEndToEnd()
        return kept
    }

    /// The same in place, and without the names given.
    public mutating func keepEndToEnd(without: FieldNames = []) {
        let gone = without.union(.hopByHop)
        if kinds.has(.connection), listsFields {
            let listed = list("Connection")
            slots = slots.filter { slot in !listed.contains { matches(slot, $0) } }
            kinds = []
            for slot in slots { kinds.note(slot.kind) }
        }
        if !kinds.isDisjoint(with: gone) { slots.removeAll { gone.has($0.kind) } }
        kinds.subtract(gone)
    }

    /// Makes room for fields to come.
    public mutating func reserve(fields: Int, bytes count: Int) {
        slots.reserveCapacity(slots.count + fields)
        bytes.reserveCapacity(bytes.count + count)
    }

    /// Adds a field with the value of another.
    public mutating func addTrusted(_ name: StaticString, sameAs other: String) {
        guard let slot = first(other) else { return addTrusted(name, "") }
        let start = bytes.count
        let octets = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        bytes.append(contentsOf: octets)
        note(
            name: start..<bytes.count, value: Int(slot.value)..<Int(slot.value + slot.valueLength),
            kind: FieldName(octets))
    }
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
