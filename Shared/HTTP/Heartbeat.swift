import Runtime

/// Pings a silent peer and notices when it stays silent. One timer per socket, wound up at its own pace and not with
/// every message. Confined to its loop.
final class Heartbeat {
    private let every: Duration
    private let within: Duration
    private var timer: Runtime.Timer?
    private var heardSince = false
    private var isAsking = false
    /// Somebody waits in `receive()`, so an answer would be noticed.
    var isListening = false

    init(every: Duration, within: Duration) {
        self.every = every
        self.within = within
    }

    func start(ping: @escaping () -> Void, lost: @escaping () -> Void) {
        isAsking = false
        heardSince = false
        timer = EventLoop.required().after(every) { [weak self] in
            guard let self else { return }
            if heardSince { return start(ping: ping, lost: lost) }
            ping()
            ask(ping: ping, lost: lost)
        }
    }

    private func ask(ping: @escaping () -> Void, lost: @escaping () -> Void) {
        isAsking = true
        timer = EventLoop.required().after(within) { [weak self] in
            guard let self else { return }
            // A handler busy with something else has not looked; that is not the peer's silence.
            if heardSince || !isListening { return start(ping: ping, lost: lost) }
            lost()
        }
    }

    func heard() { heardSince = true }

    func stop() {
        timer?.cancel()
        timer = nil
    }
}
