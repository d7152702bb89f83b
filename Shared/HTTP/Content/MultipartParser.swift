import Glibc

/// What bounds a multipart body, and why.
public struct MultipartLimits: Sendable {
    /// 100: forms have a handful of fields; each one costs a head to parse.
    public var partsMax = 100
    /// 8 KiB for one part's header lines: a disposition with a long file name is 1 KiB.
    public var headMax = 8 * 1024
    /// Bytes in one part.
    public var partMax: Int
    /// Bytes in all of them with their boundaries.
    public var totalMax: Int

    public init(partMax: Int, totalMax: Int) {
        self.partMax = partMax
        self.totalMax = totalMax
    }
}

/// Parses `multipart/form-data` (RFC 7578, RFC 2046 §5.1) from pieces of any size. Pure: bytes go in with `append`,
/// events come out of `next`. It holds at most one piece and a head.
struct MultipartParser {
    enum Event: Equatable {
        case part(MultipartHead)
        /// Never empty.
        case data([UInt8])
        case partEnd
        /// The closing boundary; what follows is ignored.
        case end
    }

    enum Failure: Error, Equatable {
        case malformed(String)
        case tooManyParts
        case tooLarge(max: Int)
    }

    private enum State {
        case preamble, afterDelimiter, head, data, done
    }

    private let delimiter: [UInt8]
    private let limits: MultipartLimits
    // The first boundary has no line end in front of it: pretend one.
    private var pending: [UInt8] = [13, 10]
    private var at = 0
    private var state = State.preamble
    private var parts = 0
    private var partBytes = 0
    private var total = 0

    /// - Parameter boundary: 1 to 70 characters (RFC 2046 §5.1.1).
    init?(boundary: String, limits: MultipartLimits) {
        guard (1...70).contains(boundary.utf8.count) else { return nil }
        delimiter = Array("\r\n--\(boundary)".utf8)
        self.limits = limits
    }

    var isDone: Bool {
        if case .done = state { return true }
        return false
    }

    mutating func append(_ bytes: [UInt8]) throws(Failure) {
        total += bytes.count
        if total > limits.totalMax { throw .tooLarge(max: limits.totalMax) }
        if isDone { return }
        if at > 0 {
            pending.removeSubrange(..<at)
            at = 0
        }
        pending.append(contentsOf: bytes)
    }

    /// nil when more bytes are needed.
    mutating func next() throws(Failure) -> Event? {
        while true {
            switch state {
            case .preamble:
                guard let found = find(delimiter) else {
                    at = max(at, pending.count - delimiter.count + 1)
                    return nil
                }
                at = found + delimiter.count
                state = .afterDelimiter
            case .afterDelimiter:
                guard let event = try delimiterEnd() else { return nil }
                if event == .end { return event }
                state = .head
            case .head:
                guard let head = try head() else { return nil }
                state = .data
                partBytes = 0
                return .part(head)
            case .data: return try data()
            case .done: return nil
            }
        }
    }

    /// Behind a boundary: two dashes end everything, an end of line (after padding) starts a part, told as `.partEnd`.
    private mutating func delimiterEnd() throws(Failure) -> Event? {
        guard pending.count >= at + 2 else { return nil }
        if pending[at] == 45, pending[at + 1] == 45 {
            state = .done
            pending = []
            at = 0
            return .end
        }
        var line = at
        while line < pending.count, Octets.isBlank(pending[line]) { line += 1 }
        if line - at > 64 { throw .malformed("A boundary is followed by too much space.") }
        guard pending.count >= line + 2 else { return nil }
        guard pending[line] == 13, pending[line + 1] == 10 else {
            throw .malformed("A boundary is not at the end of its line.")
        }
        // The line end stays: a head without fields is then CRLF CRLF like any other.
        at = line
        return .partEnd
    }

    private mutating func head() throws(Failure) -> MultipartHead? {
        guard let end = find([13, 10, 13, 10]) else {
            if pending.count - at > limits.headMax { throw .malformed("A part's header is too large.") }
            return nil
        }
        if end - at > limits.headMax { throw .malformed("A part's header is too large.") }
        parts += 1
        if parts > limits.partsMax { throw .tooManyParts }
        let text = end > at ? String(decoding: pending[(at + 2)..<end], as: UTF8.self) : ""
        at = end + 4
        guard let head = MultipartHead(text) else { throw .malformed("A part has no name.") }
        return head
    }

    private mutating func data() throws(Failure) -> Event? {
        if let found = find(delimiter) {
            if found > at { return .data(try take(upTo: found)) }
            at = found + delimiter.count
            state = .afterDelimiter
            return .partEnd
        }
        // The last bytes may be the beginning of a boundary.
        let safe = pending.count - delimiter.count + 1
        return safe > at ? .data(try take(upTo: safe)) : nil
    }

    private mutating func take(upTo end: Int) throws(Failure) -> [UInt8] {
        partBytes += end - at
        if partBytes > limits.partMax { throw .tooLarge(max: limits.partMax) }
        defer { at = end }
        return Array(pending[at..<end])
    }

    private func find(_ needle: [UInt8]) -> Int? {
        pending.withUnsafeBytes { all -> Int? in
            guard let base = all.baseAddress else { return nil }
            var from = at
            // Both needles begin with CR, which is rare in most content: memchr finds the candidates.
            while from + needle.count <= all.count, let found = memchr(base + from, 13, all.count - from) {
                let place = UnsafeRawPointer(found) - base
                guard place + needle.count <= all.count else { return nil }
                if memcmp(found, needle, needle.count) == 0 { return place }
                from = place + 1
            }
            return nil
        }
    }
}

/// What a part's header says.
public struct MultipartHead: Sendable, Hashable {
    /// The form field.
    public let name: String
    /// The last component of the client's file name; nil for a plain field. Never use it as a path.
    public let filename: String?
    /// Lower-cased media type; `text/plain` unless said.
    public let type: String

    init?(_ text: String) {
        var disposition: MediaType?
        var type = "text/plain"
        for line in text.split(separator: "\r\n") {
            let pair = line.split(separator: ":", maxSplits: 1)
            guard pair.count == 2 else { return nil }
            let value = String(MediaType.trim(pair[1]))
            switch pair[0].lowercased() {
            case "content-disposition": disposition = MediaType(value)
            case "content-type": type = MediaType(value).name
            default: break
            }
        }
        guard let disposition, disposition.name == "form-data", let name = disposition.parameters["name"] else {
            return nil
        }
        self.name = name
        self.type = type
        filename = disposition.parameters["filename"].map { path in
            String(path.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last ?? "")
        }
    }
}
