import CHiredis

/// What the server says to one command.
enum Reply: Sendable, Equatable {
    case integer(Int)
    case text(String)
    case error(String)
    /// Nil, or a kind that no command of ours is answered with.
    case other
}

/// Takes the answers out of the bytes as they come. Not `Sendable`: of one connection.
final class ReplyReader {
    private let reader: UnsafeMutablePointer<redisReader>

    /// What the server says is no Redis.
    struct Garbled: Error, CustomStringConvertible {
        let description: String
    }

    init() throws {
        guard let reader = redisReaderCreate() else { throw Garbled(description: "no memory for a reader") }
        self.reader = reader
    }

    deinit { redisReaderFree(reader) }

    func feed(_ bytes: UnsafeRawBufferPointer) throws {
        guard redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count) == REDIS_OK
        else { throw trouble() }
    }

    /// The next whole answer; nil when the rest of it has not come yet.
    func next() throws -> Reply? {
        var raw: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &raw) == REDIS_OK else { throw trouble() }
        guard let raw else { return nil }
        defer { freeReplyObject(raw) }
        let reply = raw.assumingMemoryBound(to: redisReply.self).pointee
        switch reply.type {
        case REDIS_REPLY_INTEGER: return .integer(Int(reply.integer))
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: return .text(Self.text(reply))
        case REDIS_REPLY_ERROR: return .error(Self.text(reply))
        default: return .other
        }
    }

    private static func text(_ reply: redisReply) -> String {
        guard let start = reply.str else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: start, count: Int(reply.len)), as: UTF8.self)
    }

    private func trouble() -> Garbled {
        let text = withUnsafeBytes(of: reader.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Garbled(description: "not Redis: \(text)")
    }
}

/// A command as it is sent: an array of texts with their lengths, so that nothing in them can be mistaken for another.
func encode(_ command: [String], into output: inout [UInt8]) {
    output.append(UInt8(ascii: "*"))
    append(command.count, &output)
    for word in command {
        output.append(UInt8(ascii: "$"))
        append(word.utf8.count, &output)
        output.append(contentsOf: word.utf8)
        output.append(13)
        output.append(10)
    }
}

private func append(_ number: Int, _ output: inout [UInt8]) {
    if number < 10 { output.append(UInt8(48 + number)) } else { output.append(contentsOf: "\(number)".utf8) }
    output.append(13)
    output.append(10)
}
