import Runtime
import Synchronization

/// Writes records: idempotent, acknowledged by all replicas, in the order given for each key.
///
/// Call it from any loop; it lives on one.
public final class Producer: Component {
    public let name = "kafka producer"
    private let settings: KafkaSettings
    private let deadline: Duration
    private let lock = Lock()
    // Guarded by `lock`.
    nonisolated(unsafe) private var home: Home?

    /// The core is touched on its loop only.
    private struct Home: @unchecked Sendable {
        let loop: EventLoop
        let core: ProducerCore
    }

    /// - Parameter deadline: how long no answer may come before everything under way is given up.
    public init(settings: KafkaSettings, deadline: Duration = .seconds(15)) {
        self.settings = settings
        self.deadline = deadline
    }

    public func start(on group: EventLoopGroup) async throws {
        try Library.check()
        _ = home(on: group.next())
    }

    /// Writes the records and waits until all are acknowledged; what was written is in the order of the records.
    ///
    /// When it throws, some of the records may be written all the same: the first ones of each partition. Sending all of
    /// them again therefore repeats records but changes no key's order, as long as nothing else is sent in between.
    /// - Throws: ``BrokerUnreachable``, ``KafkaError`` of the first record that failed, ``KafkaClosed``.
    public func send(_ records: [Record]) async throws -> [Delivery] {
        guard !records.isEmpty else { return [] }
        let home = home(on: .required())
        let result: Result<[Delivery], any Error> = await withUnsafeContinuation { continuation in
            let work: @Sendable () -> Void = {
                home.core.send(records) { continuation.resume(returning: $0) }
            }
            if EventLoop.current === home.loop { work() } else { home.loop.execute(work) }
        }
        return try result.get()
    }

    /// Waits until nothing is under way, or as long as it may take.
    public func flush(deadline: Duration = .seconds(10)) async {
        guard let home = lock.withLock({ home }) else { return }
        await withUnsafeContinuation { continuation in
            home.loop.spawn("kafka.flush") {
                await home.core.drain(deadline)
                continuation.resume()
            }
        }
    }

    public func stop(deadline: Duration) async {
        guard let home = lock.withLock({ home }) else { return }
        await withUnsafeContinuation { continuation in
            home.loop.spawn("kafka.producer.stop") {
                await home.core.drain(deadline)
                await home.core.close()
                continuation.resume()
            }
        }
    }

    /// Only ever says no while somebody waits for an answer: a producer with nothing to send needs no broker.
    public func unready() -> String? {
        lock.withLock { home }?.core.trouble.text
    }

    /// How often all brokers were lost so far. Whoever saw fewer may face another log than before.
    public var disconnections: Int { lock.withLock { home }?.core.disconnections.load(ordering: .relaxed) ?? 0 }

    private func home(on loop: EventLoop) -> Home {
        lock.withLock {
            if let home { return home }
            let made = Home(loop: loop, core: ProducerCore(settings, deadline: deadline, loop: loop))
            home = made
            return made
        }
    }
}

/// A reason to be not ready, written on one loop and read anywhere.
final class Trouble: Sendable {
    private let lock = Lock()
    // Guarded by `lock`.
    nonisolated(unsafe) private var reason: String?

    var text: String? {
        get { lock.withLock { reason } }
        set { lock.withLock { reason = newValue } }
    }
}
