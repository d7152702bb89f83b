import Runtime
import Shared

/// The conversations this replica holds, and the way to them from any loop.
///
/// `@unchecked Sendable`: guarded by the lock.
final class LiveCalls: Component, @unchecked Sendable {
    /// How to reach one conversation; both may be called from anywhere.
    struct Handle: Sendable {
        let epoch: Int
        /// With the id of a manager's intervention, which the conversation must take before it acts.
        let order: @Sendable (Dialogue.Order, EventID?) -> Void
        /// Another socket has taken over, or we are going away.
        let close: @Sendable (_ goingAway: Bool) -> Void
    }

    let name = "conversations"
    private let lock = Lock()
    private var handles: [CallID: Handle] = [:]
    private var replies: [EventID: Reply] = [:]

    func add(_ handle: Handle, for call: CallID) {
        let older = lock.withLock {
            defer { handles[call] = handle }
            return handles[call]
        }
        older?.close(false)
    }

    func remove(_ call: CallID, epoch: Int) {
        lock.withLock { if handles[call]?.epoch == epoch { handles[call] = nil } }
    }

    var count: Int { lock.withLock { handles.count } }

    /// Hands a command to the conversation, if it is here; hands the answer of a conversation to who waits for it.
    func take(_ command: CommandEvent) {
        if command.action == .taken {
            if let id = command.answers { taken(id) }
            return
        }
        guard let handle = lock.withLock({ handles[command.callID] }) else { return }
        switch command.action {
        case .pause: handle.order(.pause, command.id)
        case .resume: handle.order(.resume, command.id)
        case .say: if let message = command.message { handle.order(.say(message, by: command.by?.text), command.id) }
        case .override: if let text = command.instructions { handle.order(.override(text), command.id) }
        case .end: handle.order(.end(reason: command.reason), nil)
        case .transfer: handle.order(.transfer(escalation: nil, words: Self.transferWords), nil)
        case .handback: handle.order(.handback, nil)
        case .configure: handle.order(.configure, nil)
        case .taken: break
        }
    }

    static let transferWords = "I am connecting you with a colleague now. Please stay on the line."

    // MARK: Answers

    /// From now on the answer to this intervention is kept, until it is forgotten.
    func expect(_ id: EventID) -> Reply {
        let reply = Reply()
        lock.withLock { replies[id] = reply }
        return reply
    }

    func forget(_ id: EventID) { lock.withLock { replies[id] = nil } }

    /// A conversation, here or elsewhere, has taken this intervention.
    func taken(_ id: EventID) { lock.withLock { replies[id] }?.arrive() }

    // MARK: Life

    func start(on group: EventLoopGroup) async throws {
        let gauge = Metrics.shared.gauge("telephony_live_conversations", "Relay sockets this replica holds.")
        Metrics.shared.probe { [self] in gauge.set(Double(count)) }
    }

    /// Lets every socket go, so that the carrier connects them to another replica. Nobody is accepted here any more.
    func leave() async {
        for handle in lock.withLock({ Array(handles.values) }) { handle.close(true) }
    }

    /// Waits until each conversation has stored what was said.
    func stop(deadline: Duration) async {
        let end = ContinuousClock.now + min(deadline, .seconds(5))
        while count > 0, ContinuousClock.now < end {
            do { try await EventLoop.sleep(for: .milliseconds(20)) } catch { return }
        }
    }
}

/// Where a request waits for the conversation that takes its order.
///
/// `@unchecked Sendable`: made and waited for on one loop; `arrive` hops there.
final class Reply: @unchecked Sendable {
    private let loop = EventLoop.required()
    private let signal = Signal()
    private var hasArrived = false

    fileprivate func arrive() {
        loop.execute {
            self.hasArrived = true
            self.signal.fire()
        }
    }

    /// - Throws: `CancellationError`.
    func isTaken(within limit: Duration) async throws -> Bool {
        if !hasArrived {
            let timer = loop.after(limit) { self.signal.fire() }
            defer { timer.cancel() }
            try await signal.wait()
        }
        return hasArrived
    }
}
