/// A part of a program that starts and stops with it: a server, a relay, a consumer.
public protocol Component: Sendable {
    var name: String { get }
    /// Whether it starts before all others: a server, which answers probes, and callers as well as it can, while the
    /// others still wait for a database or a broker that is away. It stops in its place all the same.
    var startsFirst: Bool { get }
    /// Returns when the part is at work. What it does from then on it does in tasks of the group's loops. Cancelled when
    /// the program is asked to stop before it has started.
    func start(on group: EventLoopGroup) async throws
    /// The program is about to stop: takes nothing new, and tells those it serves for longer to go elsewhere, without
    /// waiting for them. Every part is asked, the last one first, before the first is stopped.
    func leave() async
    /// Finishes what is under way, takes nothing new, and returns within the deadline.
    func stop(deadline: Duration) async
    /// Why the part cannot do its work now; nil when it can. Shown by `/readyz`. Called on any thread.
    func unready() -> String?
    /// In which way the part does its work less well than it should, without being unready; nil when it does it well.
    /// Shown by `/readyz`. Called on any thread.
    func degraded() -> String?
}

extension Component {
    public var startsFirst: Bool { false }
    public func leave() async {}
    public func stop(deadline: Duration) async {}
    public func unready() -> String? { nil }
    public func degraded() -> String? { nil }
}

/// Which parts of this program can work now; read by `/readyz`.
public final class Health: Sendable {
    public static let shared = Health()
    private let lock = Lock()
    // Guarded by `lock`.
    nonisolated(unsafe) private var components: [any Component] = []
    nonisolated(unsafe) private var stages: [Stage] = []
    nonisolated(unsafe) private var isStopping = false

    enum Stage { case waiting, starting, started }

    func watch(_ components: [any Component]) {
        lock.withLock {
            self.components = components
            stages = components.map { _ in .waiting }
        }
    }

    func note(_ stage: Stage, _ place: Int) { lock.withLock { stages[place] = stage } }
    func stopping() { lock.withLock { isStopping = true } }

    /// Each part's name and why it is not ready; nil reasons are ready parts.
    public func parts() -> [(name: String, reason: String?)] {
        let (components, stages, stopping) = lock.withLock { (self.components, self.stages, isStopping) }
        guard !components.isEmpty else { return [("start", "still starting")] }
        return zip(components, stages).map { component, stage in
            (component.name, stopping ? "stopping" : Health.reason(component, stage))
        }
    }

    /// Parts that are ready but do their work less well than they should, and in which way.
    public func degraded() -> [(name: String, how: String)] {
        lock.withLock { components }.compactMap { component in component.degraded().map { (component.name, $0) } }
    }

    private static func reason(_ component: any Component, _ stage: Stage) -> String? {
        switch stage {
        case .waiting: "not started yet"
        case .starting: component.unready() ?? "starting"
        case .started: component.unready()
        }
    }
}
