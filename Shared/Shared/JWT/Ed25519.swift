import COpenSSL

/// An Ed25519 key of OpenSSL's (RFC 8032).
///
/// `@unchecked Sendable`: the key is never changed after it was made, and OpenSSL 3 allows any number of threads to
/// sign and verify with one key as long as each has a context of its own; every call here makes one.
final class Ed25519: @unchecked Sendable {
    static let keyLength = 32
    static let signatureLength = 64

    private let key: OpaquePointer
    /// The 32 public bytes.
    let publicKey: [UInt8]

    private init?(_ key: OpaquePointer?) {
        guard let key else { return nil }
        var bytes = [UInt8](repeating: 0, count: Ed25519.keyLength)
        var length = bytes.count
        guard EVP_PKEY_get_raw_public_key(key, &bytes, &length) == 1, length == Ed25519.keyLength else {
            EVP_PKEY_free(key)
            return nil
        }
        self.key = key
        publicKey = bytes
    }

    /// - Parameter seed: the 32 secret bytes; nil for any other length.
    convenience init?(seed: [UInt8]) {
        guard seed.count == Ed25519.keyLength else { return nil }
        self.init(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count))
    }

    convenience init?(publicKey: [UInt8]) {
        guard publicKey.count == Ed25519.keyLength else { return nil }
        self.init(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, publicKey, publicKey.count))
    }

    deinit { EVP_PKEY_free(key) }

    /// nil only when the key has no secret half.
    func sign(_ message: [UInt8]) -> [UInt8]? {
        guard let context = EVP_MD_CTX_new() else { return nil }
        defer { EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: Ed25519.signatureLength)
        var length = signature.count
        guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
            EVP_DigestSign(context, &signature, &length, message, message.count) == 1
        else { return nil }
        return signature
    }

    func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard signature.count == Ed25519.signatureLength, let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        let matches =
            EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
        // A refusal leaves its reason in this thread's queue, where the next TLS read would find it.
        if !matches { ERR_clear_error() }
        return matches
    }
}
