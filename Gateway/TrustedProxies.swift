import HTTP
import Runtime

/// Which peers may say, in `X-Forwarded-For`, for whom they ask: addresses and ranges of addresses (RFC 4632).
struct TrustedProxies: Sendable {
    private let ranges: [AddressRange]

    init(_ ranges: [AddressRange]) { self.ranges = ranges }

    /// nil when a piece is neither an address nor a range such as `10.0.0.0/8`.
    init?(_ text: String) {
        var ranges: [AddressRange] = []
        for piece in text.split(separator: ",") {
            let piece = piece.filter { $0 != " " }
            if piece.isEmpty { continue }
            guard let range = AddressRange(piece) else { return nil }
            ranges.append(range)
        }
        self.ranges = ranges
    }

    /// The address a request is counted under: the last one in the list that is no proxy of ours.
    func caller(of request: Request) -> String {
        guard !ranges.isEmpty, isTrusted(request.peer), let list = request.headers["X-Forwarded-For"] else {
            return request.peer
        }
        let hops = list.split(separator: ",").map { $0.filter { $0 != " " } }
        return hops.last { Address(host: $0, port: 0) != nil && !isTrusted($0) } ?? request.peer
    }

    private func isTrusted(_ host: String) -> Bool {
        guard let octets = Address(host: host, port: 0)?.octets else { return false }
        return ranges.contains { $0.contains(octets) }
    }
}

/// An address, or all that begin with the same bits.
struct AddressRange: Sendable, Hashable {
    private let octets: [UInt8]
    private let bits: Int

    /// `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let address = Address(host: String(parts[0]), port: 0) else { return nil }
        octets = address.octets
        if parts.count == 1 {
            bits = octets.count * 8
        } else {
            guard let bits = Int(parts[1]), (0...octets.count * 8).contains(bits), parts[1].allSatisfy(\.isNumber)
            else {
                return nil
            }
            self.bits = bits
        }
    }

    func contains(_ other: [UInt8]) -> Bool {
        guard other.count == octets.count else { return false }
        let whole = bits / 8
        guard other[..<whole] == octets[..<whole] else { return false }
        let rest = bits % 8
        return rest == 0 || (other[whole] ^ octets[whole]) >> (8 - rest) == 0
    }
}
