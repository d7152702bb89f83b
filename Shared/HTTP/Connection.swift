import Runtime
import Shared

/// One client's connection: reads requests, has them answered in order, and ends it when either side is done.
///
/// `@unchecked Sendable`: one task runs it from accept to close, on its listener's loop, and nothing else touches it but
/// that listener.
final class Connection: @unchecked Sendable {
    /// What it is waiting for, which decides what happens when time is up.
    enum Stage {
        case idle
        case head
        case body
        case handling
        case writing
        case upgraded
    }

    let transport: Transport
    // Strong: the listener lets go of a connection when its task has ended.
    private let listener: Listener
    private let inbound: Inbound
    private var parser: RequestParser
    /// Answers not sent yet: several when requests are pipelined.
    private var output: [UInt8] = []
    private var limits: ServerLimits { listener.limits }

    private(set) var stage = Stage.idle
    /// The sweep at which time is up; see ``Listener/tick``.
    private(set) var expires = Int.max
    private var timedOut = false
    /// Where the listener keeps it.
    var index = 0
    /// What to do when the server stops and the stage is `upgraded`.
    var onDrain: (() -> Void)?

    init(_ transport: Transport, _ listener: Listener) {
        self.transport = transport
        self.listener = listener
        inbound = Inbound(transport, scratch: listener.scratch)
        parser = RequestParser(limits: listener.limits.head)
    }

    func run() async {
        do {
            enter(.head, limits.headSeconds)
            try await transport.handshake()
            while let head = try await nextHead() {
                guard try await serve(head) else { break }
            }
            if !transport.isClosed, stage != .upgraded { try await flush() }
        } catch {
            // The peer is gone or broke the rules in a way that no answer helps; the connection ends either way.
            listener.note(error, transport.peer)
        }
        transport.close()
    }

    // MARK: - Time

    /// From now on it is in the stage, for at most so many seconds (nil: as long as it takes).
    private func enter(_ stage: Stage, _ seconds: Int?) {
        self.stage = stage
        expires = seconds.map { listener.tick(after: $0) } ?? .max
    }

    /// Called by the listener's sweep.
    func expire() {
        expires = .max
        timedOut = true
        switch stage {
        // The waiting read ends, and what was begun is answered with 408.
        case .head, .body: transport.shutdownRead()
        case .idle, .handling, .writing, .upgraded: transport.abort()
        }
    }

    /// Called when the server stops: an idle connection ends at once, others after their answer.
    func drain() {
        if stage == .idle { transport.abort() }
        onDrain?()
    }

    // MARK: - Requests

    /// The next request's head; nil when the connection is over.
    private func nextHead() async throws -> RequestHead? {
        var parsed = inbound.count > 0 ? inbound.look(parse) : .incomplete
        while true {
            switch parsed {
            case .head(let head, _): return head
            case .refused(let refusal):
                try await refuse(refusal)
                return nil
            case .incomplete: break
            }
            if !output.isEmpty { try await flush() }
            // The clock of a head starts with its first byte and is not wound up again by later ones.
            if inbound.count == 0 {
                if listener.isDraining { return nil }
                enter(.idle, limits.idleSeconds)
            } else if stage != .head {
                enter(.head, limits.headSeconds)
            }
            guard let next = try await inbound.more(parse) else {
                if timedOut, stage == .head { try await refuse(Refusal(408, "The request took too long.")) }
                return nil
            }
            parsed = next
        }
    }

    private func parse(_ input: UnsafeBufferPointer<UInt8>) -> (used: Int, Parsed<RequestHead>) {
        let parsed = parser.parse(input)
        if case .head(_, let consumed) = parsed { return (consumed, parsed) }
        return (0, parsed)
    }

    /// Answers one request; false when the connection ends with it.
    private func serve(_ head: RequestHead) async throws -> Bool {
        enter(.handling, nil)
        let (body, reader) = body(head)
        let request = Request(
            head.method, head.target, headers: head.headers, body: body,
            minorVersion: head.minorVersion, peer: transport.peer, isSecure: transport.isSecure)
        let response = await listener.handler(request)
        switch response.body {
        case .upgrade(let serve): return try await upgrade(response, serve)
        case .webSocket(let wish): return try await webSocket(head, response, wish)
        case .empty, .bytes, .stream: break
        }
        let mayReuse = try await settle(reader, head)
        let keep = mayReuse && head.keepAlive && !listener.isDraining
        try await write(response, head, keep: keep)
        if keep { return true }
        try await flush()
        if !mayReuse { try await linger() }
        return false
    }

