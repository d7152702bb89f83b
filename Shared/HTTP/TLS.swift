import CTLS
import Glibc

/// TLS 1.2 and 1.3 by OpenSSL, over memory buffers: OpenSSL never sees a socket, so the loop stays in charge.
public enum TLS {
    /// Where a listener's certificate chain and private key are (PEM).
    public struct Files: Sendable {
        public let certificate: String
        public let key: String

        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// What went wrong, in OpenSSL's words.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public let description: String

        init(_ reason: String) { description = reason }

        /// The oldest error of this thread's queue, which is the cause; the queue is emptied.
        static func last(_ doing: String) -> Failure {
            let code = ERR_get_error()
            ERR_clear_error()
            guard code != 0 else { return Failure(doing) }
            let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
                ERR_error_string_n(code, buffer.baseAddress, buffer.count)
                return buffer.baseAddress.map { String(cString: $0) } ?? ""
            }
            return Failure("\(doing): \(text)")
        }
    }

    /// Certificates and rules for many sessions.
    ///
    /// `@unchecked Sendable`: an SSL_CTX may be used by several threads once it is set up, and it is set up in the
    /// initializers only.
    public final class Context: @unchecked Sendable {
        fileprivate let pointer: OpaquePointer

        /// For listeners.
        public init(server files: Files) throws {
            guard let pointer = SSL_CTX_new(TLS_server_method()) else { throw Failure.last("TLS") }
            self.pointer = pointer
            try Self.harden(pointer)
            guard SSL_CTX_use_certificate_chain_file(pointer, files.certificate) == 1 else {
                throw Failure.last("The certificate \(files.certificate) cannot be used")
            }
            guard SSL_CTX_use_PrivateKey_file(pointer, files.key, SSL_FILETYPE_PEM) == 1,
                SSL_CTX_check_private_key(pointer) == 1
            else { throw Failure.last("The key \(files.key) cannot be used") }
            // Without an own context id OpenSSL refuses to resume sessions.
            let name: StaticString = "switchboard"
            _ = SSL_CTX_set_session_id_context(pointer, name.utf8Start, UInt32(name.utf8CodeUnitCount))
            SSL_CTX_set_alpn_select_cb(pointer, chooseHTTP, nil)
        }

        /// For clients: the system's authorities, or those of one file.
        public init(clientTrusting authorities: String? = nil) throws {
            guard let pointer = SSL_CTX_new(TLS_client_method()) else { throw Failure.last("TLS") }
            self.pointer = pointer
            try Self.harden(pointer)
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
            let trusted =
                if let authorities {
                    SSL_CTX_load_verify_locations(pointer, authorities, nil)
                } else {
                    SSL_CTX_set_default_verify_paths(pointer)
                }
            guard trusted == 1 else { throw Failure.last("The authorities cannot be read") }
        }

        deinit { SSL_CTX_free(pointer) }

        /// `SSL_OP_NO_RENEGOTIATION`, a macro that Swift does not see: a peer must not make us start over at will.
        private static let noRenegotiation: UInt64 = 1 << 30

        private static func harden(_ pointer: OpaquePointer) throws {
            guard SSL_CTX_ctrl(pointer, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil) == 1 else {
                throw Failure.last("TLS 1.2")
            }
            // Buffers of idle sessions go back; a record written in part may continue from another address.
            _ = SSL_CTX_ctrl(
                pointer, SSL_CTRL_MODE,
                Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER), nil
            )
            _ = SSL_CTX_set_options(pointer, Self.noRenegotiation)
        }
    }
}

/// Picks `http/1.1` where the client offers it (RFC 7301) and goes without ALPN otherwise.
private func chooseHTTP(
    _: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ chosenLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ length: UInt32,
    _: UnsafeMutableRawPointer?
) -> Int32 {
    guard let offered else { return SSL_TLSEXT_ERR_NOACK }
    let wanted: StaticString = "http/1.1"
    var at = 0
    while at < Int(length) {
        let count = Int(offered[at])
        guard at + 1 + count <= Int(length) else { break }
        if count == wanted.utf8CodeUnitCount, memcmp(offered + at + 1, wanted.utf8Start, count) == 0 {
            chosen?.pointee = offered + at + 1
            chosenLength?.pointee = UInt8(count)
            return SSL_TLSEXT_ERR_OK
        }
        at += 1 + count
    }
    return SSL_TLSEXT_ERR_NOACK
}

