import Synchronization
import Testing

@testable import Runtime

@Suite struct WaitingTests {
    @Test func `a queue hands on in order, holds no more than its limit, and ends`() async throws {
        try await onOwnLoop {
            let queue = AsyncQueue<Int>(max: 3)
            #expect([1, 2, 3].allSatisfy { queue.tryPush($0) })
            #expect(!queue.tryPush(4))
            nonisolated(unsafe) let input = queue
            let pushing = EventLoop.required().spawn {
                for number in 4...2000 { try? await input.push(number) }
                input.finish()
            }
            var seen: [Int] = []
            while let number = try await queue.next() {
                seen.append(number)
                #expect(queue.count <= 3)
            }
            await pushing.value
            #expect(seen == Array(1...2000))
            #expect(!queue.tryPush(0))
            await #expect(throws: CancellationError.self) { try await queue.push(0) }
        }
    }

    @Test func `a cancelled taker takes nothing`() async throws {
        try await onOwnLoop {
            let queue = AsyncQueue<Int>(max: 3)
            nonisolated(unsafe) let input = queue
            let taking = EventLoop.required().spawn {
                await #expect(throws: CancellationError.self) { _ = try await input.next() }
            }
            taking.cancel()
            await taking.value
            #expect(queue.tryPush(1))
            let first = try await queue.next()
            #expect(first == 1)
        }
    }

    @Test func `a signal wakes everyone who waits now, and nobody who comes later`() async throws {
        try await onOwnLoop {
            let signal = Signal()
            nonisolated(unsafe) let shared = signal
            nonisolated(unsafe) var woken = 0
            let waiting = (0..<3).map { _ in
                EventLoop.required().spawn {
                    try? await shared.wait()
                    woken += 1
                }
            }
            signal.fire()
            for task in waiting { await task.value }
            #expect(woken == 3)
            await #expect(throws: DeadlineExceeded.self) {
                try await withDeadline(.milliseconds(5)) { try await shared.wait() }
            }
        }
    }

    @Test func `a deadline lets an answer in time through, and an error of the body's own`() async throws {
        struct Own: Error {}
        try await onOwnLoop {
            await #expect(throws: Own.self) { try await withDeadline(.seconds(5)) { throw Own() } }
            // Cancelled from outside is not a deadline.
            let task = EventLoop.required().spawn {
                await #expect(throws: CancellationError.self) {
                    try await withDeadline(.seconds(60)) { try await EventLoop.sleep(for: .seconds(60)) }
                }
            }
            task.cancel()
            await task.value
        }
    }

    @Test func `a retry waits longer each time, gives up in the end, and not before`() async throws {
        struct Refused: Error {}
        try await onOwnLoop {
            let retry = Retry(attempts: 4, first: .milliseconds(1), longest: .milliseconds(3))
            var tries = 0
            await #expect(throws: Refused.self) {
                try await retry {
                    tries += 1
                    throw Refused()
                }
            }
            #expect(tries == 4)
            tries = 0
            await #expect(throws: Refused.self) {
                try await retry(while: { _ in false }) {
                    tries += 1
                    throw Refused()
                }
            }
            #expect(tries == 1)
            await #expect(throws: DeadlineExceeded.self) {
                try await withDeadline(.milliseconds(20)) { try await Retry.forever { throw Refused() } }
            }
        }
        let retry = Retry(attempts: 9, first: .milliseconds(100), longest: .seconds(1))
        for (failures, full) in [(1, 100), (2, 200), (4, 800), (5, 1000), (60, 1000)] {
            for _ in 0..<50 {
                let delay = retry.delay(after: failures)
                #expect(delay >= .milliseconds(full / 2) && delay <= .milliseconds(full))
            }
        }
    }

    @Test func `timers cancelled at random leave the rest in order and the heap empty`() {
        let heap = TimerHeap()
        let began = MonotonicClock.now()
        let millisecond: Int64 = 1_000_000
        var random = SystemRandomNumberGenerator()
        var fired: [Int] = []
        var timers: [Int: Timer] = [:]
        for number in 0..<2000 {
            let due = Int.random(in: 0..<10_000, using: &random)
            let timer = Timer(due: began + Int64(due) * millisecond, heap: heap) { fired.append(due) }
            heap.add(timer)
            timers[number] = timer
        }
        for number in 0..<2000 where number % 3 != 0 { timers[number]?.cancel() }
        // A second time must not take out somebody else.
        for number in 0..<2000 where number % 3 != 0 { timers[number]?.cancel() }
        #expect(heap.count == 667)
        #expect(heap.pop(dueAt: began - millisecond) == nil)
        while let timer = heap.pop(dueAt: began + 11_000 * millisecond) { timer.run() }
        #expect(fired.count == 667)
        #expect(fired == fired.sorted())
        #expect(heap.count == 0)
    }

    @Test(
        arguments: [
            (Duration.zero, 0), (.nanoseconds(1), 1), (.seconds(-5), 0), (.milliseconds(1500), 1_500_000_000),
            (Duration(secondsComponent: 0, attosecondsComponent: 1), 1),
            (.seconds(Int64.max / 2), 3_000_000_000_000_000_000),
        ] as [(Duration, Int64)])
    func `a duration becomes nanoseconds, never fewer`(duration: Duration, nanoseconds: Int64) {
        #expect(MonotonicClock.nanoseconds(duration) == nanoseconds)
    }

    @Test func `a task that never waits lets timers and other threads through`() async throws {
        try await onOwnLoop {
            let loop = EventLoop.required()
            nonisolated(unsafe) var ended = false
            nonisolated(unsafe) var arrived = false
            nonisolated(unsafe) var rounds = 0
            _ = loop.after(.milliseconds(5)) { ended = true }
            startThread { loop.execute { arrived = true } }
            try await withDeadline(.seconds(10)) {
                while !ended || !arrived {
                    try Task.checkCancellation()
                    await Task.yield()
                    rounds += 1
                }
            }
            #expect(rounds > 1)
        }
    }

    @Test func `work from other threads is all done, also when the loop is just falling asleep`() async throws {
        let group = EventLoopGroup(count: 1)
        group.start()
        defer { group.stop() }
        let loop = group.loops[0]
        let done = DoneCount()
        await withTaskGroup(of: Void.self) { tasks in
            for _ in 0..<4 {
                tasks.addTask {
                    for _ in 0..<20_000 {
                        // One at a time, so that the loop goes to sleep in between.
                        await withCheckedContinuation { next in
                            loop.execute {
                                done.add()
                                next.resume()
                            }
                        }
                    }
                }
            }
        }
        #expect(done.count == 80_000)
    }
}

private final class DoneCount: Sendable {
    private let value = Atomic<Int>(0)
    var count: Int { value.load(ordering: .sequentiallyConsistent) }
    func add() { value.wrappingAdd(1, ordering: .sequentiallyConsistent) }
}
