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
    let listener: Listener
    let inbound: Inbound
    private var parser: RequestParser
    /// Answers not sent yet: several when requests are pipelined.
    var output: [UInt8] = []
    var limits: ServerLimits { listener.limits }

    private(set) var stage = Stage.idle
    /// The sweep at which time is up; see ``Listener/tick``.
    private(set) var expires = Int.max
    private var timedOut = false
    /// Where the listener keeps it.
    var index = 0
    /// Who has the stream when HTTP is through with it; set when ``run()`` returns because of that.
    var takeover: Takeover?
    /// What to do when the server stops and the stage is `upgraded`.
    var onDrain: (() -> Void)?

    init(_ transport: Transport, _ listener: Listener) {
        self.transport = transport
        self.listener = listener
        inbound = Inbound(transport, scratch: listener.scratch)
        parser = RequestParser(limits: listener.limits.head)
    }

    /// Serves requests until the connection ends or is taken over.
    func run() async {
        do {
            enter(.head, limits.headSeconds)
            if transport.isSecure { try await transport.handshake() }
            while let head = try await nextHead() {
                guard try await serve(head) else { break }
            }
            if takeover != nil { return }
            try await flush()
        } catch {
            // The peer is gone or broke the rules in a way that no answer helps; the connection ends either way.
            listener.note(error, transport.peer)
        }
        transport.close()
    }

    // MARK: - Time

    /// From now on it is in the stage, for at most so many seconds (nil: as long as it takes).
    func enter(_ stage: Stage, _ seconds: Int?) {
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
    @inline(__always)
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
            if !output.isEmpty, try !flushAtOnce() { try await flush() }
            // The clock of a head starts with its first byte and is not wound up again by later ones.
            if inbound.count == 0 {
                if listener.isDraining { return nil }
                enter(.idle, limits.idleSeconds)
            } else if stage != .head {
                enter(.head, limits.headSeconds)
            }
            if transport.isGreedy() { await Task.yield() }
            // Nobody cancels a connection's task; its time limits break the stream off.
            switch try inbound.poll(parse) {
            case .seen(let next): parsed = next
            case .again:
                await transport.waitReadableUncancelled()
                parsed = .incomplete
            case .end:
                if timedOut, stage == .head { try await refuse(Refusal(408, "The request took too long.")) }
                return nil
            }
        }
    }

    private func parse(_ input: UnsafeBufferPointer<UInt8>) -> (used: Int, Parsed<RequestHead>) {
        let parsed = parser.parse(input)
        if case .head(_, let consumed) = parsed { return (consumed, parsed) }
        return (0, parsed)
    }

    /// Answers one request; false when the connection ends with it.
    @inline(__always)
    private func serve(_ head: RequestHead) async throws -> Bool {
        enter(.handling, nil)
        let (body, reader) = body(head)
        let request = Request(
            head.method, head.target, headers: head.headers, body: body,
            minorVersion: head.minorVersion, peer: transport.peer, isSecure: transport.isSecure)
        let response = await listener.handler(request)
        // Most are small and whole, and nothing of their requests is left.
        if reader?.isDone ?? true, head.keepAlive, !listener.isDraining,
            writeAtOnce(response, head, keep: true)
        {
            return true
        }
        switch response.body {
        case .upgrade(let serve):
            try await handOver(response, to: .stream(serve))
            return false
        case .webSocket(let wish):
            try await handOver(head, response, wish)
            return false
        case .empty, .bytes, .stream: break
        }
        let mayReuse: Bool
        if case .stream = response.body {
            // Its producer may read the body while it writes, so the rest is not ours to swallow.
            mayReuse = reader?.isDone ?? true
        } else {
            mayReuse = if let reader, !reader.isDone { try await settle(reader, head) } else { true }
        }
        let keep = mayReuse && head.keepAlive && !listener.isDraining
        try await write(response, head, keep: keep)
        if keep { return true }
        try await flush()
        if !mayReuse { try await linger() }
        return false
    }

    /// Reads the rest of a body that the handler left, if that is little; false when the connection cannot be used
    /// again because the rest stays unread (RFC 9112 §9.3).
    private func settle(_ reader: BodyReader, _ head: RequestHead) async throws -> Bool {
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
            // Weak, here and below: a handler may keep the body longer than the connection lasts.
            reader.beforeFirstWait = { [weak self] in
                guard let self else { throw Body.Abort(400, "The connection is gone.") }
                output.append(contentsOf: Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
                try await flush()
            }
        }
        var waited = 0
        var began = 0
        reader.beforeWait = { [weak self] received in
            guard let self else { throw Body.Abort(400, "The connection is gone.") }
            let budget = limits.bodyStallSeconds + received / limits.bodyRateMin - waited
            if budget <= 0 { throw Body.Abort(408, "The body took too long.") }
            began = listener.seconds
            enter(.body, min(limits.bodyStallSeconds, budget))
        }
        reader.afterWait = { [weak self] in
            guard let self else { return }
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
}
