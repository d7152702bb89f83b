import Shared

/// A request's or response's content as it arrives: an async sequence of chunks for one consumer.
///
/// Nothing is read from the peer before somebody asks, so a slow consumer holds back the sender (TCP backpressure)
/// and memory stays at one chunk.
///
/// `@unchecked Sendable`: a body belongs to the loop of its connection; only the task that handles that connection's
/// message touches it, and that task never leaves the loop.
public final class Body: @unchecked Sendable {
    /// Hands out the next chunk (never empty), nil at the end. Throws when the peer breaks off or stalls.
    public typealias Pull = () async throws -> [UInt8]?

    /// The declared length in bytes, nil when chunked.
    public let length: Int?
    private var ready: [UInt8]?
    private var pull: Pull?

    public init(_ bytes: [UInt8] = []) {
        length = bytes.count
        ready = bytes.isEmpty ? nil : bytes
        pull = nil
    }

    public init(length: Int?, pull: @escaping Pull) {
        self.length = length
        self.pull = pull
        ready = nil
    }

    /// The body of every message that has none; it holds no state, so all loops share it.
    public static let none = Body()

    /// A body with no bytes at all, known without waiting.
    public var isEmpty: Bool { length == 0 }

    /// The whole content where it is at hand, and only once; nil where it has to be waited for or there is none.
    public func takeReady() -> [UInt8]? {
        guard pull == nil, let bytes = ready else { return nil }
        ready = nil
        return bytes
    }

    /// The next chunk, nil after the last. Throws ``Abort`` when the message was cut short.
    public func next() async throws -> [UInt8]? {
        if let bytes = ready {
            ready = nil
            return bytes
        }
        guard let pull else { return nil }
        if let chunk = try await pull() { return chunk }
        self.pull = nil
        return nil
    }

    /// The whole content. More than `max` bytes throws PAYLOAD_TOO_LARGE before they are all read.
    public func bytes(max: Int) async throws -> [UInt8] {
        if let length, length > max { throw TooLarge(max: max) }
        guard var whole = try await next() else { return [] }
        if whole.count > max { throw TooLarge(max: max) }
        while let chunk = try await next() {
            if whole.count + chunk.count > max { throw TooLarge(max: max) }
            whole.append(contentsOf: chunk)
        }
        return whole
    }

    /// The content is larger than its reader accepts.
    public struct TooLarge: Error, Sendable {
        public let max: Int
    }

    /// The peer broke off, stalled or framed the content wrongly; the connection is of no further use.
    public struct Abort: Error, Sendable {
        /// What to answer with, where an answer can still be given: 400, 408, or 502 from an upstream.
        public let status: Int
        public let reason: String

        public init(_ status: Int, _ reason: String) {
            self.status = status
            self.reason = reason
        }
    }
}

extension Body: AsyncSequence {
    public struct AsyncIterator: AsyncIteratorProtocol {
        let body: Body
        public mutating func next() async throws -> [UInt8]? { try await body.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body: self) }
}

/// Where a streamed response's content goes: each `write` returns when the peer's socket has taken the bytes, so a
/// slow reader holds back the producer.
///
/// `@unchecked Sendable`: confined to the loop and task of its connection, like ``Body``.
public final class BodyWriter: @unchecked Sendable {
    private var sink: (([UInt8]) async throws -> Void)?

    public init(_ sink: @escaping ([UInt8]) async throws -> Void) { self.sink = sink }

    public func write(_ bytes: [UInt8]) async throws {
        guard let sink else { throw Body.Abort(500, "The answer is over.") }
        if !bytes.isEmpty { try await sink(bytes) }
    }

    /// Lets go of the connection; later writes throw.
    func end() { sink = nil }

    public func write(_ text: String) async throws { try await write(Array(text.utf8)) }
}
