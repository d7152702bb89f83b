import Testing

@testable import Shared

@Suite struct `Ed25519 keys` {
    // RFC 8032 §7.1: seed, public key, message, signature.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            """
            e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
            5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b
            """
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            """
            92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
            085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00
            """
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            """
            6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
            18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a
            """
        ),
    ])
    func `sign and verify as RFC 8032 says`(_ seed: String, _ key: String, _ message: String, _ expected: String) throws
    {
        let seed = try #require(Digest.decodeHex(seed))
        let message = try #require(Digest.decodeHex(message))
        let pair = try #require(Ed25519(seed: seed))
        #expect(Digest.hex(pair.publicKey) == key)
        let signature = try #require(pair.sign(message))
        #expect(Digest.hex(signature) == expected)
        let verifier = try #require(Ed25519(publicKey: pair.publicKey))
        #expect(verifier.verify(signature, of: message))
        #expect(!verifier.verify(signature, of: message + [0]))
        #expect(!verifier.verify(Array(signature.dropLast()), of: message))
        #expect(verifier.sign(message) == nil)
        var changed = signature
        changed[63] ^= 0x20
        #expect(!verifier.verify(changed, of: message))
    }

    @Test func `a JWS is RFC 8037's`() throws {
        let seed = try #require(Digest.decodeBase64URL("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
        let key = try SigningKey(seed: seed)
        #expect(key.jwk["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        let jws = try key.sign(
            header: Array(#"{"alg":"EdDSA"}"#.utf8), payload: Array("Example of Ed25519 signing".utf8))
        #expect(
            jws == "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                + "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
    }

    @Test func `a key travels as PKCS #8, as OpenSSL writes it`() throws {
        let key = try SigningKey.generate()
        let again = try SigningKey(pem: key.pem)
        #expect(again.kid == key.kid)
        #expect(again.pem == key.pem)
        #expect(key.kid.utf8.count == 16)
        // Written by `openssl genpkey -algorithm ed25519`, for this test only.
        let foreign = """
            -----BEGIN PRIVATE KEY-----\r
            MC4CAQAwBQYDK2VwBCIEICUEAlImXvTR6FK31fqGrthoDOAx6NMJB+HBThWcXfeW\r
            -----END PRIVATE KEY-----\r

