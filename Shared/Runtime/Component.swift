/// A part of a program that starts and stops with it: a server, a relay, a consumer.
public protocol Component: Sendable {
    var name: String { get }
    /// Returns when the part is at work. What it does from then on it does in tasks of the group's loops. Cancelled when
    /// the program is asked to stop before it has started.
    func start(on group: EventLoopGroup) async throws
    /// Finishes what is under way, takes nothing new, and returns within the deadline.
    func stop(deadline: Duration) async
    /// Why the part cannot do its work now; nil when it can. Shown by `/readyz`. Called on any thread.
    func unready() -> String?
}

extension Component {
    public func stop(deadline: Duration) async {}
    public func unready() -> String? { nil }
}

/// Which parts of this program can work now; read by `/readyz`.
public final class Health: Sendable {
    public static let shared = Health()
    private let lock = Lock()
    // Guarded by `lock`.
    nonisolated(unsafe) private var components: [any Component] = []
    nonisolated(unsafe) private var isStopping = false

    func watch(_ components: [any Component]) { lock.withLock { self.components = components } }
    func stopping() { lock.withLock { isStopping = true } }

    /// Each part's name and why it is not ready; nil reasons are ready parts.
    public func parts() -> [(name: String, reason: String?)] {
        let (components, stopping) = lock.withLock { (self.components, isStopping) }
        guard !components.isEmpty else { return [("start", "still starting")] }
        return components.map { ($0.name, stopping ? "stopping" : $0.unready()) }
    }
}
