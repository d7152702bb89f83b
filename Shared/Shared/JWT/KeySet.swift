/// The public keys tokens may be signed with: several at once while keys are rotated.
public struct KeySet: Sendable {
    private let keys: [String: Ed25519]
    /// In the order they were given.
    public let kids: [String]

    /// No token of ours comes near it, and parsing stays cheap for everybody else's.
    public static let tokenMax = 8192
    /// What two clocks may differ by.
    public static let leeway: Duration = .seconds(30)
    private static let keysMax = 32

    public enum Failure: Error, Hashable, Sendable {
        case notAKeySet(String)
    }

    public init(keys: [SigningKey]) {
        self.keys = Dictionary(keys.map { ($0.kid, $0.pair) }, uniquingKeysWith: { first, _ in first })
        var seen: Set<String> = []
        kids = keys.map(\.kid).filter { seen.insert($0).inserted }
    }

    /// Reads a JWK set (RFC 7517 §5). Keys of other kinds are passed over; a key of ours that is damaged, named twice
    /// or carries its secret half makes the whole set unusable.
    public init(jwks: JSON) throws(Failure) {
        guard let list = jwks["keys"]?.array else { throw .notAKeySet("no keys") }
        guard list.count <= KeySet.keysMax else { throw .notAKeySet("more than \(KeySet.keysMax) keys") }
        var keys: [String: Ed25519] = [:]
        var kids: [String] = []
        for jwk in list where jwk["kty"] == "OKP" && jwk["crv"] == "Ed25519" {
            guard jwk["alg"] == nil || jwk["alg"] == "EdDSA", jwk["use"] == nil || jwk["use"] == "sig" else { continue }
            guard jwk["d"] == nil else { throw .notAKeySet("a secret key") }
            guard let kid = jwk["kid"]?.string, !kid.isEmpty, kid.utf8.count <= 128 else {
                throw .notAKeySet("a key without a name")
            }
            guard let key = jwk["x"]?.string.flatMap(Digest.decodeBase64URL).flatMap(Ed25519.init(publicKey:)) else {
                throw .notAKeySet("the key \(kid) is damaged")
            }
            guard keys.updateValue(key, forKey: kid) == nil else { throw .notAKeySet("the key \(kid) appears twice") }
            kids.append(kid)
        }
        guard !keys.isEmpty else { throw .notAKeySet("no Ed25519 keys") }
        self.keys = keys
        self.kids = kids
    }

    /// The set as `/.well-known/jwks.json` shows it.
    public var jwks: JSON {
        ["keys": .array(kids.compactMap { kid in keys[kid].map { SigningKey.jwk(kid: kid, $0.publicKey) } })]
    }

    /// What the token says, once everything about it has been checked: EdDSA only, a known key, the signature, its
    /// times, who issued it for whom, and that it is an access token.
    public func verify(
        _ token: String, now: Instant = .now(), issuer: String, audience: String
    ) throws(TokenError) -> Claims {
        let claims = try claims(of: token)
        guard claims.use == Claims.accessUse else { throw .use(claims.use) }
        guard claims.issuer == issuer else { throw .issuer(claims.issuer) }
        guard claims.audience == audience else { throw .audience(claims.audience) }
        guard claims.issuedAt <= claims.expires else { throw .claim("exp") }
        guard now < claims.expires + KeySet.leeway else { throw .expired(claims.expires) }
        guard claims.issuedAt <= now + KeySet.leeway else { throw .notYetValid(claims.issuedAt) }
        if let notBefore = claims.notBefore, notBefore > now + KeySet.leeway { throw .notYetValid(notBefore) }
        return claims
    }

    /// The signature comes before the claims: nothing unsigned is parsed but the header.
    private func claims(of token: String) throws(TokenError) -> Claims {
        guard token.utf8.count <= KeySet.tokenMax else { throw .tooLarge }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .malformed("a token has three parts") }
        guard let header = Digest.decodeBase64URL(parts[0]), let payload = Digest.decodeBase64URL(parts[1]),
            let signature = Digest.decodeBase64URL(parts[2])
        else { throw .malformed("a part is not base64url") }
        let key = try key(for: try KeySet.object(header))
        let signed = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        guard key.verify(signature, of: signed) else { throw .signature }
        return try Claims(json: .object(try KeySet.object(payload)))
    }

    /// `alg`, `kid` and `typ`, and nothing else: `jku`, `jwk`, `x5u` would let the token bring its own key, and `crit`
    /// would ask for something we do not know (RFC 8725 §3).
    private func key(for header: JSONObject) throws(TokenError) -> Ed25519 {
        guard let algorithm = header["alg"]?.string else { throw .header("alg") }
        guard algorithm == "EdDSA" else { throw .algorithm(algorithm) }
        for name in header.names where !["alg", "kid", "typ"].contains(name) { throw .header(name) }
        guard header["typ"] == "JWT" else { throw .header("typ") }
        guard let kid = header["kid"]?.string else { throw .header("kid") }
        guard let key = keys[kid] else { throw .unknownKey(String(kid.prefix(64))) }
        return key
    }

    private static func object(_ bytes: [UInt8]) throws(TokenError) -> JSONObject {
        let json: JSON
        do {
            json = try JSON.parse(bytes, depthMax: 4, duplicates: .refused)
        } catch {
            throw .malformed(error.description)
        }
        guard let object = json.object else { throw .malformed("a part is no object") }
        return object
    }
}
