extension WebhookSignature {
    /// Why a webhook is not Stripe's.
    public enum StripeRefusal: Error, Hashable, Sendable {
        /// No `t`, more than one, or one that is no number.
        case noTimestamp
        /// No `v1`; other schemes are not accepted.
        case noSignature
        case noMatch
        /// Signed too long ago, or in the future.
        case stale(seconds: Int64)
    }

    /// `Stripe-Signature` for a payload: `t=…,v1=…`, hex HMAC-SHA-256 over `t.payload`.
    public static func stripe(_ payload: [UInt8], secret: String, at time: Instant) -> String {
        "t=\(time.seconds),v1=\(Digest.hex(stripeMAC(payload, secret, time.seconds)))"
    }

    /// Checks a webhook before anything is parsed.
    /// - Parameters:
    ///   - payload: the raw body.
    ///   - header: `Stripe-Signature`; any of its v1 signatures will do, so that a secret can be rolled.
    ///   - tolerance: how old, or how far ahead, its timestamp may be.
    public static func verifyStripe(
        _ payload: [UInt8], header: String, secret: String, now: Instant = .now(),
        tolerance: Duration = .seconds(300)
    ) throws(StripeRefusal) {
        var times: [Int64?] = []
        var signatures: [String] = []
        for item in header.split(separator: ",") {
            let pair = item.split(separator: "=", maxSplits: 1).map { $0.trimmingWhitespace() }
            guard pair.count == 2 else { continue }
            if pair[0] == "t" { times.append(Int64(pair[1])) }
            if pair[0] == "v1" { signatures.append(pair[1]) }
        }
        guard times.count == 1, let time = times[0], time >= 0 else { throw .noTimestamp }
        guard !signatures.isEmpty else { throw .noSignature }
        let expected = Digest.hex(stripeMAC(payload, secret, time))
        var matches = false
        for signature in signatures where Digest.constantTimeEquals(signature, expected) { matches = true }
        guard matches, !secret.isEmpty else { throw .noMatch }
        let age = now - Instant(seconds: time)
        guard age <= tolerance, age >= .zero - tolerance else { throw .stale(seconds: age.components.seconds) }
    }

    private static func stripeMAC(_ payload: [UInt8], _ secret: String, _ time: Int64) -> [UInt8] {
        Digest.hmacSHA256(key: Array(secret.utf8), Array("\(time).".utf8) + payload)
    }
}
