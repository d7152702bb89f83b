/// Undoes the chunked transfer coding (RFC 9112 §7.1) in bytes as they arrive. Pure; holds no content itself: it says
/// which of the caller's bytes are content.
///
/// Sizes are hexadecimal digits only and checked for overflow, every line ends in exactly CRLF, extensions are checked
/// and dropped, trailers are checked and dropped (never merged into the header: they arrive after the decisions).
public struct ChunkedDecoder: Sendable {
    /// Per body. Extensions carry nothing anyone uses, but a peer could send one to every byte.
    public static let extensionsMax = 4 * 1024
    /// Trailers are small where they exist at all (a checksum, a timing).
    public static let trailersMax = 4 * 1024

    public enum Step: Hashable, Sendable {
        /// All input is consumed and more is needed.
        case more
        /// `input[range]` is content; go on behind it.
        case data(Range<Int>)
        /// The body ended just before the index; what follows is the next message.
        case end(Int)
    }

    private enum State {
        case sizeFirst, size, extensions, sizeFeed, data, dataReturn, dataFeed
        case trailerFirst, trailerName, trailerValue, trailerFeed, lastFeed, done
    }

    private var state = State.sizeFirst
    private var left: Int = 0
    private var extensions = 0
    private var trailers = 0

    public init() {}

    public var isDone: Bool { state == .done }

    /// Looks at `input[at...]` and returns what it found first.
    public mutating func decode(
        _ input: UnsafeBufferPointer<UInt8>, from start: Int
    ) throws(Refusal) -> Step {
        var at = start
        while at < input.count {
            if state == .data {
                let range = at..<at + min(left, input.count - at)
                left -= range.count
                if left == 0 { state = .dataReturn }
                return .data(range)
            }
            if state == .done { return .end(at) }
            try step(input[at])
            at += 1
        }
        return state == .done ? .end(at) : .more
    }

    private mutating func step(_ octet: UInt8) throws(Refusal) {
        switch state {
        case .sizeFirst:
            guard let digit = Octets.hex(octet) else { throw Refusal(400, "A chunk size is not hexadecimal.") }
            left = Int(digit)
            state = .size
        case .size:
            if let digit = Octets.hex(octet) {
                if left > Int.max >> 4 { throw Refusal(400, "A chunk size is too large.") }
                left = left << 4 | Int(digit)
            } else if octet == UInt8(ascii: ";") {
                state = .extensions
            } else if octet == 13 {
                state = .sizeFeed
            } else {
                throw Refusal(400, "A chunk size is not hexadecimal.")
            }
        case .extensions:
            extensions += 1
            if extensions > Self.extensionsMax { throw Refusal(400, "The chunk extensions are too long.") }
            if octet == 13 {
                state = .sizeFeed
            } else if Octets.classes[Int(octet)] & 2 == 0 {
                throw Refusal(400, "A chunk extension holds a control character.")
            }
        case .sizeFeed:
            try expect(octet, 10)
            state = left == 0 ? .trailerFirst : .data
        case .dataReturn:
            try expect(octet, 13)
            state = .dataFeed
        case .dataFeed:
            try expect(octet, 10)
            state = .sizeFirst
        case .trailerFirst, .trailerName, .trailerValue, .trailerFeed, .lastFeed: try trailer(octet)
        case .data, .done: break
        }
    }

    private mutating func trailer(_ octet: UInt8) throws(Refusal) {
        trailers += 1
        if trailers > Self.trailersMax { throw Refusal(431, "The trailers are too long.") }
        switch state {
        case .trailerFirst:
            if octet == 13 {
                state = .lastFeed
            } else if Octets.isToken(octet) {
                state = .trailerName
            } else {
                throw Refusal(400, "A trailer name is not a token.")
            }
        case .trailerName:
            if octet == UInt8(ascii: ":") {
                state = .trailerValue
            } else if !Octets.isToken(octet) {
                throw Refusal(400, "A trailer name is not a token.")
            }
        case .trailerValue:
            if octet == 13 {
                state = .trailerFeed
            } else if Octets.classes[Int(octet)] & 2 == 0 {
                throw Refusal(400, "A trailer value holds a control character.")
            }
        case .trailerFeed:
            try expect(octet, 10)
            state = .trailerFirst
        default:
            try expect(octet, 10)
            state = .done
        }
    }

    private func expect(_ octet: UInt8, _ wanted: UInt8) throws(Refusal) {
        if octet != wanted { throw Refusal(400, "A chunk does not end in CRLF.") }
    }
}

/// Writes the chunked transfer coding.
public enum ChunkedEncoder {
    /// `size CRLF`; the content and ``separator`` follow.
    public static func head(_ count: Int) -> [UInt8] {
        Array(String(count, radix: 16).utf8) + separator
    }

    public static let separator: [UInt8] = [13, 10]
    /// The last chunk, without trailers.
    public static let end: [UInt8] = Array("0\r\n\r\n".utf8)

    /// One whole chunk; nothing for no content, since an empty chunk would end the body.
    public static func encode(_ content: some Collection<UInt8>) -> [UInt8] {
        content.isEmpty ? [] : head(content.count) + content + separator
    }
}