    /// Reads the rest of a body that the handler left, if that is little; false when the connection cannot be used
    /// again because the rest stays unread (RFC 9112 §9.3).
    private func settle(_ reader: BodyReader?, _ head: RequestHead) async throws -> Bool {
        guard let reader, !reader.isDone else { return true }
        // A client that still waits for 100 may send the body or not: nobody can tell what comes next.
        if reader.hasFailed || reader.beforeFirstWait != nil { return false }
        if let left = reader.leftAtMost, left > limits.drainMax { return false }
        var swallowed = 0
        do {
            while let chunk = try await reader.next() {
                swallowed += chunk.count
                if swallowed > limits.drainMax { return false }
            }
            enter(.handling, nil)
            return true
        } catch {
            return false
        }
    }

    /// The body for the handler, and the reader behind it where bytes are still to come.
    private func body(_ head: RequestHead) -> (Body, BodyReader?) {
        switch head.framing {
        case .none, .untilClose: return (.none, nil)
        case .length(let length) where length <= inbound.count:
            return (Body(inbound.look { (length, Array($0[..<length])) }), nil)
        case .length(let length):
            let reader = bodyReader(head)
            return (Body(length: length) { try await reader.next() }, reader)
        case .chunked:
            let reader = bodyReader(head)
            return (Body(length: nil) { try await reader.next() }, reader)
        }
    }

