import COpenSSL

/// Hashes, message authentication, random bytes and the texts they travel as.
public enum Digest {
    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 32
        let done = EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha256(), nil)
        precondition(done == 1, "OpenSSL has no SHA-256")
        return digest
    }

    public static func sha256(_ text: String) -> [UInt8] { sha256(Array(text.utf8)) }

    /// Broken as a signature, but what lists of leaked passwords are made of.
    public static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        var length: UInt32 = 20
        let done = EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha1(), nil)
        precondition(done == 1, "OpenSSL has no SHA-1")
        return digest
    }

    public static func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        hmac(EVP_sha256(), 32, key, message)
    }

    /// For what others defined with it: Twilio's signatures and one-time codes (RFC 6238).
    public static func hmacSHA1(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        hmac(EVP_sha1(), 20, key, message)
    }

    private static func hmac(
        _ algorithm: OpaquePointer?, _ size: Int, _ key: [UInt8], _ message: [UInt8]
    ) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: size)
        var length = UInt32(size)
        // An empty array has no address, and OpenSSL takes a null key for "the key of last time".
        let key = key.isEmpty ? [0] : key
        let done = HMAC(algorithm, key, Int32(key.count), message, message.count, &digest, &length)
        precondition(done != nil, "OpenSSL has no HMAC")
        return digest
    }

    /// Compares in a time that depends on the lengths only.
    public static func constantTimeEquals(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }

    public static func constantTimeEquals(_ a: String, _ b: String) -> Bool {
        constantTimeEquals(Array(a.utf8), Array(b.utf8))
    }

    /// Bytes nobody can guess.
    public static func randomBytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let done = RAND_bytes(&bytes, Int32(count))
        // Without randomness every secret would be known: better none of them is made.
        precondition(done == 1, "the operating system gives no random bytes")
        return bytes
    }

    /// A secret for a header, a link or a cookie: base64url of random bytes.
    public static func randomToken(bytes: Int = 32) -> String { base64URL(randomBytes(bytes)) }
}

// MARK: Texts

extension Digest {
    /// Lower-case hexadecimal.
    public static func hex(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: bytes.count * 2) { out in
            for (index, byte) in bytes.enumerated() {
                out[index * 2] = Hex.digit(byte >> 4)
                out[index * 2 + 1] = Hex.digit(byte & 15)
            }
            return bytes.count * 2
        }
    }

    /// Hexadecimal in either case; nil for anything else.
    public static func decodeHex(_ text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Hex.value(digits[index]), let low = Hex.value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// RFC 4648 §4, padded.
    public static func base64(_ bytes: [UInt8]) -> String {
        let text = encode(bytes, Array("+/".utf8))
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }

    /// RFC 4648 §5, without padding, as JWTs want it.
    public static func base64URL(_ bytes: [UInt8]) -> String { encode(bytes, Array("-_".utf8)) }

    /// Padded base64 without white space; nil for anything else.
    public static func decodeBase64(_ text: some StringProtocol) -> [UInt8]? {
        let bytes = Array(text.utf8)
        let padding = bytes.suffix(2).count { $0 == UInt8(ascii: "=") }
        guard bytes.count % 4 == 0 else { return nil }
        return decode(bytes.dropLast(padding), Array("+/".utf8))
    }

    /// Unpadded base64url; nil for anything else, also when the unused bits of the last character are not zero: a text
    /// has one spelling only.
    public static func decodeBase64URL(_ text: some StringProtocol) -> [UInt8]? {
        decode(Array(text.utf8)[...], Array("-_".utf8))
    }

    /// RFC 4648 §6, without padding: how a second factor's secret is typed into a telephone.
    public static func base32(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var held: UInt32 = 0
        for byte in bytes {
            bits = (bits & 31) << 8 | UInt32(byte)
            held += 8
            while held >= 5 {
                held -= 5
                text.append(letters[Int(bits >> held & 31)])
            }
        }
        if held > 0 { text.append(letters[Int(bits << (5 - held) & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func encode(_ bytes: [UInt8], _ lastTwo: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (bytes.count * 4 + 2) / 3) { out in
            var at = 0
            var bits: UInt32 = 0
            var held = 0
            for byte in bytes {
                bits = bits << 8 | UInt32(byte)
                held += 8
                while held >= 6 {
                    held -= 6
                    out[at] = letter(UInt8(bits >> UInt32(held) & 63), lastTwo)
                    at += 1
                }
            }
            if held > 0 {
                out[at] = letter(UInt8(bits << UInt32(6 - held) & 63), lastTwo)
                at += 1
            }
            return at
        }
    }

    private static func decode(_ letters: ArraySlice<UInt8>, _ lastTwo: [UInt8]) -> [UInt8]? {
        guard letters.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(letters.count * 3 / 4)
        var bits: UInt32 = 0
        var held = 0
        for letter in letters {
            guard let value = value(letter, lastTwo) else { return nil }
            bits = bits << 6 | UInt32(value)
            held += 6
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            }
        }
        guard bits & (1 << UInt32(held) - 1) == 0 else { return nil }
        return bytes
    }

    @inline(__always)
    private static func letter(_ value: UInt8, _ lastTwo: [UInt8]) -> UInt8 {
        switch value {
        case 0..<26: 0x41 + value
        case 26..<52: 0x61 + value - 26
        case 52..<62: 0x30 + value - 52
        default: lastTwo[Int(value - 62)]
        }
    }

    @inline(__always)
    private static func value(_ letter: UInt8, _ lastTwo: [UInt8]) -> UInt8? {
        switch letter {
        case 0x41...0x5A: letter - 0x41
        case 0x61...0x7A: letter - 0x61 + 26
        case 0x30...0x39: letter - 0x30 + 52
        case lastTwo[0]: 62
        case lastTwo[1]: 63
        default: nil
        }
    }
}
