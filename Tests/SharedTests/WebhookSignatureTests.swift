import Testing

@testable import Shared

/// The constants were computed with PyPI's `twilio` 9.13.0 (`RequestValidator`).
@Suite struct `Twilio signatures` {
    static let url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    static let form = [
        ("To", "+18005551212"), ("CallSid", "CA1234567890ABCDE"), ("Caller", "+14158675310"), ("Digits", "1234"),
        ("From", "+14158675310"),
    ]
    static let body = Array(#"{"a":1,"ä":"€"}"#.utf8)
    static let bodyURL =
        "https://example.com/hook?x=1&bodySHA256=3523a2c2c8ebec83fbd06890e05b6ddd5147c85abbf8df58ab2e8daf05b3aed8"
    let token = "12345"

    @Test func `a form post is signed as Twilio's own library signs it`() {
        #expect(WebhookSignature.twilio(url: Self.url, form: Self.form, token: token) == "GvWf1cFY/Q7PnoempGyD5oXAezc=")
        #expect(
            WebhookSignature.twilio(url: Self.url, form: Self.form, token: token, algorithm: .sha256)
                == "/Px0ZZziCxf9Zt7wehmYS+fbCh+oLQi2VrfCqcV1vPM=")
        #expect(WebhookSignature.twilio(url: "https://example.com/", token: token) == "TXuZJhjWZUJzE+PO8qGu+QD2va0=")
    }

    @Test func `names are sorted by code point and repeated pairs count once`() {
        let mixed = [
            ("a", "x y"), ("😀", "3"), ("Z", ""), ("ä", "1"), ("\u{FFFF}", "2"), ("Body", "Grüße 😀"),
        ]
        #expect(
            WebhookSignature.twilio(url: "https://example.com/voice", form: mixed, token: token)
                == "HB3FW8Y51cEahOJqjgLI41a7dWA=")
        let repeated = [("X", "1"), ("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b")]
        #expect(
            WebhookSignature.twilio(url: "https://example.com/voice", form: repeated, token: token)
                == "Ci9oJ9WZGnguX3wOi6wtFOStZEk=")
    }

    @Test(arguments: [
        ("GvWf1cFY/Q7PnoempGyD5oXAezc=", "https://mycompany.com/myapp.php?foo=1&bar=2"),
        ("GvWf1cFY/Q7PnoempGyD5oXAezc=", "https://mycompany.com:443/myapp.php?foo=1&bar=2"),
        ("GvWf1cFY/Q7PnoempGyD5oXAezc=", "https://mycompany.com:8443/myapp.php?foo=1&bar=2"),
        ("5s2PFy0qmPcZucb4eH4b08ZJtL0=", "https://mycompany.com/myapp.php?foo=1&bar=2"),
        ("5s2PFy0qmPcZucb4eH4b08ZJtL0=", "https://mycompany.com:443/myapp.php?foo=1&bar=2"),
        ("djd+POglWZq2dR4ht9qN5K6zzCI=", "https://mycompany.com:8443/myapp.php?foo=1&bar=2"),
    ])
    func `the URL is tried with and without its port`(_ header: String, _ url: String) {
        #expect(WebhookSignature.twilioMatches(header, urls: [url], form: Self.form, token: token))
    }

    @Test func `the second of several addresses will do`() {
        let urls = ["https://internal.example/x", Self.url]
        #expect(
            WebhookSignature.twilioMatches("GvWf1cFY/Q7PnoempGyD5oXAezc=", urls: urls, form: Self.form, token: token))
        #expect(
            !WebhookSignature.twilioMatches("GvWf1cFY/Q7PnoempGyD5oXAezc=", urls: [], form: Self.form, token: token))
    }

    @Test func `a relay socket's handshake is signed over its exact address`() {
        for header in ["soJSyS6YXkYFwtURAf/xf5gX2t4=", "DyGnUMZowZtcucUq8WM663N6i40="] {
            #expect(
                WebhookSignature.twilioMatches(header, urls: ["wss://example.com/ws/relay/abc"], token: token))
            #expect(
                !WebhookSignature.twilioMatches(header, urls: ["wss://example.com/ws/relay/abd"], token: token))
        }
    }

    @Test func `a JSON body is vouched for by the hash in the URL`() {
        let header = "PQ2XgRJap00uZIv0u64I0Eny8FE="
        #expect(WebhookSignature.twilioMatches(header, urls: [Self.bodyURL], body: Self.body, token: token))
        #expect(!WebhookSignature.twilioMatches(header, urls: [Self.bodyURL], body: Self.body + [0x20], token: token))
        #expect(!WebhookSignature.twilioMatches(header, urls: [Self.bodyURL], body: [], token: token))
        // Without the hash the URL's signature would vouch for any body at all.
        let bare = "https://example.com/hook?x=1"
        let signed = WebhookSignature.twilio(url: bare, token: token)
        #expect(!WebhookSignature.twilioMatches(signed, urls: [bare], body: Self.body, token: token))
    }

    @Test(arguments: [
        "", "GvWf1cFY/Q7PnoempGyD5oXAezc", "gvWf1cFY/Q7PnoempGyD5oXAezc=", "GvWf1cFY/Q7PnoempGyD5oXAezc= ",
        "5s2PFy0qmPcZucb4eH4b08ZJtL1=", "/Px0ZZziCxf9Zt7wehmYS+fbCh+oLQi2VrfCqcV1vPM=",
    ])
    func `any other signature is refused`(_ header: String) {
        #expect(!WebhookSignature.twilioMatches(header, urls: [Self.url], form: Self.form, token: token))
    }

    @Test func `a changed field, a missing one, another token or none is refused`() {
        let header = "GvWf1cFY/Q7PnoempGyD5oXAezc="
        var changed = Self.form
        changed[0].1 = "+18005551213"
        #expect(!WebhookSignature.twilioMatches(header, urls: [Self.url], form: changed, token: token))
        #expect(
            !WebhookSignature.twilioMatches(header, urls: [Self.url], form: Array(Self.form.dropLast()), token: token))
        #expect(!WebhookSignature.twilioMatches(header, urls: [Self.url], form: Self.form, token: "12346"))
        let unsigned = WebhookSignature.twilio(url: Self.url, form: Self.form, token: "")
        #expect(!WebhookSignature.twilioMatches(unsigned, urls: [Self.url], form: Self.form, token: ""))
    }

    @Test(arguments: [
        ("http://a.example/x", "http://a.example:80/x"), ("https://a.example", "https://a.example:443"),
        ("https://a.example:8000?q=1:2", "https://a.example?q=1:2"), ("wss://[::1]/x", "wss://[::1]:443/x"),
        ("wss://[::1]:9/x", "wss://[::1]/x"), ("nonsense", "nonsense"),
    ])
    func `a port is added or taken away`(_ url: String, _ other: String) {
        #expect(WebhookSignature.spellings(url).last == other)
        #expect(WebhookSignature.spellings(url).first == url)
    }

    @Test func `the settings header names the algorithm`() {
        #expect(WebhookSignature.TwilioAlgorithm(settings: nil) == .sha1)
        #expect(WebhookSignature.TwilioAlgorithm(settings: "") == .sha1)
        #expect(WebhookSignature.TwilioAlgorithm(settings: "key=k1") == .sha1)
        #expect(WebhookSignature.TwilioAlgorithm(settings: "key=k1, algorithm=hmac_sha256") == .sha256)
        #expect(WebhookSignature.TwilioAlgorithm(settings: "key=k1,algorithm=HMAC_MD5") == nil)
    }
}

