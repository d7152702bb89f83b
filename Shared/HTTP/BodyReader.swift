/// Reads one message's content off a connection, whatever its framing. Confined to the connection's loop.
final class BodyReader {
    private enum Rest {
        case length(Int)
        case chunked(ChunkedDecoder)
        case untilClose
        case done
        case failed
    }

    private let inbound: Inbound
    private var rest: Rest
    /// What a framing error is answered with: 400 to a client, 502 for an upstream.
    private let blame: Int
    /// Called once, before the first wait for the peer: sends `100 Continue` where the client asked for it.
    var beforeFirstWait: (() async throws -> Void)?
    /// Called around every wait for the peer, with the bytes received so far; throws when patience is at its end.
    var beforeWait: ((_ received: Int) throws -> Void)?
    var afterWait: (() throws -> Void)?
    private var received = 0

    init(_ inbound: Inbound, _ framing: Framing, blame: Int) {
        self.inbound = inbound
        self.blame = blame
        rest =
            switch framing {
            case .none: .done
            case .length(let count): .length(count)
            case .chunked: .chunked(ChunkedDecoder())
            case .untilClose: .untilClose
            }
    }

    /// The message has been read to its end, so the next one can follow.
    var isDone: Bool {
        if case .done = rest { return true }
        return false
    }

    /// The end of the message can no longer be known.
    var hasFailed: Bool {
        if case .failed = rest { return true }
        return false
    }

    /// At most this many bytes are still to come; nil when nobody knows.
    var leftAtMost: Int? {
        switch rest {
        case .length(let count): count
        case .done: 0
        case .chunked, .untilClose, .failed: nil
        }
    }

    func next() async throws -> [UInt8]? {
        do {
            return try await pull()
        } catch {
            rest = .failed
            throw error
        }
    }

    private func pull() async throws -> [UInt8]? {
        if hasFailed { throw Body.Abort(blame, "The body has been broken off.") }
        if inbound.count > 0, !isDone, let chunk = try inbound.look(step) { return chunk }
        while !isDone {
            if let first = beforeFirstWait {
                beforeFirstWait = nil
                try await first()
            }
            try beforeWait?(received)
            let outcome = try await inbound.more(step)
            try afterWait?()
            guard let outcome else {
                if case .untilClose = rest {
                    rest = .done
                    return nil
                }
                throw Body.Abort(blame, "The body was cut short.")
            }
            if let chunk = outcome { return chunk }
        }
        return nil
    }

    /// Takes what belongs to the body out of the bytes at hand.
    private func step(_ input: UnsafeBufferPointer<UInt8>) throws -> (used: Int, [UInt8]?) {
        switch rest {
        case .length(let left):
            let count = min(left, input.count)
            rest = count == left ? .done : .length(left - count)
            received += count
            return (count, count == 0 ? nil : Array(input[..<count]))
        case .untilClose:
            received += input.count
            return (input.count, Array(input))
        case .chunked(var decoder):
            var content: [UInt8] = []
            var at = 0
            do throws(Refusal) {
                loop: while true {
                    switch try decoder.decode(input, from: at) {
                    case .more:
                        at = input.count
                        rest = .chunked(decoder)
                        break loop
                    case .data(let range):
                        content.append(contentsOf: input[range])
                        at = range.upperBound
                    case .end(let end):
                        at = end
                        rest = .done
                        break loop
                    }
                }
            } catch {
                throw Body.Abort(blame == 400 ? error.status : blame, error.reason)
            }
            received += content.count
            return (at, content.isEmpty ? nil : content)
        case .done, .failed: return (0, nil)
        }
    }
}
