import Glibc
import Shared
import Synchronization
import Testing

@testable import Runtime

/// Notes what happened to it. Starts and stops as told.
private final class Part: Component {
    let name: String
    private let notes: Notes
    let startsFirst: Bool
    private let onStart: @Sendable () async throws -> Void
    private let onStop: @Sendable (Duration) async -> Void

    init(
        _ name: String, _ notes: Notes, first: Bool = false, start: @escaping @Sendable () async throws -> Void = {},
        stop: @escaping @Sendable (Duration) async -> Void = { _ in }
    ) {
        self.name = name
        self.notes = notes
        startsFirst = first
        onStart = start
        onStop = stop
    }

    func start(on group: EventLoopGroup) async throws {
        try await onStart()
        notes.add("start \(name)")
    }

    func leave() async { notes.add("leave \(name)") }

    func stop(deadline: Duration) async {
        notes.add("stop \(name)")
        await onStop(deadline)
    }
}

/// On standard output too if wanted, where a parent process can read them.
private final class Notes: Sendable {
    private let lock = Lock()
    // Guarded by `lock`.
    nonisolated(unsafe) private var notes: [String] = []
    private let printed: Bool
    init(printed: Bool = false) { self.printed = printed }
    func add(_ note: String) {
        lock.withLock { notes.append(note) }
        if printed { Log.toOutput(Array("\(note)\n".utf8)) }
    }
    var all: [String] { lock.withLock { notes } }
}

private struct Refused: Error {}

/// `Service.main` takes over signals and never returns, so it runs in processes of its own.
@Suite struct ServiceTests {
    private static let quiet = Log(program: "test") { _ in }

