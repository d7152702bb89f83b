import Glibc
import Testing

@testable import Runtime

@Suite struct SocketTests {
    /// Two connected sockets on the current loop.
    static func pair() async throws -> (Socket, Socket) {
        let listener = try Socket.listen(host: "127.0.0.1", port: 0, reusePort: false)
        defer { listener.close() }
        let client = try await Socket.connect(host: "127.0.0.1", port: listener.localPort)
        while true {
            if let server = try listener.accept() { return (client, server) }
            try await EventLoop.sleep(for: .milliseconds(1))
        }
    }

    static func tryRead(_ socket: Socket, _ max: Int = 64) throws -> [UInt8]? {
        var count: Int?
        let bytes = try [UInt8](unsafeUninitializedCapacity: max) { buffer, used in
            count = try socket.tryRead(into: UnsafeMutableRawBufferPointer(buffer))
            used = count ?? 0
        }
        return count == nil ? nil : bytes
    }

    /// Waits from now on; true when it was fired in time.
    private static func waiting(for signal: Signal) -> Task<Bool, Never> {
        nonisolated(unsafe) let signal = signal
        return Task.immediate(executorPreference: EventLoop.required()) {
            do { try await withDeadline(.seconds(10)) { try await signal.wait() } } catch { return false }
            return true
        }
    }

