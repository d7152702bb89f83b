import Shared
import Synchronization
import Testing

@testable import Runtime

/// Runs a body on a loop of its own and gives back what it returns.
@discardableResult
func onOwnLoop<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
    let group = EventLoopGroup(count: 1)
    group.start()
    defer { group.stop() }
    return try await withCheckedThrowingContinuation { continuation in
        group.loops[0].spawn {
            do { continuation.resume(returning: try await body()) } catch { continuation.resume(throwing: error) }
        }
    }
}

@Suite struct EventLoopTests {
    @Test func `a task stays on its loop over every kind of wait`() async throws {
        try await onOwnLoop {
            let loop = EventLoop.required()
            try await EventLoop.sleep(for: .milliseconds(1))
            #expect(EventLoop.current === loop)
            _ = try await Blocking.shared.run { 1 }
            #expect(EventLoop.current === loop)
            try await withDeadline(.seconds(5)) {
                try await loop.sleep(for: .milliseconds(1))
                #expect(EventLoop.current === loop)
            }
            #expect(EventLoop.current === loop)
            async let other: Bool = { EventLoop.current === loop }()
            #expect(await other)
        }
    }

    @Test func `timers fire in the order they are due and cancelled ones never`() async throws {
        let fired = try await onOwnLoop {
            let loop = EventLoop.required()
            final class Box { var fired: [Int] = [] }
            let box = Box()
            let never = loop.after(.milliseconds(2)) { box.fired.append(99) }
            for number in [5, 1, 4, 2, 3] { _ = loop.after(.milliseconds(number * 3)) { box.fired.append(number) } }
            never.cancel()
            while box.fired.count < 5 { try await loop.sleep(for: .milliseconds(1)) }
            return box.fired
        }
        #expect(fired == [1, 2, 3, 4, 5])
    }

    @Test func `a cancelled sleep ends at once with a CancellationError`() async throws {
        let took = try await onOwnLoop {
            let began = ContinuousClock.now
            let task = EventLoop.required().spawn {
                await #expect(throws: CancellationError.self) { try await EventLoop.sleep(for: .seconds(60)) }
            }
            task.cancel()
            await task.value
            return began.duration(to: .now)
        }
        #expect(took < .seconds(10))
    }

    @Test func `what takes longer than its deadline is cancelled and told so`() async throws {
        try await onOwnLoop {
            await #expect(throws: DeadlineExceeded.self) {
                try await withDeadline(.milliseconds(5)) { try await EventLoop.sleep(for: .seconds(60)) }
            }
            let seven = try await withDeadline(.seconds(60)) { 7 }
            #expect(seven == 7)
        }
    }

    @Test func `two sockets exchange more than their buffers hold`() async throws {
        try await onOwnLoop {
            let listener = try Socket.listen(host: "127.0.0.1", port: 0)
            let port = listener.localPort
            let watch = EventLoop.required().watch(listener.descriptor) { _ in
                guard let accepted = try? listener.accept() else { return }
                nonisolated(unsafe) let socket = accepted
                EventLoop.required().spawn {
                    while let bytes = try? await socket.read(), !bytes.isEmpty { try? await socket.write(bytes) }
                    socket.close()
                }
            }
            watch.set(read: true, write: false)
            let client = try await Socket.connect(host: "127.0.0.1", port: port)
            let sent = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            nonisolated(unsafe) let writer = client
            let writing = EventLoop.required().spawn {
                try? await writer.write(sent)
                writer.shutdown(1)
            }
            var received: [UInt8] = []
            while received.count < sent.count {
                let bytes = try await client.read()
                if bytes.isEmpty { break }
                received += bytes
            }
            await writing.value
            #expect(received == sent)
            watch.cancel()
        }
    }

    @Test func `a connection nobody accepts fails with the system's reason`() async throws {
        try await onOwnLoop {
            await #expect(throws: Socket.Failure.self) {
                _ = try await Socket.connect(host: "127.0.0.1", port: 1)
            }
        }
    }

    @Test func `a pool with a full queue refuses instead of waiting`() async throws {
        try await onOwnLoop {
            let pool = Blocking(threads: 1, queueMax: 1)
            let held = Hold()
            let loop = EventLoop.required()
            let first = loop.spawn { try? await pool.run { held.wait() } }
            while !held.isEntered { try await EventLoop.sleep(for: .milliseconds(1)) }
            let second = loop.spawn { try? await pool.run {} }
            await #expect(throws: Blocking.Full.self) { try await pool.run {} }
            held.release()
            await first.value
            await second.value
        }
    }
}

/// Holds a pool's thread until released.
private final class Hold: Sendable {
    private let entered = Atomic<Bool>(false)
    private let released = Atomic<Bool>(false)
    var isEntered: Bool { entered.load(ordering: .acquiring) }
    func wait() {
        entered.store(true, ordering: .releasing)
        while !released.load(ordering: .acquiring) {}
    }
    func release() { released.store(true, ordering: .releasing) }
}
