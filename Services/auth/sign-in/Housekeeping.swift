import Messaging
import Postgres
import Runtime
import Shared

/// Takes away now and then what no token, link or mail can refer to any more.
final class Housekeeping: Component {
    let name = "housekeeping"
    private let database: Database
    private let log: Log
    private let work = Guarded<Task<Void, Never>?>(nil)

    private static let every: Duration = .seconds(600)

    init(_ database: Database, _ log: Log) {
        self.database = database
        self.log = log
    }

    func start(on group: EventLoopGroup) async throws {
        let task = group.loops[0].spawn("housekeeping") { [database, log] in
            while !Task.isCancelled {
                do {
                    try await EventLoop.sleep(for: Self.every)
                    try await SessionStore.prune(database)
                    try await LinkStore.prune(database)
                } catch is CancellationError {
                    return
                } catch {
                    log.warn("housekeeping.failed", ("error", "\(error)"))
                }
            }
        }
        work.withLock { $0 = task }
    }

    func stop(deadline: Duration) async {
        let task = work.withLock { $0 }
        task?.cancel()
        await task?.value
    }
}
