import CPostgres
import Glibc

/// What libpq needs to open a connection, worked out once from the URL.
struct ConnectionSettings: Sendable {
    /// Keyword and value, as in libpq's "Parameter Key Words".
    private(set) var parameters: [(name: String, value: String)] = []
    /// Why the URL cannot be used. Never quotes it: it holds a password.
    private(set) var problem: String?

    init(url: String, application: String, statementTimeout: Duration) {
        // What the server does to us when we misbehave, and how values read: UTC, ISO, shortest exact numbers. Compiling
        // a plan takes tens of milliseconds and pays after seconds; our statements take a few milliseconds at most, and
        // a partitioned table or a fresh one is easily taken for a large one.
        let milliseconds = max(1, Int(statementTimeout / .milliseconds(1)))
        let server = [
            "statement_timeout=\(milliseconds)", "idle_in_transaction_session_timeout=60000", "TimeZone=UTC",
            "DateStyle=ISO", "bytea_output=hex", "jit=off",
        ].map { "-c \($0)" }.joined(separator: " ")
        parse(url)
        set("application_name", application)
        set("client_encoding", "UTF8")
        set("options", value("options").map { "\(server) \($0)" } ?? server)
        // A peer that vanished is noticed within seconds, idle or sending.
        let defaults = [
            ("gssencmode", "disable"), ("keepalives_idle", "30"), ("keepalives_interval", "5"),
            ("keepalives_count", "3"), ("tcp_user_timeout", "10000"),
        ]
        for (name, text) in defaults where value(name) == nil { set(name, text) }
    }

    func value(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    mutating func set(_ name: String, _ value: String) {
        parameters.removeAll { $0.name == name }
        parameters.append((name, value))
    }

    /// The one host name that has to be looked up before libpq may connect, which would block on it. nil for addresses,
    /// sockets, and lists of hosts, which are libpq's own business.
    var hostToLookUp: String? {
        guard value("hostaddr") == nil, let host = value("host"), !host.isEmpty, !host.hasPrefix("/"),
            !host.hasPrefix("@"), !host.contains(","), !Self.isAddress(host)
        else { return nil }
        return host
    }

    /// The same with the host's addresses filled in, to be tried in order.
    func pinned(to addresses: [String]) -> ConnectionSettings {
        guard let host = value("host"), !addresses.isEmpty else { return self }
        var copy = self
        copy.set("host", Array(repeating: host, count: addresses.count).joined(separator: ","))
        copy.set("hostaddr", addresses.joined(separator: ","))
        return copy
    }

    /// The addresses of a host name, by the system's resolver. Blocks.
    static func lookUp(_ host: String) -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &found) == 0 else { return [] }
        defer { freeaddrinfo(found) }
        var addresses: [String] = []
        var next = found
        while let entry = next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let status = getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if status == 0, !addresses.contains(address) { addresses.append(address) }
            next = entry.pointee.ai_next
        }
        return addresses
    }

    private static func isAddress(_ host: String) -> Bool {
        var place = in6_addr()
        return inet_pton(AF_INET, host, &place) == 1 || inet_pton(AF_INET6, host, &place) == 1
    }

    private mutating func parse(_ url: String) {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url, &message) else {
            PQfreemem(message)
            problem = "the database URL is not a postgresql:// URL that libpq understands"
            return
        }
        defer { PQconninfoFree(options) }
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { set(String(cString: keyword), String(cString: value)) }
            option += 1
        }
    }
}
