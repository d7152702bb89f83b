/// Signatures of incoming webhooks, one scheme per provider.
public enum WebhookSignature {}

extension WebhookSignature {
    /// The hash under a Twilio signature: SHA-1 with the account's token, SHA-256 when the webhook is signed with a
    /// shared key.
    public enum TwilioAlgorithm: String, Sendable {
        case sha1 = "HMAC_SHA1"
        case sha256 = "HMAC_SHA256"

        /// - Parameter settings: the header `X-Twilio-Webhooks-Signature-Settings`, such as
        ///   `key=webhooks_sharedkey_1,algorithm=HMAC_SHA256`; nil and a missing algorithm mean SHA-1.
        public init?(settings: String?) {
            for part in (settings ?? "").split(separator: ",") {
                let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmingWhitespace() }
                guard pair.count == 2, pair[0] == "algorithm" else { continue }
                self.init(rawValue: pair[1].uppercased())
                return
            }
            self = .sha1
        }
    }

    /// What Twilio sends as `X-Twilio-Signature`: base64 of the HMAC over the URL and every name and value of the form,
    /// by name, a repeated pair once (as PyPI's `twilio` `RequestValidator` does it).
    /// - Parameters:
    ///   - url: exactly as Twilio called it, query included.
    ///   - form: the decoded POST fields; none for GET and JSON.
    public static func twilio(
        url: String, form: [(String, String)] = [], token: String, algorithm: TwilioAlgorithm = .sha1
    ) -> String {
        var message = Array(url.utf8)
        // By octets: `String.<` follows another order.
        let pairs = form.map { Pair(name: Array($0.0.utf8), value: Array($0.1.utf8)) }.sorted()
        for (index, pair) in pairs.enumerated() where index == 0 || pair != pairs[index - 1] {
            message += pair.name
            message += pair.value
        }
        let key = Array(token.utf8)
        return Digest.base64(
            algorithm == .sha1 ? Digest.hmacSHA1(key: key, message) : Digest.hmacSHA256(key: key, message))
    }

    /// Whether a form post (or a GET, or a WebSocket handshake, with no form) carries Twilio's signature.
    /// - Parameter urls: every address it may have been called by; each is tried with and without its port, because
    ///   Twilio itself is not consistent about it.
    public static func twilioMatches(
        _ header: String, urls: [String], form: [(String, String)] = [], token: String,
        algorithm: TwilioAlgorithm = .sha1
    ) -> Bool {
        guard !token.isEmpty else { return false }
        var matches = false
        // No early way out: how long it takes says nothing about which address it was.
        for url in urls.flatMap(spellings) {
            let expected = twilio(url: url, form: form, token: token, algorithm: algorithm)
            if Digest.constantTimeEquals(expected, header) { matches = true }
        }
        return matches
    }

    /// Whether a post that is no form carries Twilio's signature: over the URL alone, whose `bodySHA256` vouches for
    /// the raw body.
    public static func twilioMatches(
        _ header: String, urls: [String], body: [UInt8], token: String, algorithm: TwilioAlgorithm = .sha1
    ) -> Bool {
        let hash = Digest.hex(Digest.sha256(body))
        let vouching = urls.filter { url in
            bodyHash(of: url).map { Digest.constantTimeEquals($0.lowercased(), hash) } ?? false
        }
        return twilioMatches(header, urls: vouching, token: token, algorithm: algorithm)
    }

    /// The query parameter `bodySHA256`.
    private static func bodyHash(of url: String) -> String? {
        guard let mark = url.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        let query = url[url.utf8.index(after: mark)...].prefix { $0 != "#" }
        for pair in query.split(separator: "&") where pair.hasPrefix("bodySHA256=") {
            return String(pair.dropFirst("bodySHA256=".count))
        }
        return nil
    }

    /// The address as it is, without its port, and with one.
    static func spellings(_ url: String) -> [String] {
        guard let mark = url.range(of: "://") else { return [url] }
        let scheme = url[..<mark.lowerBound].lowercased()
        let authority = url[mark.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let rest = url[authority.endIndex...]
        // A port is what follows the last colon outside an IPv6 literal's brackets.
        let bracket = authority.lastIndex(of: "]") ?? authority.startIndex
        let start = url[..<mark.upperBound]
        if let colon = authority[bracket...].lastIndex(of: ":") {
            return [url, "\(start)\(authority[..<colon])\(rest)"]
        }
        let port = scheme == "https" || scheme == "wss" ? 443 : 80
        return [url, "\(start)\(authority):\(port)\(rest)"]
    }

    private struct Pair: Comparable {
        let name: [UInt8]
        let value: [UInt8]

        static func < (a: Pair, b: Pair) -> Bool {
            a.name == b.name
                ? a.value.lexicographicallyPrecedes(b.value) : a.name.lexicographicallyPrecedes(b.name)
        }
    }
}

extension String {
    /// The first place where the text stands, by octets.
    func range(of text: String) -> Range<Index>? {
        let needle = text.utf8
        var at = utf8.startIndex
        while at < utf8.endIndex {
            if utf8[at...].starts(with: needle) { return at..<utf8.index(at, offsetBy: needle.count) }
            at = utf8.index(after: at)
        }
        return nil
    }
}
