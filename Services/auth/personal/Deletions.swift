import Messaging
import Postgres
import Runtime
import Shared

/// Deletes accounts whose day has come, asks again for erasures that a program has not reported, and lets revocations and
/// archives go that nobody needs any more. Every replica has one; each finds only what is left to do.
final class Deletions: Component {
    let name = "deletions"
    private let personal: Personal

    private static let every: Duration = .seconds(1)
    private static let houseEvery: Duration = .seconds(60)

    init(_ personal: Personal) { self.personal = personal }

    func start(on group: EventLoopGroup) async throws {
        group.loops[0].spawn("deletions") { [self] in
            var nextHouse = ContinuousClock.now
            while !Task.isCancelled {
                do {
                    while try await personal.deleteOneDue() {}
                    try await personal.askAgain()
                    if ContinuousClock.now >= nextHouse {
                        nextHouse = .now + Self.houseEvery
                        try await personal.keepHouse()
                    }
                } catch is CancellationError {
                    return
                } catch {
                    personal.log.warn("deletions.waiting", ("error", "\(error)"))
                }
                do { try await EventLoop.sleep(for: Self.every) } catch { return }
            }
        }
    }
}

extension Personal {
    /// Erases one person whose time is over; false when there is none.
    func deleteOneDue() async throws -> Bool {
        var waiting: UserID?
        do {
            return try await database.transaction { (tx: borrowing Transaction) -> Bool in
                guard let user = try await DeletionStore.due(tx) else { return false }
                waiting = user
                try await erase(user, tx)
                return true
            }
        } catch let problem as Problem where problem.code == .conflict {
            // Since they asked, somebody has come into a workspace of theirs; they are told when they try to log in.
            guard let waiting else { throw problem }
            log.warn("deletion.postponed", ("user", "\(waiting.text)"), ("reason", "a workspace has other members"))
            try await DeletionStore.postpone(waiting, database)
            return true
        }
    }

    /// Publishes the deletion of whatever was not reported in time once more.
    func askAgain() async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            for subject in try await ErasureBookStore.overdue(after: policy.askAgain, limit: 100, tx) {
                switch subject {
                case .user(let id): tx.publish(UserEvent.deleted(id: id))
                case .workspace(let id): tx.publish(WorkspaceEvent.deleted(id: id))
                case .agent: continue
                }
            }
        }
    }

    func keepHouse() async throws {
        while try await database.transaction({ (tx: borrowing Transaction) -> Int in
            try await DeletionStore.forgetRevocations(limit: 500, tx)
        }) == 500 {}
        try await ExportStore.prune(database)
    }
}
