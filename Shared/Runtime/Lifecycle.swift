import Shared

/// The parts of one program: started in order, stopped in reverse, so that what others rely on starts first and goes last.
/// Only doors open before everything else, to say what is still missing.
///
/// `@unchecked Sendable`: used by one task at a time, the one that runs the program.
final class Lifecycle: @unchecked Sendable {
    private let components: [any Component]
    private let health: Health
    private let log: Log
    private var hasStarted: [Bool]

    /// - Parameter health: is told how far each part is.
    init(_ components: [any Component], health: Health = Health(), log: Log) {
        self.components = components
        self.health = health
        self.log = log
        hasStarted = components.map { _ in false }
        health.watch(components)
    }

    /// A part that could not start. Those before it are at work until ``stop(within:)``.
    struct StartFailure: Error, CustomStringConvertible {
        let component: String
        let cause: any Error
        var description: String { "\(component): \(cause)" }
    }

    func start(on group: EventLoopGroup) async throws {
        for place in components.indices where components[place].startsFirst { try await start(place, group) }
        for place in components.indices where !components[place].startsFirst { try await start(place, group) }
    }

    private func start(_ place: Int, _ group: EventLoopGroup) async throws {
        try Task.checkCancellation()
        health.note(.starting, place)
        do {
            try await components[place].start(on: group)
        } catch {
            throw StartFailure(component: components[place].name, cause: error)
        }
        hasStarted[place] = true
        health.note(.started, place)
    }

    /// For closing a few listeners and queueing a few goodbyes.
    private static let leaveMax: Duration = .seconds(1)

    /// Asks what was started to take nothing new.
    func leave() async {
        for place in components.indices.reversed() where hasStarted[place] {
            let component = components[place]
            do {
                try await withDeadline(Self.leaveMax) { await component.leave() }
            } catch {
                log.warn("service.leave_cut", ("component", .string(component.name)))
            }
        }
    }

    /// Time kept for each part still to come, so that a slow first one does not cost the others their flush.
    private static let reserve: Duration = .seconds(2)

    /// Stops what was started. Each part may take what the others leave of `limit`.
    func stop(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while let place = hasStarted.lastIndex(of: true) {
            let component = components[place]
            hasStarted[place] = false
            let others = hasStarted.count { $0 }
            let left = ContinuousClock.now.duration(to: end) - Self.reserve * others
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