            """
        #expect(
            try SigningKey(pem: foreign).pem == foreign.split(whereSeparator: \.isNewline).joined(separator: "\n")
                + "\n")
    }

    @Test(arguments: [
        "", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "nonsense",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICUEAlImXvTR6FK31fqGrthoDOAx6NMJB\n-----END PRIVATE KEY-----",
        // X25519: another algorithm of the same length.
        """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VuBCIEICUEAlImXvTR6FK31fqGrthoDOAx6NMJB+HBThWcXfeW
        -----END PRIVATE KEY-----
        """,
        """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEICUEAlImXvTR6FK31fqGrthoDOAx6NMJB+HBThWcXfeW
        -----END ENCRYPTED PRIVATE KEY-----
        """,
    ])
    func `what is no such key is refused`(_ pem: String) {
        #expect(throws: SigningKey.Failure.notPKCS8Ed25519) { try SigningKey(pem: pem) }
    }
}

@Suite struct `Key sets` {
    @Test func `several keys verify while they are rotated`() throws {
        let keys = try (0..<3).map { _ in try SigningKey.generate() }
        let set = try KeySet(jwks: try JSON.parse(KeySet(keys: keys).jwks.jsonText))
        #expect(set.kids == keys.map(\.kid))
        for key in keys {
            let token = try key.sign(Forge.claims)
            #expect(try set.verify(token, now: Forge.now, issuer: "iss", audience: "aud") == Forge.claims)
        }
        let retired = try KeySet(jwks: KeySet(keys: Array(keys.dropFirst())).jwks)
        #expect(throws: TokenError.unknownKey(keys[0].kid)) {
            try retired.verify(try keys[0].sign(Forge.claims), now: Forge.now, issuer: "iss", audience: "aud")
        }
    }

    @Test func `no secret half is ever published`() throws {
        let jwks = KeySet(keys: [try SigningKey.generate()]).jwks
        #expect(jwks["keys"]?[0]?.object?.names.sorted() == ["alg", "crv", "kid", "kty", "use", "x"])
    }

    @Test func `keys of other kinds are passed over`() throws {
        let key = try SigningKey.generate()
        let set = try KeySet(jwks: [
            "keys": [
                ["kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"],
                ["kty": "OKP", "crv": "X25519", "kid": "x", "x": "AA"],
                ["kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": "AA"], key.jwk,
            ]
        ])
        #expect(set.kids == [key.kid])
    }

    @Test func `a damaged set is refused as a whole`() throws {
        let key = try SigningKey.generate().jwk
        func changed(_ name: String, _ value: JSON?) -> JSON {
            var object = key.object ?? [:]
            object[name] = value
            return .object(object)
        }
        let sets: [JSON] = [
            [:], ["keys": []], ["keys": "none"], .null, ["keys": [changed("x", "AAAA")]], ["keys": [changed("x", nil)]],
            ["keys": [changed("x", "not base64!")]], ["keys": [changed("kid", nil)]], ["keys": [changed("kid", "")]],
            ["keys": [changed("d", "AAAA")]], ["keys": [key, key]], ["keys": [changed("alg", "HS256")]],
            ["keys": .array((0..<33).map { changed("kid", .string("k\($0)")) })],
        ]
        for set in sets { #expect(throws: KeySet.Failure.self, "\(set.jsonText)") { try KeySet(jwks: set) } }
    }
}

/// Makes tokens that are right but for one thing.
enum Forge {
    static let now = Instant(seconds: 1_800_000_000)
    static let user = UserID(high: 1, low: 2)
    static let workspace = WorkspaceID(high: 3, low: 4)
    static let claims = Claims(
        subject: user, role: .user, staff: true, session: SessionID(high: 5, low: 6), workspaces: [workspace: .manager],
        issuer: "iss", audience: "aud", issuedAt: now, expires: now + .seconds(900), id: "j1", scopes: ["calls"],
        apiKey: APIKeyID(high: 7, low: 8))
    // Any 32 bytes are a secret.
    static let seed = [UInt8](repeating: 7, count: 32)

    static func key() throws -> SigningKey { try SigningKey(seed: seed) }

    static func header(_ change: (inout JSONObject) -> Void = { _ in }) throws -> [UInt8] {
        var header: JSONObject = ["alg": "EdDSA", "kid": .string(try key().kid), "typ": "JWT"]
        change(&header)
        return header.jsonBytes
    }

    static func payload(_ change: (inout JSONObject) -> Void = { _ in }) throws -> [UInt8] {
        var payload = try JSON.parse(claims.jsonBytes).object ?? [:]
        change(&payload)
        return payload.jsonBytes
    }

    static func header(_ name: String, _ value: JSON?) throws -> String {
        try key().sign(header: header { $0[name] = value }, payload: payload())
    }

    static func claim(_ name: String, _ value: JSON?) throws -> String {
        try key().sign(header: header(), payload: payload { $0[name] = value })
    }

    static func parts(_ change: (inout [String]) throws -> Void) throws -> String {
        var parts = try key().sign(claims).split(separator: ".").map(String.init)
        try change(&parts)
        return parts.joined(separator: ".")
    }

    static func verify(_ token: String, at time: Instant = now) throws(TokenError) -> Claims {
        guard let key = try? key() else { throw .malformed("no key") }
        return try KeySet(keys: [key]).verify(token, now: time, issuer: "iss", audience: "aud")
    }
}

struct Forgery: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let refusal: TokenError?
    let make: @Sendable () throws -> String

    /// - Parameter refusal: nil when any error will do.
    init(_ description: String, _ refusal: TokenError?, _ make: @escaping @Sendable () throws -> String) {
        testDescription = description
        self.refusal = refusal
        self.make = make
    }

    static let all: [Forgery] = [
        Forgery("nothing", .malformed("a token has three parts")) { "" },
        Forgery("two parts", .malformed("a token has three parts")) { try Forge.parts { $0.removeLast() } },
        Forgery("four parts", .malformed("a token has three parts")) { try Forge.parts { $0.append("AA") } },
        Forgery("an empty signature", .signature) { try Forge.parts { $0[2] = "" } },
        Forgery("padding", .malformed("a part is not base64url")) { try Forge.parts { $0[2] += "==" } },
        Forgery("white space", .malformed("a part is not base64url")) { try Forge.parts { $0[0] = " " + $0[0] } },
        Forgery("another spelling of the signature", nil) {
            try Forge.parts { $0[2] = String($0[2].dropLast()) + ($0[2].hasSuffix("A") ? "B" : "_") }
        },
        Forgery("9 KB of token", .tooLarge) { try Forge.claim("pad", .string(String(repeating: "x", count: 9000))) },
        Forgery("alg none", .algorithm("none")) {
            try Forge.parts {
                $0[0] = Digest.base64URL(try Forge.header { $0["alg"] = "none" })
                $0[2] = ""
            }
        },
        Forgery("alg None", .algorithm("None")) { try Forge.header("alg", "None") },
        Forgery("alg eddsa in lower case", .algorithm("eddsa")) { try Forge.header("alg", "eddsa") },
        Forgery("alg missing", .header("alg")) { try Forge.header("alg", nil) },
        Forgery("alg a number", .header("alg")) { try Forge.header("alg", 5) },
        Forgery("HS256 with the public key as its secret", .algorithm("HS256")) {
            let input =
                Digest.base64URL(try Forge.header { $0["alg"] = "HS256" }) + "." + Digest.base64URL(try Forge.payload())
            let mac = Digest.hmacSHA256(key: try Forge.key().pair.publicKey, Array(input.utf8))
            return input + "." + Digest.base64URL(mac)
        },
        Forgery("RS256", .algorithm("RS256")) { try Forge.header("alg", "RS256") },
        Forgery("ES256", .algorithm("ES256")) { try Forge.header("alg", "ES256") },
        Forgery("an unknown key", .unknownKey("other")) { try Forge.header("kid", "other") },
        Forgery("no key named", .header("kid")) { try Forge.header("kid", nil) },
        Forgery("a path as key name", .unknownKey("../../etc/passwd")) { try Forge.header("kid", "../../etc/passwd") },
        Forgery("somebody else's key under our name", .signature) {
            try SigningKey.generate().sign(header: Forge.header(), payload: Forge.payload())
        },
        Forgery("a key brought along", .header("jwk")) { try Forge.header("jwk", SigningKey.generate().jwk) },
        Forgery("a key set's address", .header("jku")) { try Forge.header("jku", "https://evil.example/jwks.json") },
        Forgery("a certificate's address", .header("x5u")) { try Forge.header("x5u", "https://evil.example/a.pem") },
        Forgery("a certificate", .header("x5c")) { try Forge.header("x5c", ["AAAA"]) },
        Forgery("crit", .header("crit")) { try Forge.header("crit", ["exp"]) },
        Forgery("b64 false", .header("b64")) { try Forge.header("b64", false) },
        Forgery("a compressed payload", .header("zip")) { try Forge.header("zip", "DEF") },
        Forgery("another type", .header("typ")) { try Forge.header("typ", "dpop+jwt") },
        Forgery("no type", .header("typ")) { try Forge.header("typ", nil) },
        Forgery("a header that is no object", .malformed("a part is no object")) {
            try Forge.key().sign(header: Array("[]".utf8), payload: Forge.payload())
        },
        Forgery("a header that is no JSON", nil) {
            try Forge.key().sign(header: Array("alg=none".utf8), payload: Forge.payload())
        },
        Forgery("two algorithms", nil) {
            let header = Array(#"{"alg":"none","alg":"EdDSA","kid":"\#(try Forge.key().kid)","typ":"JWT"}"#.utf8)
            return try Forge.key().sign(header: header, payload: Forge.payload())
        },
        Forgery("two subjects", nil) {
            var payload = String(decoding: try Forge.payload(), as: UTF8.self)
            payload.insert(contentsOf: "\"sub\":\"\(UserID().text)\",", at: payload.index(after: payload.startIndex))
            return try Forge.key().sign(header: Forge.header(), payload: Array(payload.utf8))
        },
        Forgery("one workspace twice", .claim("ws")) {
            let id = WorkspaceID(high: 0xAB, low: 0xCD).text
            return try Forge.claim(
                "ws",
                [id: "viewer", id.uppercased(): "owner"].reduce(into: JSON.object([:])) { json, pair in
                    var object = json.object ?? [:]
                    object[pair.key] = .string(pair.value)
                    json = .object(object)
                })
        },
        Forgery("a changed payload", .signature) {
            try Forge.parts { $0[1] = Digest.base64URL(try Forge.payload { $0["role"] = "admin" }) }
        },
        Forgery("a changed header", .signature) {
            try Forge.parts { $0[0] = Digest.base64URL(try Forge.header() + [0x20]) }
        },
        Forgery("a signature of zeros", .signature) {
            try Forge.parts { $0[2] = Digest.base64URL([UInt8](repeating: 0, count: 64)) }
        },
        Forgery("half a signature", .signature) {
            try Forge.parts { $0[2] = String($0[2].prefix(43)).dropLast() + "A" }
        },
        Forgery("S beyond the group's order", .signature) {
            // RFC 8032 §5.1.7: S + L verifies in careless implementations.
            try Forge.parts { parts in
                var signature = try #require(Digest.decodeBase64URL(parts[2]))
                let order: [UInt8] = [
                    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0,
                    0,
                    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
                ]
                var carry = 0
                for index in 0..<32 {
                    let sum = Int(signature[32 + index]) + Int(order[index]) + carry
                    signature[32 + index] = UInt8(sum & 255)
                    carry = sum >> 8
                }
                parts[2] = Digest.base64URL(signature)
            }
        },
        Forgery("a payload that is no object", .malformed("a part is no object")) {
            try Forge.key().sign(header: Forge.header(), payload: Array("\"sub\"".utf8))
        },
        Forgery("a refresh token", .use("refresh")) { try Forge.claim("use", "refresh") },
        Forgery("no use", .claim("use")) { try Forge.claim("use", nil) },
        Forgery("another issuer", .issuer("https://evil.example")) { try Forge.claim("iss", "https://evil.example") },
        Forgery("no issuer", .claim("iss")) { try Forge.claim("iss", nil) },
        Forgery("another audience", .audience("billing")) { try Forge.claim("aud", "billing") },
        Forgery("two audiences", .claim("aud")) { try Forge.claim("aud", ["aud", "billing"]) },
        Forgery("no audience", .claim("aud")) { try Forge.claim("aud", nil) },
        Forgery("expired", .expired(Instant(seconds: 1_799_999_970))) {
            try Forge.key().sign(
                header: Forge.header(),
                payload: Forge.payload {
                    $0["iat"] = 1_799_999_000
                    $0["exp"] = 1_799_999_970
                })
        },
        Forgery("no expiry", .claim("exp")) { try Forge.claim("exp", nil) },
        Forgery("an expiry in words", .claim("exp")) { try Forge.claim("exp", "1900000000") },
        Forgery("an expiry beyond all years", .claim("exp")) { try Forge.claim("exp", 1e300) },
        Forgery("an expiry before its issue", .claim("exp")) { try Forge.claim("exp", 1_799_999_999) },
        Forgery("issued in the future", .notYetValid(Instant(seconds: 1_800_000_031))) {
            try Forge.claim("iat", 1_800_000_031)
        },
        Forgery("never issued", .claim("iat")) { try Forge.claim("iat", nil) },
        Forgery("not yet valid", .notYetValid(Instant(seconds: 1_800_000_031))) {
            try Forge.claim("nbf", 1_800_000_031)
        },
        Forgery("not valid before never", .claim("nbf")) { try Forge.claim("nbf", "soon") },
        Forgery("no subject", .claim("sub")) { try Forge.claim("sub", nil) },
        Forgery("a subject that is no id", .claim("sub")) { try Forge.claim("sub", "admin") },
        Forgery("an invented role", .claim("role")) { try Forge.claim("role", "root") },
        Forgery("staff in words", .claim("staff")) { try Forge.claim("staff", "true") },
        Forgery("a session that is no id", .claim("sid")) { try Forge.claim("sid", 5) },
        Forgery("a workspace role nobody has", .claim("ws")) {
            try Forge.claim(
                "ws", .object([(WorkspaceID().text, "emperor")].reduce(into: [:]) { $0[$1.0] = .string($1.1) }))
        },
        Forgery("workspaces as a list", .claim("ws")) { try Forge.claim("ws", []) },
        Forgery("no token id", .claim("jti")) { try Forge.claim("jti", nil) },
        Forgery("scopes in words", .claim("scopes")) { try Forge.claim("scopes", "all") },
        Forgery("two keys named", nil) {
            let kid = try Forge.key().kid
            let header = Array(#"{"alg":"EdDSA","kid":"other","kid":"\#(kid)","typ":"JWT"}"#.utf8)
            return try Forge.key().sign(header: header, payload: Forge.payload())
        },
        Forgery("the same name spelled with an escape", nil) {
            let kid = try Forge.key().kid
            let header = Array(#"{"alg":"EdDSA","kid":"\#(kid)","typ":"JWT","\u006bid":"\#(kid)"}"#.utf8)
            return try Forge.key().sign(header: header, payload: Forge.payload())
        },
        Forgery("keys named as a list", .header("kid")) { try Forge.header("kid", [.string(try Forge.key().kid)]) },
        Forgery("a key's name with a NUL behind", nil) {
            try Forge.header("kid", .string(try Forge.key().kid + "\u{0}"))
        },
        Forgery("a key's name in other letters", nil) {
            try Forge.header("kid", .string(try Forge.key().kid.uppercased()))
        },
        Forgery("an algorithm that only looks like ours", .algorithm("EdDS\u{410}")) {
            try Forge.header("alg", "EdDS\u{410}")
        },
        Forgery("algorithms as a list", .header("alg")) { try Forge.header("alg", ["EdDSA"]) },
        Forgery("Ed25519 under its newer name", .algorithm("Ed25519")) { try Forge.header("alg", "Ed25519") },
        Forgery("a certificate's fingerprint", .header("x5t#S256")) { try Forge.header("x5t#S256", "AAAA") },
        Forgery("encrypted", .malformed("a token has three parts")) {
            try Forge.header("alg", "dir") + ".AA.AA"
        },
        Forgery("a signature with a byte more", .signature) {
            try Forge.parts { $0[2] = Digest.base64URL(try #require(Digest.decodeBase64URL($0[2])) + [0]) }
        },
        Forgery("standard base64", nil) {
            // A claim whose text needs the two letters that differ.
            let token = try Forge.claim("pad", "\u{3E}\u{3F}\u{3E}\u{3F}\u{FF}\u{FE}\u{3F}\u{3F}\u{3E}")
            let other = token.replacing("-", with: "+").replacing("_", with: "/")
            return other == token ? token + "/" : other
        },
        Forgery("letters outside ASCII", nil) { try Forge.parts { $0[1] = "\u{FF41}" + $0[1].dropFirst() } },
        Forgery("a line end behind", nil) { try Forge.key().sign(Forge.claims) + "\n" },
        Forgery("another token's payload", .signature) {
            let other = try Forge.claim("role", "admin").split(separator: ".")[1]
            return try Forge.parts { $0[1] = String(other) }
        },
        Forgery("issuers as a list", .claim("iss")) { try Forge.claim("iss", ["iss"]) },
        Forgery("an issuer with a slash more", .issuer("iss/")) { try Forge.claim("iss", "iss/") },
        Forgery("an audience in other letters", .audience("AUD")) { try Forge.claim("aud", "AUD") },
        Forgery("an expiry before all years", .claim("exp")) { try Forge.claim("exp", -1) },
        Forgery("an expiry that is true", .claim("exp")) { try Forge.claim("exp", true) },
        Forgery("use in other letters", .use("Access")) { try Forge.claim("use", "Access") },
        Forgery("a socket's ticket", .use("ticket")) { try Forge.claim("use", "ticket") },
        Forgery("a key that is no id", .claim("key")) { try Forge.claim("key", "sk_anything") },
        Forgery("subjects as a list", .claim("sub")) { try Forge.claim("sub", [.string(Forge.user.text)]) },
        Forgery("white space inside the payload's coding", .malformed("a part is not base64url")) {
            try Forge.parts { $0[1].insert("\n", at: $0[1].index($0[1].startIndex, offsetBy: 8)) }
        },
        Forgery("deep nesting", nil) {
            try Forge.claim("x", try JSON.parse(String(repeating: "[", count: 30) + String(repeating: "]", count: 30)))
        },
    ]
}

@Suite struct `Tokens` {
    @Test func `what was signed is what is read`() throws {
        let token = try Forge.key().sign(Forge.claims)
        #expect(try Forge.verify(token) == Forge.claims)
        let principal = Forge.claims.principal
        #expect(principal.user == Forge.user)
        #expect(principal.role(in: Forge.workspace) == .manager)
        #expect(principal.allows("calls") && !principal.allows("users"))
        #expect(principal.expires == Forge.now + .seconds(900))
        #expect(token.utf8.count < 1024)
    }

    @Test(arguments: Forgery.all)
    func `a forged token is refused`(_ forgery: Forgery) throws {
        let token = try forgery.make()
        let error = #expect(throws: TokenError.self) { try Forge.verify(token) }
        if let refusal = forgery.refusal { #expect(error == refusal) }
    }

    @Test func `the table of forgeries is a table of forgeries`() throws {
        #expect(Forgery.all.count >= 85)
        // Each of the table's tools makes a good token when it changes nothing.
        _ = try Forge.verify(try Forge.header("typ", "JWT"))
        _ = try Forge.verify(try Forge.claim("role", "user"))
        _ = try Forge.verify(try Forge.parts { _ in })
        _ = try Forge.verify(try Forge.claim("aud", ["aud"]))
        _ = try Forge.verify(try Forge.claim("added_later", "x"))
        _ = try Forge.verify(try Forge.claim("nbf", 1_800_000_030))
        _ = try Forge.verify(try Forge.claim("iat", 1_800_000_030))
        _ = try Forge.verify(try Forge.claim("exp", 1_800_000_900.5))
    }

    @Test(arguments: [(0, true), (900, true), (929, true), (930, false), (-30, true), (-31, false)])
    func `clocks may differ by half a minute`(_ seconds: Int64, _ counts: Bool) throws {
        let token = try Forge.key().sign(Forge.claims)
        let verified = try? Forge.verify(token, at: Forge.now + .seconds(seconds))
        #expect((verified != nil) == counts)
    }

    @Test func `every single changed character is noticed`() throws {
        let token = Array(try Forge.key().sign(Forge.claims).utf8)
        for index in token.indices {
            var changed = token
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(throws: TokenError.self) { try Forge.verify(String(decoding: changed, as: UTF8.self)) }
        }
    }

    @Test func `a forgery's description holds nothing of the token`() throws {
        for forgery in Forgery.all {
            let token = try forgery.make()
            guard let error = (#expect(throws: TokenError.self) { try Forge.verify(token) }) else { continue }
            let last = token.split(separator: ".").last ?? ""
            #expect(last.isEmpty || !error.description.contains(last))
        }
    }
}
