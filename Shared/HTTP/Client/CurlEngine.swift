import CCurl
import Runtime

/// libcurl's multi interface in an event loop: curl says which sockets and which time-out it waits for, the loop says
/// when they are due.
///
/// `@unchecked Sendable`: everything but `loop` is touched on that loop only.
final class CurlEngine: @unchecked Sendable {
    let loop: EventLoop
    private let multi: UnsafeMutableRawPointer?
    private var watches: [Int32: Watch] = [:]
    private var timer: Timer?
    /// Keeps what curl holds plain pointers to.
    private var transfers: [ObjectIdentifier: Transfer] = [:]
    /// Used handles: making one costs more than a small request.
    private var idle: [UnsafeMutableRawPointer] = []
    private static let idleMax = 32

    /// curl wants to be initialized once per process before anything else.
    static let isReady: Bool = cc_global_init() == CURLE_OK

    init(loop: EventLoop) {
        self.loop = loop
        multi = Self.isReady ? curl_multi_init() : nil
        guard let multi else { return }
        let me = Unmanaged.passUnretained(self).toOpaque()
        _ = cc_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, me)
        _ = cc_multi_set_pointer(multi, CURLMOPT_TIMERDATA, me)
        _ = cc_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Client.idleConnectionsMax)
        _ = cc_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, Client.hostConnectionsMax)
        _ = cc_multi_set_socket(multi) { _, socket, what, engine, _ in
            CurlEngine.of(engine)?.interest(in: socket, what)
            return 0
        }
        _ = cc_multi_set_timer(multi) { _, milliseconds, engine in
            CurlEngine.of(engine)?.setTimer(milliseconds)
            return 0
        }
    }

    private static func of(_ pointer: UnsafeMutableRawPointer?) -> CurlEngine? {
        pointer.map { Unmanaged<CurlEngine>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: - Transfers

    func handle() -> UnsafeMutableRawPointer? {
        if let handle = idle.popLast() { return handle }
        return curl_easy_init()
    }

    func add(_ transfer: Transfer) throws(ClientError) {
        guard let multi, let easy = transfer.easy, curl_multi_add_handle(multi, easy) == CURLM_OK else {
            throw .unreachable("curl has no handle")
        }
        transfers[ObjectIdentifier(transfer)] = transfer
    }

    /// Takes the transfer off curl, whatever state it is in.
    func remove(_ transfer: Transfer) {
        guard transfers.removeValue(forKey: ObjectIdentifier(transfer)) != nil, let multi, let easy = transfer.easy
        else { return }
        curl_multi_remove_handle(multi, easy)
        transfer.releaseHandle()
        if idle.count < Self.idleMax {
            curl_easy_reset(easy)
            idle.append(easy)
        } else {
            curl_easy_cleanup(easy)
        }
    }

    func close() {
        for transfer in Array(transfers.values) {
            transfer.finish(.failure(.broken("the client was closed")))
            remove(transfer)
        }
        timer?.cancel()
        for handle in idle { curl_easy_cleanup(handle) }
        idle = []
        if let multi { curl_multi_cleanup(multi) }
        for watch in watches.values { watch.cancel() }
        watches = [:]
    }

    // MARK: - What curl asks for

    private func interest(in socket: Int32, _ what: Int32) {
        if what == CURL_POLL_REMOVE {
            watches.removeValue(forKey: socket)?.cancel()
            return
        }
        let watch = watches[socket] ?? watch(socket)
        watch.set(
            read: what == CURL_POLL_IN || what == CURL_POLL_INOUT,
            write: what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
    }

    private func watch(_ socket: Int32) -> Watch {
        let watch = loop.watch(socket, .level) { [unowned self] readiness in
            var events: Int32 = 0
            if readiness.contains(.read) { events |= CURL_CSELECT_IN }
            if readiness.contains(.write) { events |= CURL_CSELECT_OUT }
            if readiness.contains(.hangup) { events |= CURL_CSELECT_ERR }
            act(socket, events)
        }
        watches[socket] = watch
        return watch
    }

    private func setTimer(_ milliseconds: Int) {
        timer?.cancel()
        timer = nil
        guard milliseconds >= 0 else { return }
        // Also a time-out of 0 waits for the next tick: curl must not be called from its own callback.
        timer = loop.after(.milliseconds(milliseconds)) { [unowned self] in
            timer = nil
            act(CURL_SOCKET_TIMEOUT, 0)
        }
    }

    private func act(_ socket: Int32, _ events: Int32) {
        guard let multi else { return }
        var running: Int32 = 0
        curl_multi_socket_action(multi, socket, events, &running)
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let transfer = Transfer.of(easy)
            else { continue }
            // The message dies with the removal.
            let code = message.pointee.data.result
            remove(transfer)
            transfer.finish(code)
        }
    }
}
