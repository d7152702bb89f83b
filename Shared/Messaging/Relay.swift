import Kafka
import Postgres
import Runtime
import Shared
import Synchronization

/// Moves what transactions published from the outbox to the broker: in order, at least once, and again when the broker
/// turns out to have lost it.
///
/// Every replica has one, and one at a time works: it holds an advisory lock from reading to moving the cursor, so no two
/// ever publish rows of the same key. A commit in this process wakes it; a look each second covers the commits of
/// processes that died.
public final class Relay: Component {
    public let name = "relay"
    private let database: Database
    private let kafka: KafkaSettings
    private let program: String
    private let restate: [Topic: Restate]
    private let log: Log
    let trouble = Guarded<String?>("waiting for the broker")
    private let running = Guarded<Running?>(nil)

    /// States the present again by publishing it in the given transaction: called when the broker lost a compacted topic,
    /// which holds more than the outbox keeps. Read what is published `FOR SHARE`, so that no newer change overtakes it.
    public typealias Restate = @Sendable (borrowing Transaction) async throws -> Void

    private struct Running: Sendable {
        let loop: EventLoop
        let work: RelayHandle
        let task: Task<Void, Never>
    }

    /// - Parameters:
    ///   - program: becomes `ce_source`.
    ///   - restate: for each compacted topic this program owns.
    public init(
        database: Database, kafka: KafkaSettings, program: String, restate: [Topic: Restate] = [:], log: Log? = nil
    ) {
        self.database = database
        self.kafka = kafka
        self.program = program
        self.restate = restate
        self.log = log ?? Log(program: program)
    }

    public func start(on group: EventLoopGroup) async throws {
        try Library.check()
        let loop = group.loops[0]
        let handle = RelayHandle(loop)
        Self.wakers.withLock { $0[ObjectIdentifier(self)] = handle }
        let task = loop.spawn("relay") { [self] in
            let work = RelayWork(
                database: database, kafka: kafka, program: program, restate: restate, log: log, report: tell)
            handle.attach(work)
            await work.run()
        }
        running.withLock { $0 = Running(loop: loop, work: handle, task: task) }
    }

    /// Publishes what is committed by now, then ends.
    public func stop(deadline: Duration) async {
        guard let running = running.withLock({ $0 }) else { return }
        running.work.finish()
        let timer = running.loop.spawn("relay.stop") {
            do {
                try await EventLoop.sleep(for: deadline)
                running.task.cancel()
            } catch {}
        }
        await running.task.value
        timer.cancel()
        Self.wakers.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(self)) }
    }

    /// Why events do not get out at present.
    public func unready() -> String? { trouble.withLock { $0 } }

    private func tell(_ reason: String?) { trouble.withLock { $0 = reason } }

    // MARK: Waking

    private static let wakers = Guarded<[ObjectIdentifier: RelayHandle]>([:])

    /// Tells every relay of this process that something was committed.
    static func wakeAll() {
        for waker in wakers.withLock({ Array($0.values) }) { waker.wake() }
    }
}

/// A relay's work as seen from other threads: it can be woken, and told to finish.
///
/// `@unchecked Sendable`: the work is touched on its loop only, the flag is atomic.
final class RelayHandle: @unchecked Sendable {
    private let loop: EventLoop
    private var work: RelayWork?
    private let isWoken = Atomic<Bool>(false)

    init(_ loop: EventLoop) { self.loop = loop }

    func attach(_ work: RelayWork) { self.work = work }

    /// Many commits in a row wake once.
    func wake() {
        guard !isWoken.exchange(true, ordering: .acquiringAndReleasing) else { return }
        loop.execute {
            self.isWoken.store(false, ordering: .releasing)
            self.work?.wake()
        }
    }

    func finish() {
        loop.execute { self.work?.finish() }
    }
}
