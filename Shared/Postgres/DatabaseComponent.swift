import Runtime

/// As a part of a program: closed on the way down, and the program is not ready while the server does not answer.
extension Database: Component {
    public var name: String { "database" }

    /// Returns at once: a database that is down makes the program unready, not dead.
    public func start(on group: EventLoopGroup) async throws {
        let watch = group.next().spawn("database health") { [health] in
            while !Task.isCancelled {
                do {
                    try await withDeadline(.seconds(2)) { try await self.ping() }
                    health.set(nil)
                } catch {
                    health.set("\(error)")
                }
                try? await EventLoop.sleep(for: .seconds(2))
            }
        }
        health.watched(by: watch)
    }

    public func stop(deadline: Duration) async {
        health.stop()
        await close(within: deadline)
    }

    public func unready() -> String? { health.reason }
}

/// What the last ping said.
///
/// Sendable because the lock guards both variables.
final class DatabaseHealth: @unchecked Sendable {
    private let lock = Lock()
    private var current: String? = "not asked yet"
    private var task: Task<Void, Never>?

    var reason: String? { lock.withLock { current } }

    func set(_ reason: String?) {
        lock.withLock { current = reason }
    }

    func watched(by task: Task<Void, Never>) {
        lock.withLock { self.task = task }
    }

    func stop() {
        lock.withLock {
            task?.cancel()
            current = "stopped"
        }
    }
}