    @Test func `a read that would block says so and a wait ends when bytes arrive`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            #expect(try Self.tryRead(a) == nil)
            _ = EventLoop.required().after(.milliseconds(5)) {
                _ = try? Array("hello".utf8).withUnsafeBytes { try b.tryWrite($0) }
            }
            try await a.waitReadable()
            #expect(try Self.tryRead(a) == Array("hello".utf8))
            #expect(try Self.tryRead(a) == nil)
        }
    }

    @Test func `bytes and the end that arrive together are both read`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            try await b.write(Array("last words".utf8))
            b.close()
            // The short read must not make the socket wait for an edge that has already come.
            #expect(try await a.read() == Array("last words".utf8))
            #expect(try await a.read() == [])
        }
    }

    @Test func `many short exchanges never miss an edge`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            nonisolated(unsafe) let echo = b
            let echoing = EventLoop.required().spawn {
                while let bytes = try? await echo.read(max: 16), !bytes.isEmpty { try? await echo.write(bytes) }
            }
            try await withDeadline(.seconds(20)) {
                for round in 0..<2000 {
                    // Around the size of the buffer: shorter, exactly as long, longer.
                    let sent = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 15 + round % 3)
                    try await a.write(sent)
                    var received: [UInt8] = []
                    while received.count < sent.count { received += try await a.read(max: 16) }
                    #expect(received == sent)
                }
            }
            a.shutdown(SHUT_WR)
            await echoing.value
        }
    }

    @Test func `a peer that does not read stops the writer until it does`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            let block = [UInt8](repeating: 7, count: 65_536)
            var sent = 0
            while let count = try block.withUnsafeBytes({ try a.tryWrite($0) }) { sent += count }
            #expect(sent > 0)
            nonisolated(unsafe) var woken = false
            nonisolated(unsafe) let writer = a
            let waiting = EventLoop.required().spawn {
                try? await writer.waitWritable()
                woken = true
            }
            try await EventLoop.sleep(for: .milliseconds(20))
            #expect(!woken)
            var received = 0
            while received < sent { received += try await b.read(max: 1 << 20).count }
            await waiting.value
            #expect(received == sent)
        }
    }

    @Test func `several buffers leave in one write, in order`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            let (head, body) = (Array("head ".utf8), Array("body".utf8))
            let sent = try head.withUnsafeBytes { one in
                try body.withUnsafeBytes { two in try a.tryWritev([one, two]) }
            }
            #expect(sent == 9)
            #expect(try await b.read() == Array("head body".utf8))
        }
    }

    @Test func `a cancelled wait ends and the socket still works`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            #expect(try Self.tryRead(a) == nil)
            nonisolated(unsafe) let reader = a
            let waiting = EventLoop.required().spawn {
                await #expect(throws: CancellationError.self) { try await reader.waitReadable() }
            }
            waiting.cancel()
            await waiting.value
            try await b.write([1])
            #expect(try await a.read() == [1])
        }
    }

    @Test func `a parked reader goes on with bytes, with the end, and when the socket is broken off or closed`()
        async throws
    {
        for ending in ["bytes", "end", "shutdown", "close"] {
            try await onOwnLoop {
                let (a, b) = try await Self.pair()
                #expect(try Self.tryRead(a) == nil)
                nonisolated(unsafe) let reader = a
                nonisolated(unsafe) var hasGoneOn = false
                let waiting = EventLoop.required().spawn {
                    await withUnsafeContinuation { reader.park($0) }
                    hasGoneOn = true
                }
                #expect(!hasGoneOn)
                switch ending {
                case "bytes": try await b.write([1])
                case "end": b.close()
                case "shutdown": a.shutdown(SHUT_RDWR)
                default: a.close()
                }
                await waiting.value
                #expect(hasGoneOn)
                if ending == "bytes" { #expect(try Self.tryRead(a) == [1]) }
            }
        }
    }

    @Test func `nobody is parked where there is something to read or nothing more to come`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            // Nothing was tried yet: it may be readable.
            await withUnsafeContinuation { a.park($0) }
            a.close()
            await withUnsafeContinuation { a.park($0) }
            b.close()
        }
    }

    @Test func `closing ends whoever waits, and a closed socket touches no descriptor`() async throws {
        try await onOwnLoop {
            let (a, b) = try await Self.pair()
            #expect(try Self.tryRead(a) == nil)
            nonisolated(unsafe) let reader = a
            let waiting = EventLoop.required().spawn {
                await #expect(throws: Socket.Failure.self) { try await reader.waitReadable() }
            }
            a.close()
            await waiting.value
            #expect(throws: Socket.Failure.self) { try Self.tryRead(a) }
            await #expect(throws: Socket.Failure.self) { try await a.waitReadable() }
            b.close()
        }
    }

    @Test func `a watch cancelled too late leaves the new owner of its number alone`() async throws {
        try await onOwnLoop {
            let loop = EventLoop.required()
            let old = Pipe()
            let late = loop.watch(old.output) { _ in Issue.record("nothing was written to the old one") }
            late.set(read: true, write: false)
            // The number now stands for another pipe, as after a library's close and open.
            let new = Pipe()
            dup2(new.output, old.output)
            let signal = Signal()
            let watch = loop.watch(old.output) { _ in signal.fire() }
            watch.set(read: true, write: false)
            late.set(read: false, write: false)
            late.cancel()
            let waiting = Self.waiting(for: signal)
            new.write()
            #expect(await waiting.value)
            watch.cancel()
        }
    }

    @Test func `of two watches of one number the newer is told`() async throws {
        try await onOwnLoop {
            let loop = EventLoop.required()
            let pipe = Pipe()
            let older = loop.watch(pipe.output) { _ in Issue.record("the older watch was told") }
            older.set(read: true, write: false)
            let signal = Signal()
            let newer = loop.watch(pipe.output) { _ in signal.fire() }
            newer.set(read: true, write: false)
            older.cancel()
            let waiting = Self.waiting(for: signal)
            pipe.write()
            #expect(await waiting.value)
            newer.cancel()
        }
    }

    @Test func `watching what cannot be watched reports a hangup instead of silence`() async throws {
        try await onOwnLoop {
            let signal = Signal()
            let watch = EventLoop.required().watch(-1) { ready in if ready.contains(.hangup) { signal.fire() } }
            try await withDeadline(.seconds(10)) { try await signal.wait() }
            watch.cancel()
        }
    }

    @Test func `timers and watches may be cancelled after their loop has gone`() async throws {
        /// `@unchecked Sendable`: made on the loop, used by nobody at the same time.
        final class Kept: @unchecked Sendable {
            var timer: Timer?
            var watch: Watch?
        }
        let kept = Kept()
        let pipe = Pipe()
        let output = pipe.output
        weak var gone: EventLoop?
        do {
            let group = EventLoopGroup(count: 1)
            group.start()
            gone = group.loops[0]
            await withCheckedContinuation { done in
                group.loops[0].execute {
                    kept.timer = EventLoop.required().after(.seconds(60)) {}
                    kept.watch = EventLoop.required().watch(output) { _ in }
                    done.resume()
                }
            }
            group.stop()
        }
        let end = ContinuousClock.now + .seconds(10)
        while gone != nil, ContinuousClock.now < end { await Task.yield() }
        #expect(gone == nil)
        kept.timer?.cancel()
        kept.watch?.set(read: true, write: false)
        kept.watch?.cancel()
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("::", "::"),
    ])
    func `an address in digits keeps its host and port`(text: String, host: String) throws {
        let address = try #require(Address(host: text, port: 8443))
        #expect(address.host == host)
        #expect(address.port == 8443)
    }

    @Test func `a name is looked up off the loop and an unknown one fails`() async throws {
        try await onOwnLoop {
            let addresses = try await Address.resolve("localhost", port: 80)
            #expect(addresses.contains { $0.host == "127.0.0.1" || $0.host == "::1" })
            await #expect(throws: Address.Unknown.self) { try await Address.resolve("no.such.name.invalid", port: 80) }
        }
    }
}

/// A pipe whose reading end can be watched.
private final class Pipe: Sendable {
    let output: Int32
    private let input: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        pipe(&ends)
        (output, input) = (ends[0], ends[1])
    }

    func write() { Glibc.write(input, "x", 1) }

    deinit {
        close(output)
        close(input)
    }
}
