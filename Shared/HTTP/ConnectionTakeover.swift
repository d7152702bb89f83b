/// How a connection leaves HTTP for another protocol.
extension Connection {
    enum Takeover {
        case stream(@Sendable (Transport, [UInt8]) async throws -> Void)
        case webSocket(WebSocketUpgrade)

    }

    /// Runs the other protocol to its end. In a task of its own: what requests needed of the first task's memory is
    /// given back, which counts for a socket that lives for hours.
    func run(_ takeover: Takeover) async {
        do {
            switch takeover {
            case .stream(let serve): try await serve(transport, inbound.takeAll())
            case .webSocket(let wish): await socket(wish).serve(wish.serve)
            }
        } catch {
            listener.note(error, transport.peer)
        }
        transport.close()
    }

    /// Answers 101 with the response's own fields.
    func handOver(_ response: Response, to takeover: Takeover) async throws {
        listener.encoder.encode(response, .none, .upgrade, into: &output)
        try await flush()
        enter(.upgraded, nil)
        output = []
        self.takeover = takeover
    }

    /// Completes the WebSocket handshake, or refuses it.
    func handOver(_ head: RequestHead, _ response: Response, _ wish: WebSocketUpgrade) async throws {
        switch WebSocketHandshake.answer(head, wish, response.headers) {
        case .accepted(let accepted): try await handOver(accepted, to: .webSocket(wish))
        case .refused(let refused): try await write(refused, head, keep: false)
        }
    }

    private func socket(_ wish: WebSocketUpgrade) -> WebSocket {
        let socket = WebSocket(
            transport, role: .server, leftover: inbound.takeAll(), subprotocol: wish.subprotocol, limits: wish.limits)
        onDrain = { [weak socket] in socket?.close(.goingAway, reason: "The server stops.") }
        if listener.isDraining { onDrain?() }
        return socket
    }
}
