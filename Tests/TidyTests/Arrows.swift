/// Who may import whom (design §2). A module that is not here has to be put here, which is the moment to think about it.
enum Arrows {
    private static let ground: Set<String> = [
        "Shared", "Runtime", "HTTP", "Postgres", "Kafka", "Messaging", "Access", "Program",
    ]

    static let allowed: [String: Set<String>] = [
        "Shared": ["COpenSSL"],
        "Runtime": ["Shared", "CLinux"],
        "HTTP": ["Shared", "Runtime", "CTLS", "CCurl"],
        "Postgres": ["Shared", "Runtime", "CPostgres"],
        "Kafka": ["Shared", "Runtime", "CKafka"],
        "Messaging": ["Shared", "Runtime", "HTTP", "Postgres", "Kafka"],
        "Access": ["Shared", "Runtime", "HTTP", "Kafka", "Messaging"],
        "Program": ["Shared", "Runtime", "HTTP", "Postgres", "Kafka", "Messaging", "Access"],
        "Passwords": ["Runtime", "CArgon2"],
        "Pictures": ["Runtime", "CGD"],
        "Archives": ["CArchive"],
        "Reports": ["CPango"],
        "Services/auth": ground.union(["Passwords", "Pictures", "Archives"]),
        "Services/billing": ground,
        "Services/telephony": ground,
        "Services/qa-analytics": ground.union(["Reports"]),
        "Documents": ["CPoppler", "CZip", "CXML"],
        "Services/knowledge": ground.union(["Documents"]),
        "Services/realtime": ground,
        // Never Postgres: the gateway keeps nothing.
        "Gateway": ["Shared", "Runtime", "HTTP", "Kafka", "Messaging", "Access", "Counters"],
        "Counters": ["Shared", "Runtime", "HTTP", "CHiredis"],
    ]

    /// The toolchain's own. Foundation is none of them: it would cost every program 50 MB and its JSON is twenty times
    /// slower than ours.
    static let toolchain: Set<String> = ["Glibc", "Synchronization", "Swift", "_Concurrency"]

    static func check(_ sources: [Source]) -> [Complaint] {
        var complaints: [Complaint] = []
        var importers: [String: Set<String>] = [:]
        for source in sources where source.isSwift {
            guard let module = source.module else { continue }
            for (name, line) in imports(source.swift) where !toolchain.contains(name) {
                if isC(name) { importers[name, default: []].insert(module) }
                guard let allowed = allowed[module] else {
                    complaints.append(
                        Complaint(path: source.path, line: line, text: "\(module) has no arrows in Arrows.swift"))
                    break
                }
                if !allowed.contains(name) {
                    complaints.append(
                        Complaint(path: source.path, line: line, text: "\(module) may not import \(name)"))
                }
            }
        }
        for (name, modules) in importers.sorted(by: { $0.key < $1.key }) where modules.count > 1 {
            let list = modules.sorted().joined(separator: ", ")
            complaints.append(
                Complaint(path: "Package.swift", line: 1, text: "\(name) is imported by more than one module: \(list)"))
        }
        return complaints
    }

    /// C modules are named `C…`, with a second capital.
    private static func isC(_ name: String) -> Bool {
        name.hasPrefix("C") && name.dropFirst().first?.isUppercase == true
    }

    static func imports(_ text: SwiftText) -> [(name: String, line: Int)] {
        var found: [(String, Int)] = []
        for (place, token) in text.tokens.enumerated() where token.text == "import" && place + 1 < text.tokens.count {
            var next = text.tokens[place + 1]
            if ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"].contains(next.text),
                place + 2 < text.tokens.count
            {
                next = text.tokens[place + 2]
            }
            found.append((next.text, token.line))
        }
        return found
    }
}
