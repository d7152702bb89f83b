import Glibc
import Shared

/// What a simulated customer says, and how one of the exchanges in the file ends. JSON lines:
/// `{"id":"…","turns":[{"speaker":"customer","text":"…"},…]}`; turns of other speakers are not spoken.
struct Conversation: Sendable {
    var id: String
    var says: [String]

    struct Unreadable: Error, CustomStringConvertible {
        let file: String
        let line: Int
        let reason: String
        var description: String { "\(file), line \(line): \(reason)" }
    }

    static func read(_ file: String) throws -> [Conversation] {
        guard let text = Self.text(file) else { throw Unreadable(file: file, line: 0, reason: "cannot be read") }
        var found: [Conversation] = []
        for (number, line) in text.split(separator: 0x0A).enumerated() {
            do {
                let json = try JSON.parse(Array(line))
                let says = (json["turns"]?.array ?? []).filter { $0["speaker"] == "customer" }.compactMap {
                    $0["text"]?.string.map(Self.trimmed)
                }
                guard !says.isEmpty else { throw Unreadable(file: file, line: number + 1, reason: "no customer turn") }
                found.append(Conversation(id: json["id"]?.string ?? "line-\(number + 1)", says: says))
            } catch let error as JSON.SyntaxError {
                throw Unreadable(file: file, line: number + 1, reason: "\(error)")
            }
        }
        guard !found.isEmpty else { throw Unreadable(file: file, line: 0, reason: "holds no conversation") }
        return found
    }

    /// Transcription has no white space at its ends.
    private static func trimmed(_ text: String) -> String {
        let start = text.firstIndex { $0 != " " } ?? text.endIndex
        let end = text.lastIndex { $0 != " " }.map { text.index(after: $0) } ?? text.endIndex
        return String(text[start..<max(start, end)])
    }

    /// The set written for the project: `conversations.jsonl` beside these sources, looked for upwards.
    static func defaultFile() -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        var parts = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
            .split(separator: "/").dropLast()
        while !parts.isEmpty {
            let candidate = "/" + parts.joined(separator: "/") + "/Tests/CarrierSimulator/conversations.jsonl"
            if access(candidate, R_OK) == 0 { return candidate }
            parts = parts.dropLast()
        }
        return nil
    }

    static func text(_ file: String) -> [UInt8]? {
        guard let handle = fopen(file, "r") else { return nil }
        defer { fclose(handle) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, handle)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }
}
