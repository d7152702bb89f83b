import Shared

/// How answers get onto the wire: in order, in as few writes as their size allows, never faster than the peer reads.
extension Connection {
    /// Puts a small answer behind those that wait to be sent; false, with nothing done, for any other.
    func writeAtOnce(_ response: Response, _ head: RequestHead, keep: Bool) -> Bool {
        guard case .bytes(let bytes) = response.body, bytes.count <= Self.inlineMax, output.count < limits.pipelineMax
        else { return false }
        listener.encoder.encode(
            response, response.status == 204 ? .none : .length(bytes.count), Self.connection(head, keep),
            into: &output)
        if Self.hasContent(response, head) { output.append(contentsOf: bytes) }
        return true
    }

    private static func connection(_ head: RequestHead, _ keep: Bool) -> ResponseEncoder.Connection {
        keep ? (head.minorVersion == 1 ? .keep : .keepSaid) : .close
    }

    private static func hasContent(_ response: Response, _ head: RequestHead) -> Bool {
        head.method != .head && response.status >= 200 && response.status != 204 && response.status != 304
    }

    func write(_ response: Response, _ head: RequestHead, keep: Bool) async throws {
        let connection = Self.connection(head, keep)
        let hasContent = Self.hasContent(response, head)
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
            if hasContent {
                try await stream(produce, length: length, isChunked: length == nil && head.minorVersion == 1)
            }
            if case .close = delimiter { throw Ended() }
        default:
            // The length of what a GET would have got may stand in the answer to HEAD, and in a 304.
            let bodyless = head.method == .head || response.status == 304
            let keepLength = bodyless && response.headers.contains("Content-Length")
            let none = keepLength || response.status == 204 || response.status == 304 || response.status < 200
            listener.encoder.encode(
                response, none ? .none : .length(0), connection, keepLength: keepLength, into: &output)
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
        // Whoever keeps the writer longer than this must not write into somebody else's answer.
        defer { writer.end() }
        try await produce(writer)
        // A head without content has not been sent yet.
        try await flush()
        if left > 0 { throw Body.Abort(500, "The content is shorter than declared.") }
        if isChunked { output.append(contentsOf: ChunkedEncoder.end) }
    }

    /// Sends what is waiting if the socket takes it at once; false when some of it has to wait, which is left to
    /// ``flush()``.
    func flushAtOnce() throws -> Bool {
        if transport.isSecure { return false }
        let sent = try transport.tryWrite(output, from: 0)
        if sent < output.count {
            output.removeSubrange(..<sent)
            return false
        }
        forgetSent()
        return true
    }

    private func forgetSent() {
        if output.capacity > Self.inlineMax * 2 { output = [] } else { output.removeAll(keepingCapacity: true) }
    }

    /// Sends what is waiting. Most answers fit the socket's buffer and go out without suspending.
    func flush() async throws {
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
            enter(before, nil)
        }
        forgetSent()
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
    func linger() async throws {
        transport.shutdownWrite()
        enter(.writing, limits.lingerSeconds)
        _ = try await inbound.drop(upTo: 1 << 20)
    }
}

extension Refusal {
    /// What the closed list calls it.
    fileprivate var code: Problem.Code {
        switch status {
        case 403: .forbidden
        case 405: .methodNotAllowed
        case 408: .requestTimeout
        case 413: .payloadTooLarge
        case 414: .targetTooLong
        case 426: .upgradeRequired
        case 431: .headersTooLarge
        case 501: .notImplemented
        default: .badRequest
        }
    }
}

extension Response {
    /// The answer to a message that could not be understood, before any route is known.
    static func refusal(_ refusal: Refusal) -> Response {
        var response = Response.json(refusal.status) { json in
            json.object { json in
                json.fieldObject("error") { json in
                    json.field("code", refusal.code.rawValue)
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
