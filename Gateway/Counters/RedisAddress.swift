import HTTP

/// Where a Redis or Valkey is and how to log in: `redis://[[user]:password@]host[:port][/database]`, `rediss://` over TLS.
/// Escapes in the user and the password are decoded.
public struct RedisAddress: Sendable, Equatable, CustomStringConvertible {
    public let host: String
    public let port: Int
    public let isSecure: Bool
    /// nil: the one that a password alone belongs to.
    let user: String?
    let password: String?
    let database: Int

    /// nil for what is no such address.
    public init?(_ text: String) {
        guard let mark = text.firstRange(of: "://"), ["redis", "rediss"].contains(text[..<mark.lowerBound]) else {
            return nil
        }
        isSecure = text[..<mark.lowerBound] == "rediss"
        let parts = text[mark.upperBound...].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let authority = parts.first, !text.contains(where: { $0 == "?" || $0 == "#" || $0.isWhitespace }) else {
            return nil
        }
        var place = authority
        if let at = authority.lastIndex(of: "@") {
            place = authority[authority.index(after: at)...]
            let login = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard login.count == 2, let name = URLText.decode(login[0]), let secret = URLText.decode(login[1]),
                !secret.isEmpty
            else { return nil }
            user = name.isEmpty ? nil : name
            password = secret
        } else {
            user = nil
            password = nil
        }
        guard let (host, port) = Self.place(place), let database = Self.database(parts.count > 1 ? parts[1] : "") else {
            return nil
        }
        self.host = host
        self.port = port
        self.database = database
    }

    /// An IPv6 address stands in brackets.
    private static func place(_ text: Substring) -> (String, Int)? {
        var host = text
        var port: Substring = "6379"
        if text.first == "[" {
            guard let end = text.lastIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty {
                guard rest.first == ":" else { return nil }
                port = rest.dropFirst()
            }
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, let number = Int(port), (1...65_535).contains(number) else { return nil }
        return (String(host), number)
    }

    private static func database(_ text: Substring) -> Int? {
        if text.isEmpty { return 0 }
        return Int(text).flatMap { (0...65_535).contains($0) ? $0 : nil }
    }

    /// Without the password.
    public var description: String { "\(host):\(port)/\(database)" }

    /// What a new connection says first. The last word is a write, as counting is: a server that is loading, full or a
    /// replica refuses it, and is then no use to us.
    var greeting: [[String]] {
        var words: [[String]] = []
        if let password { words.append(["AUTH"] + (user.map { [$0] } ?? []) + [password]) }
        // In small letters, which mean the same there: capitals are SQL in these sources.
        if database != 0 { words.append(["select", "\(database)"]) }
        words.append(["SET", "switchboard:gateways", "here", "EX", "60"])
        return words
    }
}
