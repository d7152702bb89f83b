import CCurl
import Runtime
import Shared

/// A mail server that takes our mails on (RFC 5321), spoken to by libcurl.
public struct MailServer: Sendable {
    public enum Security: Sendable, Hashable {
        case none
        /// STARTTLS, or nothing is sent.
        case startTLS
        /// TLS from the first byte on (port 465).
        case tls
    }

    public var host: String
    public var port: Int
    public var security: Security
    public var user: String?
    public var password: String?
    /// A PEM file of certificate authorities to trust instead of the system's.
    public var authorities: String?
    public var connectTimeout: Duration = .seconds(5)
    /// For one mail; a program that stops waits for it.
    public var timeout: Duration = .seconds(20)

    /// A mail is rare and its dialogue long: one thread at a time talks to the server, off the loops.
    private let pool = Blocking(threads: 1, queueMax: 64)

    public init(
        host: String, port: Int, security: Security, user: String? = nil, password: String? = nil,
        authorities: String? = nil
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.user = user
        self.password = password
        self.authorities = authorities
    }

    /// Returns when the server has taken the mail.
    /// - Throws: ``MailError``.
    public func send(_ message: MailMessage) async throws {
        try await pool.run { try deliver(message) }
    }

    private func deliver(_ message: MailMessage) throws(MailError) {
        guard CurlEngine.isReady, let easy = curl_easy_init() else { throw .unreachable("curl has no handle") }
        defer { curl_easy_cleanup(easy) }
        guard let recipients = curl_slist_append(nil, "<\(message.to.text)>") else { throw .unreachable("no memory") }
        defer { curl_slist_free_all(recipients) }
        prepare(easy)
        _ = cc_set_text(easy, CURLOPT_MAIL_FROM, "<\(message.from.address.text)>")
        _ = cc_set_list(easy, CURLOPT_MAIL_RCPT, recipients)
        let reader = Reader(message.bytes)
        let code = withExtendedLifetime(reader) {
            _ = cc_set_pointer(easy, CURLOPT_READDATA, Unmanaged.passUnretained(reader).toOpaque())
            _ = cc_set_callback(easy, CURLOPT_READFUNCTION) { out, size, count, reader in
                guard let out, let reader else { return 0 }
                let whole = UnsafeMutableRawBufferPointer(start: out, count: size * count)
                return Unmanaged<Reader>.fromOpaque(reader).takeUnretainedValue().read(into: whole)
            }
            return curl_easy_perform(easy)
        }
        guard code != CURLE_OK else { return }
        var reply = 0
        _ = cc_get_pointer(easy, CURLINFO_RESPONSE_CODE, &reply)
        throw MailError(code, reply: reply)
    }

    private func prepare(_ easy: UnsafeMutableRawPointer) {
        let scheme = security == .tls ? "smtps" : "smtp"
        let bracketed = host.contains(":") ? "[\(host)]" : host
        _ = cc_set_text(easy, CURLOPT_URL, "\(scheme)://\(bracketed):\(port)")
        _ = cc_set_text(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        _ = cc_set_text(easy, CURLOPT_PROXY, "")
        _ = cc_set_long(easy, CURLOPT_NOSIGNAL, 1)
        _ = cc_set_long(easy, CURLOPT_UPLOAD, 1)
        _ = cc_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(connectTimeout.milliseconds))
        _ = cc_set_long(easy, CURLOPT_TIMEOUT_MS, Int(timeout.milliseconds))
        if security == .startTLS { _ = cc_set_long(easy, CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue)) }
        if let authorities { _ = cc_set_text(easy, CURLOPT_CAINFO, authorities) }
        if let user { _ = cc_set_text(easy, CURLOPT_USERNAME, user) }
        if let password { _ = cc_set_text(easy, CURLOPT_PASSWORD, password) }
    }

    /// What curl reads the message from.
    private final class Reader {
        private let bytes: [UInt8]
        private var at = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        func read(into out: UnsafeMutableRawBufferPointer) -> Int {
            let count = min(out.count, bytes.count - at)
            guard count > 0 else { return 0 }
            out.copyBytes(from: bytes[at..<at + count])
            at += count
            return count
        }
    }
}

/// Why a mail was not taken. No text of it ever holds an address, a password or the mail.
public enum MailError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nobody there, or the connection broke: try again.
    case unreachable(String)
    /// 4xx, the reply's number: try again.
    case later(Int)
    /// The user name or password of the settings: try again, someone may put them right.
    case notLoggedIn
    /// No TLS, or a certificate that is not trusted.
    case tls(String)
    /// 5xx, the reply's number: this mail will never be taken.
    case refused(Int)

    init(_ code: CURLcode, reply: Int) {
        let text = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_LOGIN_DENIED: self = .notLoggedIn
        case CURLE_USE_SSL_FAILED, CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR:
            self = .tls(text)
        default:
            switch reply {
            case 400..<500: self = .later(reply)
            case 500..<600: self = .refused(reply)
            default: self = .unreachable(text)
            }
        }
    }

    public var isFinal: Bool {
        if case .refused = self { return true }
        return false
    }

    public var description: String {
        switch self {
        case .unreachable(let reason): "the mail server does not answer: \(reason)"
        case .later(let code): "the mail server says try again (\(code))"
        case .notLoggedIn: "the mail server takes neither the user name nor the password"
        case .tls(let reason): "no trusted TLS with the mail server: \(reason)"
        case .refused(let code): "the mail server refuses this mail (\(code))"
        }
    }
}
