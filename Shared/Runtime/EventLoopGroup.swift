import Glibc
import Synchronization

/// The loops of a program, one per core, each on a thread of its own.
public final class EventLoopGroup: Sendable {
    public let loops: [EventLoop]
    private let turn = Atomic<Int>(0)
    private let started = Atomic<Bool>(false)

    public init(count: Int = EventLoopGroup.cores) {
        loops = (0..<max(1, count)).map { EventLoop(index: $0) }
    }

    public static var cores: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    public func start() {
        guard !started.exchange(true, ordering: .acquiringAndReleasing) else { return }
        for loop in loops { startThread { loop.run() } }
    }

    /// Ends the loops after their current round. Tasks still on them never run again: stop components first.
    public func stop() {
        for loop in loops { loop.stop() }
    }

    /// The loops in turn, for work that belongs nowhere in particular.
    public func next() -> EventLoop {
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return loops[Int(UInt(bitPattern: turn) % UInt(loops.count))]
    }

    /// Runs an async body on every loop and waits for all.
    public func onEach(_ body: @escaping @Sendable (EventLoop) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for loop in loops {
                group.addTask(executorPreference: loop) { try await body(loop) }
            }
            try await group.waitForAll()
        }
    }
}
