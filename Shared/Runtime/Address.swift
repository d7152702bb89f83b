import Glibc

/// An internet address and port.
public struct Address: Sendable {
    private var storage: sockaddr_storage
    private var length: socklen_t

    /// An address written in digits; nil for a name.
    public init?(host: String, port: Int) {
        storage = sockaddr_storage()
        var v4 = sockaddr_in()
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
        var v6 = sockaddr_in6()
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
        if inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { target in withUnsafeBytes(of: v4) { target.copyMemory(from: $0) } }
        } else if inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 {
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            withUnsafeMutableBytes(of: &storage) { target in withUnsafeBytes(of: v6) { target.copyMemory(from: $0) } }
        } else {
            return nil
        }
    }

    init(storage: sockaddr_storage) {
        self.storage = storage
        length = socklen_t(
            Int32(storage.ss_family) == AF_INET6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
    }

    var family: Int32 { Int32(storage.ss_family) }

    func withPointer<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// Four octets, or sixteen; an IPv4 address mapped into IPv6 has four.
    public var octets: [UInt8] {
        withUnsafeBytes(of: storage) { bytes in
            if family == AF_INET {
                return withUnsafeBytes(of: bytes.loadUnaligned(as: sockaddr_in.self).sin_addr) { Array($0) }
            }
            let octets = withUnsafeBytes(of: bytes.loadUnaligned(as: sockaddr_in6.self).sin6_addr) { Array($0) }
            let mapped = octets[..<10].allSatisfy { $0 == 0 } && octets[10] == 0xFF && octets[11] == 0xFF
            return mapped ? Array(octets[12...]) : octets
        }
    }

    /// The address in digits; an IPv4 address mapped into IPv6 as IPv4.
    public var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        withUnsafeBytes(of: storage) { bytes in
            if family == AF_INET6 {
                var address = bytes.loadUnaligned(as: sockaddr_in6.self).sin6_addr
                inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
            } else if family == AF_INET {
                var address = bytes.loadUnaligned(as: sockaddr_in.self).sin_addr
                inet_ntop(AF_INET, &address, &text, socklen_t(text.count))
            }
        }
        let host = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return host.hasPrefix("::ffff:") && host.contains(".") ? String(host.dropFirst(7)) : host
    }

    public var port: Int {
        withUnsafeBytes(of: storage) { bytes in
            family == AF_INET6
                ? Int(UInt16(bigEndian: bytes.loadUnaligned(as: sockaddr_in6.self).sin6_port))
                : Int(UInt16(bigEndian: bytes.loadUnaligned(as: sockaddr_in.self).sin_port))
        }
    }

    /// Every address of a name, in the system's order. Digits need no look-up; a name is asked off the loop.
    public static func resolve(_ host: String, port: Int) async throws -> [Address] {
        if let address = Address(host: host, port: port) { return [address] }
        return try await Blocking.shared.run { try lookUp(host, port: port) }
    }

    /// The name has no address, or nobody could be asked.
    public struct Unknown: Error, Sendable, CustomStringConvertible {
        public let host: String
        public let reason: String
        public var description: String { "\(host): \(reason)" }
    }

    private static func lookUp(_ host: String, port: Int) throws(Unknown) -> [Address] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { throw Unknown(host: host, reason: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var found: [Address] = []
        var next = list
        while let entry = next {
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) { target in
                target.copyMemory(
                    from: UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen)))
            }
            found.append(Address(storage: storage))
            next = entry.pointee.ai_next
        }
        return found
    }
}
