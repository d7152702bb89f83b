import Runtime

/// Bytes on their way to a WebSocket's peer. Frames are kept as they were given, so one that goes to many sockets is in
/// memory once.
///
/// `@unchecked Sendable`: confined to its loop; the task that waits for the socket there captures it.
final class Outbound: @unchecked Sendable {
    private let transport: Transport
    private var queue: [[UInt8]] = []
    /// How much of the first one is sent.
    private var sent = 0
    /// Bytes queued and not taken by the socket.
    private(set) var count = 0
    private var isBroken = false
    private var isWaiting = false
    private var waiters: [UnsafeContinuation<Void, Never>] = []
    /// The time left for a close; kept here because the socket's deinit must reach it.
    var timer: Runtime.Timer?

    init(_ transport: Transport) { self.transport = transport }

    /// False when the connection is broken.
    func push(_ bytes: [UInt8]) -> Bool {
        if isBroken { return false }
        queue.append(bytes)
        count += bytes.count
        if !isWaiting { work() }
        return !isBroken
    }

    /// Writes what the socket takes, and comes back when it takes more.
    private func work() {
        do {
            if try drain() { return wake() }
        } catch {
            return breakOff()
        }
        isWaiting = true
        EventLoop.required().spawn("websocket") { [self] in
            do {
                repeat { try await transport.waitWritable() } while try !drain()
            } catch {
                breakOff()
            }
            isWaiting = false
            wake()
        }
    }

    /// True when everything is out.
    private func drain() throws -> Bool {
        var done = 0
        defer { queue.removeFirst(done) }
        while done < queue.count {
            let taken = try transport.tryWrite(queue[done], from: sent)
            sent += taken
            count -= taken
            guard sent == queue[done].count else { return false }
            sent = 0
            done += 1
        }
        return try transport.flushCiphertext()
    }

    private func breakOff() {
        isBroken = true
        queue = []
        count = 0
        // Whoever receives shall notice.
        transport.abort()
        wake()
    }

    private func wake() {
        let all = waiters
        waiters = []
        for waiter in all { waiter.resume() }
    }

    /// Returns when nothing is queued any more.
    func flushed() async {
        if !isWaiting { return }
        await withUnsafeContinuation { waiters.append($0) }
    }

    /// The same, but the connection is broken off when it takes too long.
    func flushed(within limit: Duration) async {
        if !isWaiting { return }
        let timer = EventLoop.required().after(limit) { [transport] in transport.abort() }
        await flushed()
        timer.cancel()
    }
}
