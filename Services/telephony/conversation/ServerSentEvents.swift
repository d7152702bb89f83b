/// Reads a `text/event-stream` as it arrives, in pieces of any size (WHATWG HTML, "Server-sent events", 9.2.6).
///
/// Pure: bytes in, finished events' data out. Lines may end in LF, CR LF or CR; comments and unknown fields are skipped.
struct ServerSentEvents: Sendable {
    /// More than any chunk of a chat completion; a stream without line ends is refused instead of remembered.
    static let lineMax = 1 << 20

    struct TooLong: Error {}

    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var afterReturn = false
    private var atStart = true

    /// The data of every event these bytes complete.
    mutating func read(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [String] {
        var events: [String] = []
        for byte in bytes {
            if afterReturn, byte == 0x0A {
                afterReturn = false
                continue
            }
            afterReturn = byte == 0x0D
            if byte == 0x0A || byte == 0x0D {
                if let event = endLine() { events.append(event) }
                continue
            }
            line.append(byte)
            if line.count + data.count > Self.lineMax { throw TooLong() }
        }
        return events
    }

    private mutating func endLine() -> String? {
        defer { line.removeAll(keepingCapacity: true) }
        if atStart {
            atStart = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else {
            defer {
                data.removeAll(keepingCapacity: true)
                hasData = false
            }
            return hasData ? String(decoding: data, as: UTF8.self) : nil
        }
        let colon = line.firstIndex(of: 0x3A) ?? line.endIndex
        guard line[..<colon].elementsEqual("data".utf8) else { return nil }
        var value = line[min(colon + 1, line.endIndex)...]
        if value.first == 0x20 { value.removeFirst() }
        if hasData { data.append(0x0A) }
        data.append(contentsOf: value)
        hasData = true
        return nil
    }
}
