import CCurl
import Glibc
import Runtime
import Shared

/// One exchange on its way through curl.
///
/// `@unchecked Sendable`: touched on its engine's loop only; other threads merely hop there with it.
final class Transfer: @unchecked Sendable {
    private(set) var easy: UnsafeMutableRawPointer?
    private let engine: CurlEngine
    private let streams: Bool
    private let bodyMax: Int
    private let refusePrivate: Bool
    private var list: UnsafeMutablePointer<curl_slist>?

    private(set) var status = 0
    private(set) var headers = Headers()
    private var hasHead = false
    private var content: [UInt8] = []
    private var received = 0
    private var isPaused = false
    /// Why our own callbacks made curl stop.
    private var cause: ClientError?
    private var outcome: Result<Void, ClientError>?
    private var isCancelled = false
    private var waiting: UnsafeContinuation<Void, Never>?

    /// A stream's content that nobody has read; beyond, curl stops reading the socket.
    private static let heldMax = 256 * 1024
    /// Response header lines; curl itself limits one line to 100 KiB.
    private static let headersMax = 200

    init(_ request: ClientRequest, streams: Bool, authorities: String?, engine: CurlEngine) throws(ClientError) {
        self.engine = engine
        self.streams = streams
        bodyMax = request.bodyMax
        refusePrivate = request.refusePrivate
        guard let easy = engine.handle() else { throw .unreachable("curl has no handle") }
        self.easy = easy
        prepare(easy, request, authorities)
    }

    static func of(_ easy: UnsafeMutableRawPointer) -> Transfer? {
        var pointer: UnsafeMutableRawPointer?
        _ = cc_get_pointer(easy, CURLINFO_PRIVATE, &pointer)
        return of(pointer: pointer)
    }

    private static func of(pointer: UnsafeMutableRawPointer?) -> Transfer? {
        pointer.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
    }

    deinit {
        curl_slist_free_all(list)
        // Only a transfer that never reached the engine still has its handle.
        if let easy { curl_easy_cleanup(easy) }
    }

    /// The engine has taken the handle back.
    func releaseHandle() { easy = nil }

    // MARK: - Waiting

    func untilHead() async throws {
        try await wait { hasHead }
    }

    func untilFinished() async throws {
        try await wait { false }
    }

    /// What has arrived.
    func take() -> [UInt8] {
        defer { content = [] }
        return content
    }

    /// The next content of a stream; nil at its end.
    func chunk() async throws -> [UInt8]? {
        if content.isEmpty {
            resumeReading()
            try await wait { !content.isEmpty }
        }
        return content.isEmpty ? nil : take()
    }

    private func resumeReading() {
        guard isPaused, let easy else { return }
        isPaused = false
        curl_easy_pause(easy, CURLPAUSE_CONT)
    }

    /// Until `isEnough` or the end of the exchange; throws when that end is a failure.
    private func wait(_ isEnough: () -> Bool) async throws {
        while !isEnough() {
            if let outcome {
                try outcome.get()
                return
            }
            if isCancelled || Task.isCancelled {
                abandon()
                throw CancellationError()
            }
            await withTaskCancellationHandler {
                await withUnsafeContinuation { waiting = $0 }
            } onCancel: {
                // On the canceller's thread, perhaps before the wait has begun: the loop sorts it out.
                engine.loop.execute { self.cancel() }
            }
        }
    }

    private func wake() {
        let waiting = waiting
        self.waiting = nil
        waiting?.resume()
    }

    private func cancel() {
        isCancelled = true
        wake()
    }

    // MARK: - Ending

    /// Nobody is interested any more.
    func abandon() {
        engine.loop.execute { [self] in
            finish(.failure(.broken("abandoned")))
            engine.remove(self)
        }
    }

    func finish(_ code: CURLcode) {
        finish(code == CURLE_OK ? .success(()) : .failure(cause ?? ClientError(code, refusePrivate: refusePrivate)))
    }

    func finish(_ result: Result<Void, ClientError>) {
        guard outcome == nil else { return }
        outcome = result
        wake()
    }

    // MARK: - What curl delivers

    private func receive(header bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var line = String(decoding: bytes, as: UTF8.self)[...]
        while line.last == "\r\n" || line.last == "\n" || line.last == "\r" { line.removeLast() }
        if line.hasPrefix("HTTP/") {
            // A new head: what came before was 100 Continue or another interim one.
            headers = Headers()
            status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        } else if line.isEmpty {
            if status >= 200 {
                hasHead = true
                if streams { wake() }
            }
        } else if !hasHead, let colon = line.firstIndex(of: ":") {
            if headers.count == Self.headersMax { return false }
            headers.add(String(line[..<colon]), String(MediaType.trim(line[line.index(after: colon)...])))
        }
        return true
    }

    private enum Taken { case all, later, refused }

    private func receive(content bytes: UnsafeBufferPointer<UInt8>) -> Taken {
        if streams, content.count >= Self.heldMax {
            isPaused = true
            return .later
        }
        received += bytes.count
        if received > bodyMax {
            cause = .tooLarge(max: bodyMax)
            return .refused
        }
        content.append(contentsOf: bytes)
        if streams { wake() }
        return .all
    }