    private func bodyReader(_ head: RequestHead) -> BodyReader {
        let reader = BodyReader(inbound, head.framing, blame: 400)
        if head.expectsContinue {
            reader.beforeFirstWait = { [unowned self] in
                output.append(contentsOf: Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
                try await flush()
            }
        }
        var waited = 0
        var began = 0
        reader.beforeWait = { [unowned self] received in
            let budget = limits.bodyStallSeconds + received / limits.bodyRateMin - waited
            if budget <= 0 { throw Body.Abort(408, "The body took too long.") }
            began = listener.seconds
            enter(.body, min(limits.bodyStallSeconds, budget))
        }
        reader.afterWait = { [unowned self] in
            waited += listener.seconds - began
            enter(.handling, nil)
            if timedOut { throw Body.Abort(408, "The body took too long.") }
        }
        return reader
    }

    /// Answers what the parser refused and closes: where the next request would begin is unknown.
    private func refuse(_ refusal: Refusal) async throws {
        let response = Response.refusal(refusal)
        listener.encoder.encode(response, .length(response.byteCount), .close, into: &output)
        if case .bytes(let bytes) = response.body { output.append(contentsOf: bytes) }
        try await flush()
        try await linger()
    }

    // MARK: - Answers

    private func write(_ response: Response, _ head: RequestHead, keep: Bool) async throws {
        let connection: ResponseEncoder.Connection = keep ? (head.minorVersion == 1 ? .keep : .keepSaid) : .close
        let hasContent = head.method != .head && response.status >= 200 && response.status != 204 && response.status != 304
        switch response.body {
        case .bytes(let bytes):
            listener.encoder.encode(
                response, response.status == 204 ? .none : .length(bytes.count), connection, into: &output)
            guard hasContent else { break }
            if bytes.count <= Self.inlineMax {
                output.append(contentsOf: bytes)
            } else {
                try await flush(followedBy: bytes)
            }
        case .stream(let length, let produce):
            let delimiter: ResponseEncoder.Delimiter =
                if let length { .length(length) } else if head.minorVersion == 1 { .chunked } else { .close }
            var told = connection
            if case .close = delimiter { told = .close }
            listener.encoder.encode(response, delimiter, told, into: &output)
            if hasContent { try await stream(produce, length: length, isChunked: length == nil && head.minorVersion == 1) }
            if case .close = delimiter { throw Ended() }
        default:
            // The length of what a GET would have got may stand in the answer to HEAD, and in a 304.
            let bodyless = head.method == .head || response.status == 304
            let keepLength = bodyless && response.headers.contains("Content-Length")
            let none = keepLength || response.status == 204 || response.status == 304 || response.status < 200
            listener.encoder.encode(response, none ? .none : .length(0), connection, keepLength: keepLength, into: &output)
        }
        if output.count > limits.pipelineMax { try await flush() }
    }

    /// The connection has done its work; nothing went wrong.
    private struct Ended: Error {}

    /// Up to here content is copied behind its head and both go out in one write; beyond, writev is cheaper.
    private static let inlineMax = 16 * 1024

    private func stream(
        _ produce: @Sendable (BodyWriter) async throws -> Void, length: Int?, isChunked: Bool
    ) async throws {
        var left = length ?? 0
        let writer = BodyWriter { [unowned self] bytes in
            if isChunked {
                output.append(contentsOf: ChunkedEncoder.head(bytes.count))
                if bytes.count <= Self.inlineMax {
                    output.append(contentsOf: bytes)
                    output.append(contentsOf: ChunkedEncoder.separator)
                    try await flush()
                } else {
                    try await flush(followedBy: bytes)
                    output.append(contentsOf: ChunkedEncoder.separator)
                }
            } else {
                if length != nil {
                    left -= bytes.count
                    if left < 0 { throw Body.Abort(500, "The content is longer than declared.") }
                }
                try await flush(followedBy: bytes)
            }
        }
        try await produce(writer)
        // A head without content has not been sent yet.
        try await flush()
        if left > 0 { throw Body.Abort(500, "The content is shorter than declared.") }
        if isChunked { output.append(contentsOf: ChunkedEncoder.end) }
    }

    /// Sends what is waiting. Most answers fit the socket's buffer and go out without suspending.
    private func flush() async throws {
        if output.isEmpty { return }
        var sent = try transport.tryWrite(output, from: 0)
        if sent < output.count || transport.isSecure {
            let before = stage
            while sent < output.count {
                enter(.writing, limits.writeStallSeconds)
                try await transport.waitWritable()
                sent += try transport.tryWrite(output, from: sent)
            }
            while try !transport.flushCiphertext() {
                enter(.writing, limits.writeStallSeconds)
                try await transport.waitWritable()
            }
            stage = before
            expires = .max
        }
        if output.capacity > Self.inlineMax * 2 { output = [] } else { output.removeAll(keepingCapacity: true) }
    }

    /// Sends what is waiting and `bytes` behind it, without copying them together.
    private func flush(followedBy bytes: [UInt8]) async throws {
        var sent = try transport.tryWrite(output, bytes) - output.count
        if sent < 0 {
            output.removeSubrange(..<(output.count + sent))
            try await flush()
            sent = 0
        } else {
            output.removeAll(keepingCapacity: true)
        }
        while sent < bytes.count {
            enter(.writing, limits.writeStallSeconds)
            try await transport.waitWritable()
            sent += try transport.tryWrite(bytes, from: sent)
        }
        enter(.handling, nil)
    }

    /// Waits a moment for the peer to read the last answer before the unread rest of its input resets the connection.
    private func linger() async throws {
        transport.shutdownWrite()
        enter(.writing, limits.lingerSeconds)
        _ = try await inbound.drop(upTo: 1 << 20)
    }

    // MARK: - Other protocols

    private func upgrade(
        _ response: Response, _ serve: @Sendable (Transport, [UInt8]) async throws -> Void
    ) async throws -> Bool {
        listener.encoder.encode(response, .none, .upgrade, into: &output)
        try await flush()
        enter(.upgraded, nil)
        output = []
        try await serve(transport, inbound.takeAll())
        return false
    }

    private func webSocket(
        _ head: RequestHead, _ response: Response, _ wish: WebSocketUpgrade
    ) async throws -> Bool {
        let answer: Response
        switch WebSocketHandshake.answer(head, wish, response.headers) {
        case .accepted(let accepted): answer = accepted
        case .refused(let refused):
            try await write(refused, head, keep: false)
            try await flush()
            return false
        }
        listener.encoder.encode(answer, .none, .upgrade, into: &output)
        try await flush()
        enter(.upgraded, nil)
        output = []
        let socket = WebSocket(
            transport, role: .server, leftover: inbound.takeAll(), subprotocol: wish.subprotocol, limits: wish.limits)
        onDrain = { [weak socket] in socket?.close(.goingAway, reason: "The server stops.") }
        if listener.isDraining { onDrain?() }
        await socket.serve(wish.serve)
        onDrain = nil
        return false
    }
}

extension Response {
    /// The answer to a message that could not be understood, before any route is known.
    static func refusal(_ refusal: Refusal) -> Response {
        var response = Response.json(refusal.status) { json in
            json.object { json in
                json.fieldObject("error") { json in
                    json.field("code", refusal.status == 408 ? "REQUEST_TIMEOUT" : "BAD_REQUEST")
                    json.field("message", refusal.reason)
                }
            }
        }
        if refusal.status == 405 { response.headers.add("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") }
        return response
    }

    var byteCount: Int {
        if case .bytes(let bytes) = body { return bytes.count }
        return 0
    }
}