    @Test func `parts start in order and stop in reverse`() async throws {
        let notes = Notes()
        try await onOwnLoop {
            let lifecycle = Lifecycle(["database", "producer", "server"].map { Part($0, notes) }, log: Self.quiet)
            try await lifecycle.start(on: EventLoopGroup(count: 1))
            await lifecycle.stop(within: .seconds(5))
        }
        #expect(
            notes.all == [
                "start database", "start producer", "start server", "stop server", "stop producer", "stop database",
            ])
    }

    @Test func `a door opens before all others, and tells which part is awaited`() async throws {
        let notes = Notes()
        let health = Health()
        try await onOwnLoop {
            let asked = Notes()
            let parts = [
                Part("database", notes, start: { asked.add(Self.told(health)) }),
                Part("relay", notes, start: { asked.add(Self.told(health)) }),
                Part("server", notes, first: true, start: { asked.add(Self.told(health)) }),
            ]
            let lifecycle = Lifecycle(parts, health: health, log: Self.quiet)
            try await lifecycle.start(on: EventLoopGroup(count: 1))
            #expect(
                asked.all == [
                    "database: not started yet, relay: not started yet, server: starting",
                    "database: starting, relay: not started yet, server: ready",
                    "database: ready, relay: starting, server: ready",
                ])
            #expect(Self.told(health) == "database: ready, relay: ready, server: ready")
            await lifecycle.leave()
            await lifecycle.stop(within: .seconds(5))
        }
        #expect(
            notes.all == [
                "start server", "start database", "start relay",
                "leave server", "leave relay", "leave database",
                "stop server", "stop relay", "stop database",
            ])
    }

    private static func told(_ health: Health) -> String {
        health.parts().map { "\($0.name): \($0.reason ?? "ready")" }.joined(separator: ", ")
    }

    @Test func `a part that cannot start is named, and only those before it are stopped`() async throws {
        let notes = Notes()
        try await onOwnLoop {
            let parts = [
                Part("database", notes), Part("server", notes, start: { throw Refused() }), Part("relay", notes),
            ]
            let lifecycle = Lifecycle(parts, log: Self.quiet)
            let failure = await #expect(throws: Lifecycle.StartFailure.self) {
                try await lifecycle.start(on: EventLoopGroup(count: 1))
            }
            #expect(failure?.component == "server")
            #expect(failure?.cause is Refused)
            await lifecycle.stop(within: .seconds(5))
        }
        #expect(notes.all == ["start database", "stop database"])
    }

    @Test func `a slow part is cut off and leaves the others their time`() async throws {
        let notes = Notes()
        let lines = Notes()
        try await onOwnLoop {
            let parts = [
                Part("producer", notes, stop: { left in if left >= .milliseconds(200) { notes.add("flushed") } }),
                Part("server", notes, stop: { _ in try? await EventLoop.sleep(for: .seconds(600)) }),
            ]
            let log = Log(program: "test") { lines.add(String(decoding: $0, as: UTF8.self)) }
            let lifecycle = Lifecycle(parts, log: log)
            try await lifecycle.start(on: EventLoopGroup(count: 1))
            let began = ContinuousClock.now
            await lifecycle.stop(within: .milliseconds(2050))
            #expect(began.duration(to: .now) < .seconds(10))
        }
        #expect(notes.all.suffix(3) == ["stop server", "stop producer", "flushed"])
        #expect(lines.all.contains { $0.contains("service.stop_cut") && $0.contains("server") })
    }

    @Test func `every unusable setting is told on standard error and the process exits with 78`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(78), observing: [\.standardErrorContent]
        ) {
            setenv("LOOPS", "many", 1)
            setenv("PORT", "-1", 1)
            Service.main("auth", arguments: []) { settings in
                _ = settings.string("SOME_UNSET_NAME")
                _ = settings.int("PORT", in: 0...65_535)
                return []
            }
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        for name in ["LOOPS", "SOME_UNSET_NAME", "PORT"] { #expect(text.contains("  \(name) "), "\(text)") }
    }

    @Test func `SIGTERM drains in reverse and exits with 0`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(0), observing: [\.standardOutputContent]
        ) {
            let notes = Notes(printed: true)
            Service.main("auth", arguments: ["serve"]) { _ in
                [Part("database", notes), Part("server", notes, start: { killSoon(SIGTERM) })]
            }
        }
        let text = String(decoding: result.standardOutputContent, as: UTF8.self)
        let places = [
            "start database", "start server", "service.started", "service.stopping", "leave server", "leave database",
            "stop server", "stop database",
            "service.stopped",
        ]
        .map { text.firstRange(of: $0)?.lowerBound }
        #expect(!places.contains(nil), "\(text)")
        #expect(places.compactMap { $0 } == places.compactMap { $0 }.sorted(), "\(text)")
        #expect(text.contains("\"milliseconds\":"))
    }

    @Test func `SIGTERM ends a start that waits for ever`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(0), observing: [\.standardOutputContent]
        ) {
            let notes = Notes(printed: true)
            Service.main("auth", arguments: []) { _ in
                [
                    Part("producer", notes),
                    Part(
                        "database", notes,
                        start: {
                            killSoon(SIGTERM)
                            try await EventLoop.sleep(for: .seconds(600))
                        }),
                ]
            }
        }
        let text = String(decoding: result.standardOutputContent, as: UTF8.self)
        #expect(text.contains("stop producer") && !text.contains("service.started"), "\(text)")
    }

    @Test func `a second signal ends the process at once`() async {
        await #expect(processExitsWith: .exitCode(128 + SIGINT)) {
            let notes = Notes()
            Service.main("auth", arguments: []) { _ in
                [
                    Part(
                        "server", notes, start: { killSoon(SIGTERM) },
                        stop: { _ in
                            killSoon(SIGINT)
                            try? await EventLoop.sleep(for: .seconds(600))
                        })
                ]
            }
        }
    }

    @Test func `a failing start stops what had started and exits with 1`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(1), observing: [\.standardOutputContent]
        ) {
            let notes = Notes(printed: true)
            Service.main("auth", arguments: []) { _ in
                [Part("database", notes), Part("server", notes, start: { throw Refused() })]
            }
        }
        let text = String(decoding: result.standardOutputContent, as: UTF8.self)
        #expect(
            text.contains("service.failed") && text.contains("Refused") && text.contains("stop database"), "\(text)")
    }

    @Test func `a command runs on a loop with its arguments and its exit code says how it went`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(0), observing: [\.standardOutputContent]
        ) {
            let commands: [String: Service.Command] = [
                "migrate": { arguments, _ in
                    try await EventLoop.sleep(for: .milliseconds(1))
                    print("migrating", arguments.joined(separator: " "))
                }
            ]
            Service.main("auth", arguments: ["migrate", "--dry", "now"], commands: commands) { _ in [] }
        }
        #expect(String(decoding: result.standardOutputContent, as: UTF8.self) == "migrating --dry now\n")
        await #expect(processExitsWith: .exitCode(1)) {
            Service.main("auth", arguments: ["fail"], commands: ["fail": { _, _ in throw Refused() }]) { _ in [] }
        }
    }

    @Test func `an unknown command is refused with the known ones`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(64), observing: [\.standardErrorContent]
        ) {
            Service.main("auth", arguments: ["sevre"], commands: ["migrate": { _, _ in }]) { _ in [] }
        }
        #expect(String(decoding: result.standardErrorContent, as: UTF8.self).contains("serve | migrate"))
    }
}

/// Sends a signal to this process in a moment.
private func killSoon(_ signal: Int32) {
    _ = EventLoop.required().after(.milliseconds(50)) { kill(getpid(), signal) }
}
