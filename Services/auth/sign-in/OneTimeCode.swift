import Shared

/// Time-based one-time passwords (RFC 6238) as telephones make them: SHA-1, six digits, thirty seconds.
enum OneTimeCode {
    static let period: Int64 = 30
    static let digits = 6
    /// Codes of the steps before and after count as well: telephones' clocks are a little off.
    static let stepsOff: Int64 = 1

    static func step(at now: Instant) -> Int64 { now.seconds / period }

    /// The code of one step.
    static func code(secret: [UInt8], step: Int64) -> String {
        let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> (56 - 8 * Int64($0))) }
        let mac = Digest.hmacSHA1(key: secret, counter)
        // RFC 4226 §5.3: the last nibble says where to read 31 bits.
        let at = Int(mac[19] & 15)
        let number = mac[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        let text = String(number % 1_000_000)
        return String(repeating: "0", count: digits - text.count) + text
    }

    /// The step whose code this is; nil when it is none near `now`, or one that counted before.
    static func step(of code: String, secret: [UInt8], after last: Int64, now: Instant) -> Int64? {
        let given = Array(code.utf8.filter { $0 != 0x20 })
        let middle = step(at: now)
        var found: Int64?
        // All are compared, whichever matches: the time says nothing.
        for candidate in (middle - stepsOff)...(middle + stepsOff) {
            let matches = Digest.constantTimeEquals(Array(self.code(secret: secret, step: candidate).utf8), given)
            if matches, candidate > last { found = candidate }
        }
        return found
    }

    /// What a telephone reads as a QR code: https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    static func uri(secret: [UInt8], account: String, issuer: String) -> String {
        let label = "\(escaped(issuer)):\(escaped(account))"
        return "otpauth://totp/\(label)?secret=\(Digest.base32(secret))&issuer=\(escaped(issuer))"
            + "&algorithm=SHA1&digits=\(digits)&period=\(period)"
    }

    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || byte == 0x2D || byte == 0x2E
            let hex = String(byte, radix: 16, uppercase: true)
            return isPlain ? String(Unicode.Scalar(byte)) : "%" + (hex.count < 2 ? "0" + hex : hex)
        }.joined()
    }
}

/// Codes for whoever lost the telephone: sixteen letters of base32 (80 bits), each good once.
enum RecoveryCode {
    static let count = 10

    static func make() -> String {
        let text = Digest.base32(Digest.randomBytes(10)).lowercased()
        return stride(from: 0, to: 16, by: 4).map { String(text.dropFirst($0).prefix(4)) }.joined(separator: "-")
    }

    /// However it was typed.
    static func digest(_ code: String, of user: UserID) -> [UInt8] {
        let plain = code.lowercased().filter { $0.isLetter || $0.isNumber }
        return Digest.sha256("\(user.text) \(plain)")
    }
}
