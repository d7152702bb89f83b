import HTTP
import Runtime
import Shared
import TestSupport
import Testing

@testable import Auth

private let start = Instant(seconds: 1_800_000_000)

extension Throttle {
    /// For which no time goes by: however long a busy machine takes for a test, no wait runs out meanwhile.
    static func stopped(perAddress: Int = 100) -> Throttle { Throttle(perAddress: perAddress) { start } }
}

@Suite struct ThrottleTests {
    @Test func `the first failures cost nothing, then each doubles the wait up to a quarter of an hour`() {
        var failures = Failures()
        func fail(_ now: Instant) {
            failures.begin()
            failures.end(.failed, now: now)
        }
        for _ in 0..<10 { fail(start) }
        #expect(failures.wait(free: 10, now: start) == .zero)
        var waits: [Int64] = []
        for _ in 0..<13 {
            fail(start)
            waits.append(failures.wait(free: 10, now: start).components.seconds)
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900])
        #expect(failures.wait(free: 10, now: start + .seconds(899)) == .seconds(1))
        #expect(failures.wait(free: 10, now: start + .seconds(900)) == .zero)
        #expect(failures.wait(free: 10, now: start + .seconds(3600)) == .zero)
        fail(start + .seconds(3601))
        #expect(failures.count == 1)
    }

    /// Whether a check that ends so is let in.
    private func isLetIn(_ throttle: Throttle, _ keys: [Throttle.Key], succeeds: Bool = false) async -> Bool {
        do {
            _ = try await throttle.watch(keys) { succeeds ? true : nil }
            return true
        } catch { return false }
    }

    @Test func `of a thousand tries at once some dozens are made, and then none for long`() async throws {
        let throttle = Throttle.stopped()
        let keys = [Throttle.Key.account("ann", address: "203.0.113.9")]
        try await onLoop {
            let gate = Gate()
            let (made, refused) = (Tally(), Tally())
            let tries = (0..<1000).map { _ in
                EventLoop.required().spawn("try") {
                    let found = try? await throttle.watch(keys) { () -> Bool? in
                        made.add()
                        try await gate.signal.wait()
                        return nil
                    }
                    if found == nil { refused.add() }
                }
            }
            try await eventually { refused.count == 1000 - Failures.pendingMax }
            gate.signal.fire()
            for each in tries { await each.value }
            #expect(made.count == Failures.pendingMax)
        }
        let later = await isLetIn(throttle, keys, succeeds: true)
        #expect(!later)
    }

    /// `@unchecked Sendable`: touched on one loop only.
    private final class Gate: @unchecked Sendable { let signal = Signal() }

    @Test func `an error is no verdict, and success starts anew`() async throws {
        let throttle = Throttle.stopped()
        let keys = [Throttle.Key.account("ann", address: "a")]
        for _ in 0..<200 {
            await #expect(throws: CancellationError.self) {
                _ = try await throttle.watch(keys) { () -> Bool? in throw CancellationError() }
            }
        }
        for _ in 0..<3 {
            for _ in 0..<10 { #expect(await isLetIn(throttle, keys)) }
            #expect(await isLetIn(throttle, keys, succeeds: true))
        }
    }

    @Test func `an office behind one address may fail a hundred times, whatever else succeeds there`() async {
        let throttle = Throttle.stopped(perAddress: 100)
        for number in 0..<500 {
            #expect(await isLetIn(throttle, [.account("u\(number)", address: "a"), .address("a")], succeeds: true))
        }
        var letIn = 0
        for number in 0..<500 where await isLetIn(throttle, [.account("v\(number)", address: "a"), .address("a")]) {
            letIn += 1
        }
        #expect(letIn == 101)
        let off = Throttle.stopped(perAddress: 0)
        for _ in 0..<200 { #expect(await isLetIn(off, [.address("a")])) }
    }

    @Test func `it forgets rather than grow`() async {
        let throttle = Throttle.stopped()
        // Those that are watched most are kept.
        let watched = [Throttle.Key.account("watched", address: "a")]
        for _ in 0..<30 { _ = await isLetIn(throttle, watched) }
        for number in 0..<150_000 { _ = await isLetIn(throttle, [.account("x\(number)", address: "a")]) }
        #expect(await !isLetIn(throttle, watched))
    }

    @Test func `a stranger's guesses slow the stranger down, never the owner`() async throws {
        try await SignInRig.run { rig in
            _ = try await rig.register()
            // Here already: an address the owner has logged in from.
            #expect(await rig.logIn(from: "192.0.2.1").status == 200)
            var statuses: [Int] = []
            for _ in 0..<14 {
                statuses.append(await rig.logIn("ann@example.com", "a guess", from: "203.0.113.9").status)
            }
            #expect(statuses.first == 401 && statuses.last == 429)
            let refused = await rig.logIn(from: "203.0.113.9")
            #expect(refused.status == 429 && refused.headers["Retry-After"] != nil)
            // The owner, at home and on the road.
            #expect(await rig.logIn(from: "192.0.2.1").status == 200)
            #expect(await rig.logIn(from: "192.0.2.77").status == 200)
        }
    }

    @Test func `a stranger at the owner's own address does not slow the owner's device`() async throws {
        try await SignInRig.run(throttle: .stopped(perAddress: 20)) { rig in
            _ = try await rig.register()
            #expect(await rig.logIn(from: "192.0.2.1").status == 200)
            for number in 0..<40 { _ = await rig.logIn("x\(number)@example.com", "a guess", from: "192.0.2.1") }
            #expect(await rig.logIn("x50@example.com", "a guess", from: "192.0.2.1").status == 429)
            #expect(await rig.logIn(from: "192.0.2.1").status == 200)
        }
    }

    @Test func `known and unknown accounts are slowed down alike`() async throws {
        try await SignInRig.run { rig in
            _ = try await rig.register()
            func statuses(_ email: String) async -> [Int] {
                var statuses: [Int] = []
                for _ in 0..<13 { statuses.append(await rig.logIn(email, "a guess", from: "203.0.113.9").status) }
                return statuses
            }
            let known = await statuses("ann@example.com")
            #expect(known == (await statuses("bob@example.com")))
        }
    }
}