/// The constants were computed with PyPI's `stripe` 16.1.0 (`WebhookSignature`).
@Suite struct `Stripe signatures` {
    static let payload = Array(#"{"id":"evt_1","object":"event","ü":1}"#.utf8)
    static let secret = "whsec_test_secret"
    static let good = "0dce8aa7c36661782d121d263083ca1c26d3a2326f7313970bd98fa309a744ab"
    static let others = "da5603888704f5ceccdac3eaad4db0978ceb8bcfbe088f1e81b2577d8e9911a4"
    static let signedAt = Instant(seconds: 1_763_700_000)

    private func verify(_ header: String, after seconds: Int64 = 0) throws(WebhookSignature.StripeRefusal) {
        try WebhookSignature.verifyStripe(
            Self.payload, header: header, secret: Self.secret, now: Self.signedAt + .seconds(seconds))
    }

    @Test func `a header is written as Stripe's own library writes it`() {
        #expect(
            WebhookSignature.stripe(Self.payload, secret: Self.secret, at: Self.signedAt)
                == "t=1763700000,v1=\(Self.good)")
    }

    @Test(arguments: [
        "t=1763700000,v1=\(good)", "t=1763700000,v1=\(others),v1=\(good)", "v1=\(good),t=1763700000",
        "t=1763700000, v1=\(good), v0=\(others)", "t=1763700000,junk,v1=\(good),x=y=z",
    ])
    func `any matching v1 is accepted`(_ header: String) throws {
        try verify(header)
    }

    @Test(
        arguments: [
            ("", .noTimestamp), ("v1=\(good)", .noTimestamp), ("t=,v1=\(good)", .noTimestamp),
            ("t=abc,v1=\(good)", .noTimestamp), ("t=-5,v1=\(good)", .noTimestamp),
            ("t=1763700000,t=1763700001,v1=\(good)", .noTimestamp), ("t=1763700000", .noSignature),
            ("t=1763700000,v0=\(good)", .noSignature), ("t=1763700000,v1=", .noSignature),
            ("t=1763700000,v1=\(others)", .noMatch), ("t=1763700001,v1=\(good)", .noMatch),
            ("t=1763700000,v1=\(good.uppercased())", .noMatch), ("t=1763700000,v1=\(good)0", .noMatch),
        ] as [(String, WebhookSignature.StripeRefusal)])
    func `everything else is refused`(_ header: String, _ refusal: WebhookSignature.StripeRefusal) {
        #expect(throws: refusal) { try verify(header) }
    }

    @Test(arguments: [0, 300, -300, 299])
    func `a timestamp within five minutes counts`(_ seconds: Int64) throws {
        try verify("t=1763700000,v1=\(Self.good)", after: seconds)
    }

    @Test(arguments: [301, -301, 1_000_000])
    func `an older one does not, and neither does one from the future`(_ seconds: Int64) {
        #expect(throws: WebhookSignature.StripeRefusal.stale(seconds: seconds)) {
            try verify("t=1763700000,v1=\(Self.good)", after: seconds)
        }
    }

    @Test func `an empty secret verifies nothing`() {
        let header = WebhookSignature.stripe(Self.payload, secret: "", at: Self.signedAt)
        #expect(throws: WebhookSignature.StripeRefusal.noMatch) {
            try WebhookSignature.verifyStripe(Self.payload, header: header, secret: "", now: Self.signedAt)
        }
    }
}
