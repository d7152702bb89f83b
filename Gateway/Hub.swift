import HTTP
import Runtime
import Shared

/// The open sockets of one loop. Confined to it.
final class LoopHub {
    private var sessions: [ObjectIdentifier: Session] = [:]

    var count: Int { sessions.count }

    func add(_ session: Session) { sessions[ObjectIdentifier(session)] = session }
    func remove(_ session: Session) { sessions[ObjectIdentifier(session)] = nil }

    func deliver(_ frame: OutgoingFrame) {
        for session in sessions.values { session.offer(frame) }
    }

    /// Ends the sockets that a revocation concerns.
    func end(_ revocation: RevocationEvent) {
        for session in sessions.values {
            let principal = session.principal
            let isMeant =
                switch revocation.kind {
                case .session: principal.session?.text == revocation.id
                case .user: principal.user.text == revocation.id
                case .key: principal.apiKey?.text == revocation.id
                }
            if isMeant { session.socket.close(.sessionEnded, reason: "the session has ended") }
        }
    }

    func endAll() {
        for session in sessions.values { session.socket.close(.goingAway, reason: "restarting; come back") }
    }
}

extension CloseCode {
    /// The token expired or was revoked (a code of our own, RFC 6455 §7.4.2).
    static let sessionEnded = CloseCode(rawValue: 4401)
}

/// Every loop's hub.
///
/// `@unchecked Sendable`: `hubs` is guarded by `lock`; each hub is touched on its own loop only.
final class Hub: @unchecked Sendable, Component {
    let name = "sockets"
    private let lock = Lock()
    private var hubs: [(loop: EventLoop, hub: LoopHub)] = []
    private let open: Gauge

    init() { open = Metrics.shared.gauge("switchboard_sockets", "Open /ws/calls sockets.") }

    func start(on group: EventLoopGroup) async throws {
        lock.withLock { hubs = group.loops.map { ($0, LoopHub()) } }
    }

    /// Tells browsers to come back, to another gateway if there is one.
    func leave() async { each { $0.endAll() } }

    /// The current loop's.
    var current: LoopHub? {
        let loop = EventLoop.required()
        return lock.withLock { hubs.first { $0.loop === loop }?.hub }
    }

    func deliver(_ frame: OutgoingFrame) { each { $0.deliver(frame) } }
    func end(_ revocation: RevocationEvent) { each { $0.end(revocation) } }

    func opened(_ change: Int) { open.add(Double(change)) }

    private func each(_ body: @escaping @Sendable (LoopHub) -> Void) {
        for (loop, hub) in lock.withLock({ hubs }) {
            let hub = OnItsLoop(hub: hub)
            loop.execute { body(hub.hub) }
        }
    }

    /// `@unchecked Sendable`: carried to the loop the hub belongs to, and only opened there.
    private struct OnItsLoop: @unchecked Sendable { let hub: LoopHub }
}
