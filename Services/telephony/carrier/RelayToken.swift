import Shared

/// The token in a relay socket's path: it names the call and proves that we named it.
///
/// Nothing is stored: 16 bytes of call id and 32 of HMAC-SHA-256, base64url. It dies with its call because the socket is
/// refused when the call is terminal, and it works on any replica because they share the key.
struct RelayToken: Sendable {
    private let key: [UInt8]

    init(secret: String) {
        // A key of its own, so that a token can stand for nothing else sealed with the same secret.
        key = Digest.hmacSHA256(key: Array(secret.utf8), Array("switchboard relay token".utf8))
    }

    func token(for call: CallID) -> String {
        let id = bytes(of: call)
        return Digest.base64URL(id + Digest.hmacSHA256(key: key, id))
    }

    func call(of token: String) -> CallID? {
        guard let raw = Digest.decodeBase64URL(token), raw.count == 48 else { return nil }
        let id = Array(raw[0..<16])
        guard Digest.constantTimeEquals(Digest.hmacSHA256(key: key, id), Array(raw[16...])) else { return nil }
        func word(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        return CallID(high: word(id[0..<8]), low: word(id[8..<16]))
    }

    private func bytes(of call: CallID) -> [UInt8] {
        [call.high, call.low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }
}