/// One TLS connection's state. Confined to its transport.
final class TLSSession {
    /// The most plain text of one record (RFC 8446 §5.1); also what is encrypted before the socket has taken the last.
    static let recordMax = 16 * 1024

    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    /// Keeps the context alive.
    private let context: TLS.Context
    /// Ciphertext taken from OpenSSL that the socket has not taken.
    private var held: [UInt8] = []
    private var heldAt = 0

    init(server context: TLS.Context) throws {
        (ssl, incoming, outgoing) = try Self.make(context)
        self.context = context
        SSL_set_accept_state(ssl)
    }

    /// `host` is the name the certificate must be for, and the one asked for (SNI).
    init(client context: TLS.Context, host: String) throws {
        (ssl, incoming, outgoing) = try Self.make(context)
        self.context = context
        SSL_set_connect_state(ssl)
        guard SSL_set1_host(ssl, host) == 1 else { throw TLS.Failure.last("The host name \(host)") }
        let asked = host.withCString { name in
            SSL_ctrl(
                ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
                UnsafeMutableRawPointer(mutating: name))
        }
        guard asked == 1 else { throw TLS.Failure.last("The host name \(host)") }
    }

    private static func make(
        _ context: TLS.Context
    ) throws -> (ssl: OpaquePointer, incoming: OpaquePointer, outgoing: OpaquePointer) {
        guard let ssl = SSL_new(context.pointer) else { throw TLS.Failure.last("TLS session") }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw TLS.Failure.last("TLS buffers")
        }
        // The session owns both buffers from here on.
        SSL_set_bio(ssl, incoming, outgoing)
        return (ssl, incoming, outgoing)
    }

    deinit { SSL_free(ssl) }

    /// True when the handshake is complete.
    func handshake() throws -> Bool {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 { return true }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return false
        default: throw TLS.Failure.last("TLS handshake")
        }
    }

    func decrypt(_ target: UnsafeMutableRawBufferPointer) throws -> Transport.Read {
        ERR_clear_error()
        var count = 0
        let result = SSL_read_ex(ssl, target.baseAddress, target.count, &count)
        if result == 1 { return .bytes(count) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .again
        case SSL_ERROR_ZERO_RETURN: return .end
        default: throw TLS.Failure.last("TLS read")
        }
    }

    /// Hands OpenSSL what `read` finds on the socket.
    func feed(_ read: (UnsafeMutableRawBufferPointer) throws -> Transport.Read) throws -> Transport.Read {
        try withUnsafeTemporaryAllocation(byteCount: Self.recordMax + 512, alignment: 16) { buffer in
            let outcome = try read(buffer)
            if case .bytes(let count) = outcome {
                guard BIO_write(incoming, buffer.baseAddress, Int32(count)) == Int32(count) else {
                    throw TLS.Failure.last("TLS buffer")
                }
            }
            return outcome
        }
    }

    /// Encrypts up to one record; how many bytes it took.
    func encrypt(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        if bytes.isEmpty { return 0 }
        ERR_clear_error()
        var count = 0
        guard SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count) == 1 else {
            throw TLS.Failure.last("TLS write")
        }
        return count
    }

    /// Moves ciphertext to the socket; true when none is left.
    func drain(_ write: (UnsafeRawBufferPointer) throws -> Int) throws -> Bool {
        while true {
            if heldAt == held.count {
                let waiting = BIO_ctrl_pending(outgoing)
                if waiting == 0 {
                    held = []
                    heldAt = 0
                    return true
                }
                held = [UInt8](unsafeUninitializedCapacity: waiting) { buffer, count in
                    count = max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(clamping: waiting))))
                }
                heldAt = 0
            }
            let count = try held.withUnsafeBytes { try write(UnsafeRawBufferPointer(rebasing: $0[heldAt...])) }
            if count == 0 { return false }
            heldAt += count
        }
    }

    /// Queues the close_notify alert, so that the peer can tell an end from a cut.
    func sayGoodbye() {
        if SSL_is_init_finished(ssl) == 1 { _ = SSL_shutdown(ssl) }
        ERR_clear_error()
    }
}
