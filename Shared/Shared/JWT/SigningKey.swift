/// The secret half of a key that signs tokens (EdDSA over Ed25519, RFC 8037).
public struct SigningKey: Sendable {
    /// The first 16 characters of base64url(SHA-256(public key)).
    public let kid: String
    private let seed: [UInt8]
    let pair: Ed25519

    public enum Failure: Error, Hashable, Sendable {
        case notPKCS8Ed25519
        case openSSL
    }

    public static func generate() throws(Failure) -> SigningKey {
        try SigningKey(seed: Digest.randomBytes(Ed25519.keyLength))
    }

    public init(seed: [UInt8]) throws(Failure) {
        guard let pair = Ed25519(seed: seed) else { throw .openSSL }
        self.seed = seed
        self.pair = pair
        kid = SigningKey.kid(of: pair.publicKey)
    }

    /// Reads PKCS #8 as `openssl genpkey -algorithm ed25519` writes it (RFC 8410 §7), unencrypted.
    public init(pem: String) throws(Failure) {
        var body: [Substring] = []
        var inside = false
        for line in pem.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("-----BEGIN PRIVATE KEY-----") {
                inside = true
            } else if line.hasPrefix("-----END ") {
                break
            } else if inside {
                body.append(line)
            }
        }
        guard let der = Digest.decodeBase64(body.joined().trimmingWhitespace()),
            der.count == SigningKey.prefix.count + Ed25519.keyLength, der.starts(with: SigningKey.prefix)
        else { throw .notPKCS8Ed25519 }
        try self.init(seed: Array(der.dropFirst(SigningKey.prefix.count)))
    }

    /// PKCS #8. This is the secret: it goes nowhere unsealed.
    public var pem: String {
        "-----BEGIN PRIVATE KEY-----\n\(Digest.base64(SigningKey.prefix + seed))\n-----END PRIVATE KEY-----\n"
    }

    /// Everything of PKCS #8 that comes before the 32 bytes of an Ed25519 key: version 0, the algorithm 1.3.101.112.
    private static let prefix: [UInt8] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ]

    /// The public half as an RFC 7517 key.
    public var jwk: JSON { SigningKey.jwk(kid: kid, pair.publicKey) }

    /// A signed token in compact form.
    public func sign(_ claims: Claims) throws(Failure) -> String {
        var header = JSONWriter(capacity: 96)
        header.object { json in
            json.field("alg", "EdDSA")
            json.field("kid", kid)
            json.field("typ", "JWT")
        }
        return try sign(header: header.bytes, payload: claims.jsonBytes)
    }

    /// Signs any header and payload: how tests forge tokens.
    func sign(header: [UInt8], payload: [UInt8]) throws(Failure) -> String {
        let input = Digest.base64URL(header) + "." + Digest.base64URL(payload)
        guard let signature = pair.sign(Array(input.utf8)) else { throw .openSSL }
        return input + "." + Digest.base64URL(signature)
    }

    static func kid(of publicKey: [UInt8]) -> String { String(Digest.base64URL(Digest.sha256(publicKey)).prefix(16)) }

    static func jwk(kid: String, _ publicKey: [UInt8]) -> JSON {
        [
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": .string(kid),
            "x": .string(Digest.base64URL(publicKey)),
        ]
    }
}
