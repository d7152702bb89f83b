import Glibc

/// A file of the project, by its path from the root.
struct Source {
    let path: String
    let content: String
    /// Taken apart once for all rules; empty for other languages.
    let swift: SwiftText

    init(_ path: String, _ content: String) {
        self.path = path
        self.content = content
        swift = SwiftText(path.hasSuffix(".swift") ? content : "")
    }

    var name: String { String(path.split(separator: "/").last ?? "") }
    var isSwift: Bool { path.hasSuffix(".swift") }
    /// Part of a program, not of its tests.
    var isProduct: Bool { ["Shared/", "Services/", "Gateway/"].contains { path.hasPrefix($0) } }

    /// The Swift module the file belongs to; nil outside Shared, Services and Gateway.
    var module: String? {
        let parts = path.split(separator: "/").map(String.init)
        switch parts.first {
        case "Gateway": return parts[1] == "Counters" ? "Counters" : "Gateway"
        case "Shared" where parts.count > 2 && parts[1] != "C": return parts[1]
        // A library that one service needs has a folder of its own inside it, beginning with a capital letter; other
        // folders only sort the files of a large service.
        case "Services" where parts.count > 3 && parts[2].first?.isUppercase == true: return parts[2]
        case "Services" where parts.count > 2: return "Services/\(parts[1])"
        default: return nil
        }
    }
}

/// What a rule found.
struct Complaint: CustomStringConvertible, Equatable {
    let path: String
    let line: Int
    let text: String
    var description: String { "\(path):\(line): \(text)" }
}

enum Project {
    /// Two folders above this file's.
    static let root = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }

    /// Every source below the folders that we write.
    static let sources: [Source] = ["Shared", "Services", "Gateway", "Tests", "deploy"].flatMap { read($0) }

    private static let endings = [".swift", ".sql", ".c", ".h", ".py", ".sh"]
    private static let skipped: Set<String> = [".build", ".local", "node_modules", "__pycache__", "corpus"]

    private static func read(_ path: String) -> [Source] {
        guard let folder = opendir("\(root)/\(path)") else { return [] }
        defer { closedir(folder) }
        var found: [Source] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(".") || skipped.contains(name) { continue }
            let full = "\(path)/\(name)"
            if endings.contains(where: { name.hasSuffix($0) }) {
                if let content = contents("\(root)/\(full)") { found.append(Source(full, content)) }
            } else {
                found += read(full)
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    private static func contents(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&block, 1, block.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += block[..<count]
        }
    }
}
