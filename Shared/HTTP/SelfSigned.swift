import CTLS

extension TLS {
    /// A certificate and key (PEM) that nobody vouches for, valid for a day: for tests of the listener.
    static func selfSigned(for host: String) throws -> (certificate: String, key: String) {
        guard let key = generateKey(), let certificate = X509_new() else { throw Failure.last("key") }
        defer {
            EVP_PKEY_free(key)
            X509_free(certificate)
        }
        _ = X509_set_version(certificate, 2)
        _ = ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...Int(Int32.max)))
        _ = X509_gmtime_adj(X509_getm_notBefore(certificate), -60)
        _ = X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400)
        let name = X509_get_subject_name(certificate)
        _ = X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, host, -1, -1, 0)
        _ = X509_set_issuer_name(certificate, name)
        _ = X509_set_pubkey(certificate, key)
        guard let names = X509V3_EXT_conf_nid(nil, nil, NID_subject_alt_name, "DNS:\(host)") else {
            throw Failure.last("name")
        }
        _ = X509_add_ext(certificate, names, -1)
        X509_EXTENSION_free(names)
        guard X509_sign(certificate, key, EVP_sha256()) > 0 else { throw Failure.last("signature") }
        return (
            try text { PEM_write_bio_X509($0, certificate) },
            try text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
        )
    }

    /// What OpenSSL writes into a memory buffer.
    private static func text(_ write: (OpaquePointer) -> Int32) throws -> String {
        guard let memory = BIO_new(BIO_s_mem()) else { throw Failure.last("buffer") }
        defer { BIO_free(memory) }
        guard write(memory) == 1 else { throw Failure.last("PEM") }
        var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(memory))
        let count = BIO_read(memory, &bytes, Int32(bytes.count))
        return String(decoding: bytes.prefix(Int(max(0, count))), as: UTF8.self)
    }

    /// `EVP_EC_gen` is a macro over a variadic function, which Swift cannot call: the same in steps.
    private static func generateKey() -> OpaquePointer? {
        guard let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1,
            EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
            EVP_PKEY_keygen(context, &key) == 1
        else { return nil }
        return key
    }
}
