import Shared

/// The parts of one program: started in order, stopped in reverse, so that what others rely on starts first and goes last.
///
/// `@unchecked Sendable`: used by one task at a time, the one that runs the program.
final class Lifecycle: @unchecked Sendable {
    private let components: [any Component]
    private let log: Log
    private var started: [any Component] = []

    init(_ components: [any Component], log: Log) {
        self.components = components
        self.log = log
    }

    /// A part that could not start. Those before it are at work until ``stop(within:)``.
    struct StartFailure: Error, CustomStringConvertible {
        let component: String
        let cause: any Error
        var description: String { "\(component): \(cause)" }
    }

    func start(on group: EventLoopGroup) async throws {
        for component in components {
            try Task.checkCancellation()
            do {
                try await component.start(on: group)
            } catch {
                throw StartFailure(component: component.name, cause: error)
            }
            started.append(component)
        }
    }

    /// Time kept for each part still to come, so that a slow first one does not cost the others their flush.
    private static let reserve: Duration = .seconds(2)

    /// Stops what was started. Each part may take what the others leave of `limit`.
    func stop(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while let component = started.popLast() {
            let left = ContinuousClock.now.duration(to: end) - Self.reserve * started.count
            let share = max(left, limit / 100)
            do {
                try await withDeadline(share) {
                    await component.stop(deadline: share)
                    // One that gave up because its time was over did not finish, though it returned.
                    try Task.checkCancellation()
                }
            } catch {
                log.warn(
                    "service.stop_cut", ("component", .string(component.name)),
                    ("milliseconds", .int(share.milliseconds)))
            }
        }
    }
}
