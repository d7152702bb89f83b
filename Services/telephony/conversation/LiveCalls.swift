import Runtime
import Shared

/// The conversations this replica holds, and the way to them from any loop.
///
/// `@unchecked Sendable`: guarded by the lock.
final class LiveCalls: Component, @unchecked Sendable {
    /// How to reach one conversation; both may be called from anywhere.
    struct Handle: Sendable {
        let epoch: Int
        let order: @Sendable (Dialogue.Order) -> Void
        /// Another socket has taken over, or we are going away.
        let close: @Sendable (_ goingAway: Bool) -> Void
    }

    let name = "conversations"
    private let lock = Lock()
    private var handles: [CallID: Handle] = [:]

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

    /// Hands a command to the conversation, if it is here.
    func take(_ command: CommandEvent) {
        guard let handle = lock.withLock({ handles[command.callID] }) else { return }
        switch command.action {
        case .pause: handle.order(.pause)
        case .resume: handle.order(.resume)
        case .say: if let message = command.message { handle.order(.say(message, by: command.by?.text)) }
        case .override: if let text = command.instructions { handle.order(.override(text)) }
        case .end: handle.order(.end(reason: command.reason))
        case .transfer: handle.order(.transfer(escalation: nil, words: Self.transferWords))
        case .handback: handle.order(.handback)
        case .configure: handle.order(.configure)
        }
    }

    static let transferWords = "I am connecting you with a colleague now. Please stay on the line."

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