    private func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> Int32 {
        let isAllowed = withUnsafePointer(to: &address.pointee.addr) { PublicAddress.isPublic($0) }
        if isAllowed {
            return socket(
                address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue),
                address.pointee.protocol)
        }
        cause = .privateAddress
        return -1
    }

    // MARK: - Setting up

    private func prepare(_ easy: UnsafeMutableRawPointer, _ request: ClientRequest, _ authorities: String?) {
        let me = Unmanaged.passUnretained(self).toOpaque()
        _ = cc_set_pointer(easy, CURLOPT_PRIVATE, me)
        _ = cc_set_text(easy, CURLOPT_URL, request.url)
        _ = cc_set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        _ = cc_set_text(easy, CURLOPT_PROXY, "")
        _ = cc_set_long(easy, CURLOPT_NOSIGNAL, 1)
        _ = cc_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        _ = cc_set_long(easy, CURLOPT_TIMEOUT_MS, max(1, Int(request.timeout.milliseconds)))
        _ = cc_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(request.connectTimeout.milliseconds)))
        if let silence = request.silenceMax {
            _ = cc_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, 1)
            _ = cc_set_long(easy, CURLOPT_LOW_SPEED_TIME, max(1, Int(silence.components.seconds)))
        }
        if let authorities { _ = cc_set_text(easy, CURLOPT_CAINFO, authorities) }
        setCallbacks(easy, me)
        setMethod(easy, request)
        setHeaders(easy, request)
    }

    private func setCallbacks(_ easy: UnsafeMutableRawPointer, _ me: UnsafeMutableRawPointer) {
        _ = cc_set_pointer(easy, CURLOPT_HEADERDATA, me)
        _ = cc_set_callback(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
            guard let bytes, let transfer = Transfer.of(pointer: me) else { return 0 }
            let length = size * count
            let isTaken = bytes.withMemoryRebound(to: UInt8.self, capacity: length) {
                transfer.receive(header: UnsafeBufferPointer(start: $0, count: length))
            }
            return isTaken ? length : 0
        }
        _ = cc_set_pointer(easy, CURLOPT_WRITEDATA, me)
        _ = cc_set_callback(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, me in
            guard let bytes, let transfer = Transfer.of(pointer: me) else { return 0 }
            let length = size * count
            let taken = bytes.withMemoryRebound(to: UInt8.self, capacity: length) {
                transfer.receive(content: UnsafeBufferPointer(start: $0, count: length))
            }
            return switch taken {
            case .all: length
            case .later: Int(CURL_WRITEFUNC_PAUSE)
            case .refused: 0
            }
        }
        guard refusePrivate else { return }
        _ = cc_set_pointer(easy, CURLOPT_OPENSOCKETDATA, me)
        _ = cc_set_open(easy) { me, _, address in
            guard let address, let transfer = Transfer.of(pointer: me) else { return -1 }
            return transfer.open(address)
        }
    }

    private func setMethod(_ easy: UnsafeMutableRawPointer, _ request: ClientRequest) {
        if request.method == .head {
            _ = cc_set_long(easy, CURLOPT_NOBODY, 1)
            return
        }
        if !request.body.isEmpty || request.method == .post {
            _ = cc_set_long(easy, CURLOPT_POSTFIELDSIZE, request.body.count)
            // curl copies it: nothing of ours has to outlive this call. An empty array has no address to copy from.
            let body = request.body.isEmpty ? [0] : request.body
            body.withUnsafeBytes { bytes in
                _ = cc_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            }
        }
        if request.method != .get || !request.body.isEmpty {
            _ = cc_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method.name)
        }
    }

    private func setHeaders(_ easy: UnsafeMutableRawPointer, _ request: ClientRequest) {
        var lines = request.headers.map { name, value in value.isEmpty ? "\(name);" : "\(name): \(value)" }
        // No waiting for 100 Continue, and no content type that nobody chose.
        lines.append("Expect:")
        if !request.headers.contains("Content-Type") { lines.append("Content-Type:") }
        if !request.headers.contains("User-Agent") { lines.append("User-Agent: switchboard") }
        if let trace = TraceContext.current, !request.headers.contains("traceparent") {
            lines.append("traceparent: \(trace.child().traceparent)")
        }
        for line in lines {
            if let longer = curl_slist_append(list, line) { list = longer }
        }
        _ = cc_set_list(easy, CURLOPT_HTTPHEADER, list)
    }
}

extension ClientError {
    init(_ code: CURLcode, refusePrivate: Bool) {
        let text = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: self = .invalidURL
        case CURLE_COULDNT_RESOLVE_HOST: self = .unresolved
        case CURLE_COULDNT_CONNECT: self = .unreachable(text)
        case CURLE_OPERATION_TIMEDOUT: self = .timeout
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_ISSUER_ERROR:
            self = .tls(text)
        default: self = .broken(text)
        }
    }
}
