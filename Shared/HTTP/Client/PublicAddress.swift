import Glibc

/// Whether an address belongs to the public internet. Judged on the bytes a connection is about to be made to, so it
/// does not matter how a URL spelled them: decimal, octal, hexadecimal, mapped into IPv6 or behind a name.
///
/// Refused: everything the IANA special-purpose registries (RFC 6890, RFC 8190) do not call globally reachable, and
/// addresses that carry an IPv4 address inside of an IPv6 one, other than the plainly mapped.
public enum PublicAddress {
    /// - Parameter bytes: in network order.
    public static func isPublic(v4 bytes: [UInt8]) -> Bool {
        guard bytes.count == 4 else { return false }
        let address = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return !refusedV4.contains { address >> (32 - $0.bits) == $0.prefix >> (32 - $0.bits) }
    }

    public static func isPublic(v6 bytes: [UInt8]) -> Bool {
        guard bytes.count == 16 else { return false }
        if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
            return isPublic(v4: Array(bytes[12...]))
        }
        // Only 2000::/3 has been given out as global unicast.
        guard bytes[0] & 0xE0 == 0x20 else { return false }
        let head = bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return !refusedV6.contains { head >> (32 - $0.bits) == $0.prefix >> (32 - $0.bits) }
    }

    static func isPublic(_ address: UnsafePointer<sockaddr>) -> Bool {
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { v4 in
                withUnsafeBytes(of: v4.pointee.sin_addr) { isPublic(v4: Array($0)) }
            }
        case AF_INET6:
            return address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { v6 in
                withUnsafeBytes(of: v6.pointee.sin6_addr) { isPublic(v6: Array($0)) }
            }
        default: return false
        }
    }

    private static let refusedV4: [(prefix: UInt32, bits: UInt32)] = [
        (0x0000_0000, 8),  // 0.0.0.0/8 this network
        (0x0A00_0000, 8),  // 10/8 private
        (0x6440_0000, 10),  // 100.64/10 carrier NAT
        (0x7F00_0000, 8),  // 127/8 loopback
        (0xA9FE_0000, 16),  // 169.254/16 link-local, cloud metadata
        (0xAC10_0000, 12),  // 172.16/12 private
        (0xC000_0000, 24),  // 192.0.0/24 protocol assignments
        (0xC000_0200, 24),  // 192.0.2/24 documentation
        (0xC058_6300, 24),  // 192.88.99/24 6to4 relays
        (0xC0A8_0000, 16),  // 192.168/16 private
        (0xC612_0000, 15),  // 198.18/15 benchmarks
        (0xC633_6400, 24),  // 198.51.100/24 documentation
        (0xCB00_7100, 24),  // 203.0.113/24 documentation
        (0xE000_0000, 4),  // 224/4 multicast
        (0xF000_0000, 4),  // 240/4 reserved, broadcast
    ]

    /// By their first 32 bits.
    private static let refusedV6: [(prefix: UInt32, bits: UInt32)] = [
        (0x2001_0000, 23),  // 2001::/23 protocol assignments, Teredo
        (0x2001_0DB8, 32),  // documentation
        (0x2002_0000, 16),  // 6to4 carries any IPv4 address
        (0x3FFF_0000, 20),  // documentation
    ]
}
