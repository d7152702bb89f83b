import CLinux
import Glibc
import Shared

/// A part of a program that starts and stops with it: a server, a relay, a consumer.
public protocol Component: Sendable {
    var name: String { get }
    /// Returns when the part is at work. What it does from then on it does in tasks of the group's loops.
    func start(on group: EventLoopGroup) async throws
    /// Finishes what is under way, takes nothing new, and returns within the deadline.
    func stop(deadline: Duration) async
    /// Why the part cannot do its work now; nil when it can. Shown by `/readyz`.
    func unready() -> String?
}

extension Component {
    public func stop(deadline: Duration) async {}
    public func unready() -> String? { nil }
}

/// Runs a program: its commands, or its components until SIGTERM.
public enum Service {
    /// A command beside `serve`. Runs on a loop; what it throws is printed and exits with 1.
    public typealias Command = @Sendable (_ arguments: [String], _ settings: sending Settings) async throws -> Void

    /// All components together have this long to stop; then the process ends anyway.
    public static let drainMax: Duration = .seconds(25)

    /// The body of a program's `@main`.
    ///
    /// `serve` (or no argument) builds the components, starts them in order, waits for SIGTERM or SIGINT, and stops them
    /// in reverse. A second signal ends the process at once.
    ///
    /// Exit codes: 0 stopped in order, 1 failed, 64 unknown command, 78 settings unusable (sysexits.h).
    public static func main(
        _ program: String, commands: [String: Command] = [:],
        build: @escaping @Sendable (Settings) async throws -> [any Component]
    ) -> Never {
        let signals = cl_stop_signals()
        let arguments = CommandLine.arguments.dropFirst()
        let name = arguments.first ?? "serve"
        let log = Log(program: program, least: Environment.variables["LOG_LEVEL"].flatMap(Log.Level.init(name:)) ?? .info)
        if name == "serve" {
            serve(program, signals, log, build)
        } else if let command = commands[name] {
            run(command, Array(arguments.dropFirst()), signals)
        }
        let known = (["serve"] + commands.keys.sorted()).joined(separator: " | ")
        complain("\(program): unknown command \(name). Commands: \(known)")
        exit(name == "help" || name == "--help" ? 0 : 64)
    }

    private static func run(_ command: @escaping Command, _ arguments: [String], _ signals: Int32) -> Never {
        let group = EventLoopGroup(count: 1)
        group.start()
        watchSignals(signals) { _ in cl_exit_now(130) }
        group.loops[0].spawn("command") {
            do {
                try await command(arguments, Settings())
                exit(0)
            } catch {
                complain("\(error)")
                exit(error is Settings.Unusable ? 78 : 1)
            }
        }
        while true { pause() }
    }

    private static func serve(
        _ program: String, _ signals: Int32, _ log: Log, _ build: @escaping @Sendable (Settings) async throws -> [any Component]
    ) -> Never {
        let settings = Settings()
        let count = settings.int("LOOPS", default: EventLoopGroup.cores, in: 1...256)
        let group = EventLoopGroup(count: count)
        group.start()
        let stop = StopRequest()
        watchSignals(signals) { number in
            if !stop.fire() { cl_exit_now(128 + number) }
        }
        let began = ContinuousClock.now
        group.loops[0].spawn("service") {
            var started: [any Component] = []
            do {
                let components = try await build(Settings())
                for component in components {
                    try await component.start(on: group)
                    started.append(component)
                }
                Health.shared.watch(components)
                log.info(
                    "service.started", ("milliseconds", .int(began.duration(to: .now).milliseconds)),
                    ("loops", .int(Int64(group.loops.count))))
                await stop.wait(on: .required())
                log.info("service.stopping")
                await drain(started, log)
                log.info("service.stopped")
                exit(0)
            } catch {
                if error is Settings.Unusable {
                    complain("\(error)")
                    exit(78)
                }
                log.error("service.failed", ("error", "\(error)"))
                await drain(started, log)
                exit(1)
            }
        }
        while true { pause() }
    }

    /// Stops in reverse order: what others rely on goes last.
    static func drain(_ started: [any Component], _ log: Log) async {
        Health.shared.stopping()
        let end = ContinuousClock.now + drainMax
        for component in started.reversed() {
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero else {
                log.warn("service.drain_cut", ("component", "\(component.name)"))
                return
            }
            do {
                try await withDeadline(left) { await component.stop(deadline: left) }
            } catch {
                log.warn("service.stop_failed", ("component", "\(component.name)"), ("error", "\(error)"))
            }
        }
    }

    /// A thread that sleeps until a signal arrives: no handler ever runs in the middle of something.
    private static func watchSignals(_ descriptor: Int32, _ onSignal: @escaping @Sendable (Int32) -> Void) {
        startThread {
            var info = signalfd_siginfo()
            while read(descriptor, &info, MemoryLayout<signalfd_siginfo>.size) > 0 { onSignal(Int32(info.ssi_signo)) }
        }
    }

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }
}

/// Which parts of this program can work now; read by `/readyz`.
public final class Health: Sendable {
    public static let shared = Health()
    private let lock = Lock()
    // Guarded by `lock`.
    nonisolated(unsafe) private var components: [any Component] = []
    nonisolated(unsafe) private var isStopping = false

    func watch(_ components: [any Component]) { lock.withLock { self.components = components } }
    func stopping() { lock.withLock { isStopping = true } }

    /// Each part's name and why it is not ready; nil reasons are ready parts.
    public func parts() -> [(name: String, reason: String?)] {
        let (components, stopping) = lock.withLock { (self.components, isStopping) }
        guard !components.isEmpty else { return [("start", "still starting")] }
        return components.map { ($0.name, stopping ? "stopping" : $0.unready()) }
    }
}

/// The wish to stop, made by a signal on another thread.
private final class StopRequest: Sendable {
    private let lock = Lock()
    // Guarded by `lock`.
    nonisolated(unsafe) private var isFired = false
    nonisolated(unsafe) private var waiting: UnsafeContinuation<Void, Never>?

    /// False when it was made before.
    func fire() -> Bool {
        let (first, waiting): (Bool, UnsafeContinuation<Void, Never>?) = lock.withLock {
            defer {
                isFired = true
                self.waiting = nil
            }
            return (!isFired, self.waiting)
        }
        waiting?.resume()
        return first
    }

    func wait(on loop: EventLoop) async {
        await withUnsafeContinuation { continuation in
            let fired = lock.withLock {
                if !isFired { waiting = continuation }
                return isFired
            }
            if fired { continuation.resume() }
        }
    }
}
