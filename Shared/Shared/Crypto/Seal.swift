import COpenSSL

/// Secrets at rest and in links: AES-256-GCM under a key derived from the setting `SECRET_KEY`. What comes back was
/// sealed by somebody with that key and not changed since.
///
/// Layout: 12 bytes of nonce, the ciphertext, 16 bytes of tag (NIST SP 800-38D).
public struct Seal: Sendable {
    private let key: [UInt8]

    /// - Parameter purpose: seals made for one purpose do not open for another.
    public init(secret: String, purpose: StaticString) {
        key = Digest.hmacSHA256(key: Array(secret.utf8), Array("switchboard seal: \(purpose)".utf8))
    }

    public func seal(_ plain: [UInt8]) -> [UInt8] {
        let nonce = Digest.randomBytes(Self.nonceCount)
        var sealed = nonce + plain + [UInt8](repeating: 0, count: Self.tagCount)
        guard let context = EVP_CIPHER_CTX_new() else { return [] }
        defer { EVP_CIPHER_CTX_free(context) }
        var written: Int32 = 0
        sealed.withUnsafeMutableBufferPointer { out in
            guard let base = out.baseAddress else { return }
            let body = base + Self.nonceCount
            let tag = body + plain.count
            EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nil, key, nonce)
            EVP_EncryptUpdate(context, body, &written, plain, Int32(plain.count))
            EVP_EncryptFinal_ex(context, body + Int(written), &written)
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, Int32(Self.tagCount), tag)
        }
        return sealed
    }

    /// The sealed bytes; nil when they were sealed with another key or purpose, or changed.
    public func open(_ sealed: [UInt8]) -> [UInt8]? {
        guard sealed.count >= Self.nonceCount + Self.tagCount, let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        let nonce = Array(sealed.prefix(Self.nonceCount))
        let body = Array(sealed[Self.nonceCount..<(sealed.count - Self.tagCount)])
        var tag = Array(sealed.suffix(Self.tagCount))
        var plain = [UInt8](repeating: 0, count: body.count + Self.tagCount)
        var written: Int32 = 0
        var rest: Int32 = 0
        guard EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nil, key, nonce) == 1,
            EVP_DecryptUpdate(context, &plain, &written, body, Int32(body.count)) == 1,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, Int32(Self.tagCount), &tag) == 1,
            EVP_DecryptFinal_ex(context, &plain, &rest) == 1
        else { return nil }
        return Array(plain.prefix(Int(written)))
    }

    private static let nonceCount = 12
    private static let tagCount = 16
}
