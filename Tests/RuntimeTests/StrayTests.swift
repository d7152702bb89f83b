import Glibc
import Shared
import Synchronization
import Testing

@testable import Runtime

/// Work that leaves its loop lands on the global pool; the concurrency runtime lets us look at each such job. Counted in
/// processes of their own, where nobody else uses that pool.
@Suite struct StrayTests {
    @Test func `no kind of wait leaves its loop`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let strays = await Strays.during(everyWait)
            exit(min(255, Int32(strays)))
        }
    }

    @Test func `a bare task is counted as a stray, so the test above can fail`() async {
        await #expect(processExitsWith: .exitCode(7)) {
            let strays = await Strays.during(bareTask)
            exit(strays > 0 ? 7 : 0)
        }
    }
}

/// Goes through every way to wait; how often it found itself somewhere else afterwards.
@Sendable private func everyWait(_ loop: EventLoop, _ other: EventLoop) async throws -> Int {
    let strayed = Tally(loop)
    try await EventLoop.sleep(for: .milliseconds(1))
    strayed.look()
    _ = try await Blocking.shared.run { 1 }
    strayed.look()
    _ = try await Address.resolve("localhost", port: 1)
    strayed.look()
    await loop.spawn { try? await EventLoop.sleep(for: .milliseconds(1)) }.value
    strayed.look()
    await other.spawn { try? await EventLoop.sleep(for: .milliseconds(1)) }.value
    strayed.look()
    try? await withDeadline(.milliseconds(1)) { try await EventLoop.sleep(for: .seconds(60)) }
    strayed.look()
    async let stays = EventLoop.current === loop
    if await !stays { strayed.count += 1 }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 { group.addTask { try await EventLoop.sleep(for: .milliseconds(1)) } }
        try await group.waitForAll()
    }
    strayed.look()
    let (stream, input) = AsyncStream.makeStream(of: Int.self)
    other.execute {
        input.yield(1)
        input.finish()
    }
    for await _ in stream { strayed.look() }
    strayed.look()
    try await throughQueue()
    strayed.look()
    try await throughSocket()
    strayed.look()
    let retry = Retry(attempts: 3, first: .milliseconds(1))
    try await retry {
        if strayed.tries < 2 { throw Retried() }
        strayed.look()
    }
    return strayed.count
}

@Sendable private func bareTask(_ loop: EventLoop, _ other: EventLoop) async throws -> Int {
    await Task { () }.value
    return 0
}

private struct Retried: Error {}

private final class Tally {
    private let loop: EventLoop
    var count = 0
    private var asked = 0
    var tries: Int {
        asked += 1
        return asked
    }
    init(_ loop: EventLoop) { self.loop = loop }
    func look() { if EventLoop.current !== loop { count += 1 } }
}

private func throughQueue() async throws {
    let queue = AsyncQueue<Int>(max: 1)
    nonisolated(unsafe) let input = queue
    EventLoop.required().spawn {
        for number in 0..<5 { try? await input.push(number) }
        input.finish()
    }
    while try await queue.next() != nil {}
}

private func throughSocket() async throws {
    let (a, b) = try await SocketTests.pair()
    let bytes: [UInt8] = [1, 2, 3]
    _ = EventLoop.required().after(.milliseconds(1)) { _ = try? bytes.withUnsafeBytes { try b.tryWrite($0) } }
    _ = try await a.read()
}

/// Counts what is put on the global pool while a body runs on a loop.
private enum Strays {
    private static let count = Atomic<Int>(0)

    /// Jobs put on the global pool, and what the body counted itself; 255 when it failed.
    static func during(_ body: @escaping @Sendable (_ loop: EventLoop, _ other: EventLoop) async throws -> Int) async
        -> Int
    {
        watchGlobalPool()
        let group = EventLoopGroup(count: 2)
        group.start()
        let (loop, other) = (group.loops[0], group.loops[1])
        return await withCheckedContinuation { done in
            loop.spawn {
                // One wait first: from here on the loop itself runs the task.
                try? await EventLoop.sleep(for: .milliseconds(1))
                let before = count.load(ordering: .sequentiallyConsistent)
                let wrong: Int
                do { wrong = try await body(loop, other) } catch { wrong = 255 }
                done.resume(returning: count.load(ordering: .sequentiallyConsistent) - before + wrong)
            }
        }
    }

    /// `swift_task_enqueueGlobal_hook` (swift/Runtime/Concurrency.h) is called instead of the original, which it gets.
    private static func watchGlobalPool() {
        typealias Original = @convention(c) (OpaquePointer) -> Void
        typealias Hook = @convention(c) (OpaquePointer, Original) -> Void
        let hook: Hook = { job, original in
            Strays.count.wrappingAdd(1, ordering: .sequentiallyConsistent)
            original(job)
        }
        guard let place = dlsym(nil, "swift_task_enqueueGlobal_hook") else { exit(254) }
        place.assumingMemoryBound(to: Hook?.self).pointee = hook
    }
}
