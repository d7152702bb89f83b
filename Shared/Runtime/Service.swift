import CLinux
import Glibc
import Shared

/// Runs a program: its commands, or its components until SIGTERM.
public enum Service {
    /// A command beside `serve`. Runs on a loop; what it throws is printed and exits with 1.
    public typealias Command = @Sendable (_ arguments: [String], _ settings: sending Settings) async throws -> Void

    /// All components together have this long to stop; then the process ends anyway. Below the 30 s that Kubernetes and
    /// the local platform give.
    public static let drainMax: Duration = .seconds(25)

    /// The body of a program's `@main`.
    ///
    /// `serve` (or no argument) builds the components, opens its servers, starts the others in order, waits for SIGTERM or
    /// SIGINT, and stops them in reverse: what accepts takes nothing more, who is served for longer is told to go, requests
    /// are finished, and what is left to send is sent. A second signal ends the process at once. SIGPIPE is ignored. `build` may leave `settings.check()` to
    /// this function, which tells every complaint at once.
    ///
    /// Exit codes: 0 stopped in order, 1 failed, 64 unknown command, 78 settings unusable (sysexits.h), 128 + signal cut
    /// short.
    public static func main(
        _ program: String, arguments: [String] = Array(CommandLine.arguments.dropFirst()),
        commands: [String: Command] = [:], build: @escaping @Sendable (Settings) async throws -> [any Component]
    ) -> Never {
        let signals = StopSignals()
        let name = arguments.first ?? "serve"
        if name == "serve" { serve(program, signals, build) }
        if let command = commands[name] { run(command, Array(arguments.dropFirst()), signals) }
        let known = (["serve"] + commands.keys.sorted()).joined(separator: " | ")
        if ["help", "--help", "-h"].contains(name) { end(0, saying: "\(program) [\(known)]") }
        end(64, saying: "\(program): unknown command \(name). Commands: \(known)")
    }

    private static func run(_ command: @escaping Command, _ arguments: [String], _ signals: StopSignals) -> Never {
        let group = EventLoopGroup(count: 1)
        group.start()
        signals.watch { cl_exit_now(128 + $0) }
        group.loops[0].spawn("command") {
            do {
                try await command(arguments, Settings())
                end(0)
            } catch {
                end(error is Settings.Unusable ? 78 : 1, saying: "\(error)")
            }
        }
        while true { pause() }
    }

    // MARK: Serving

    private static func serve(
        _ program: String, _ signals: StopSignals,
        _ build: @escaping @Sendable (Settings) async throws -> [any Component]
    ) -> Never {
        let group = EventLoopGroup(count: loopCount(Settings()))
        group.start()
        let stop = StopRequest()
        signals.watch { if !stop.make() { cl_exit_now(128 + $0) } }
        ProcessMetrics.register(group)
        group.loops[0].spawn("service") { await run(program, group, stop, build) }
        while true { pause() }
    }

    private static func loopCount(_ settings: Settings) -> Int {
        settings.int("LOOPS", default: EventLoopGroup.cores, in: 1...256)
    }

    private static func run(
        _ program: String, _ group: EventLoopGroup, _ stop: StopRequest,
        _ build: @Sendable (Settings) async throws -> [any Component]
    ) async -> Never {
        let began = ContinuousClock.now
        let settings = Settings()
        // Read again for their complaints, to be told together with the program's own.
        _ = loopCount(settings)
        let log = Log(program: program, least: settings.choice("LOG_LEVEL", default: .info))
        let lifecycle: Lifecycle
        do {
            let components = try await build(settings)
            try settings.check()
            lifecycle = Lifecycle(components, health: .shared, log: log)
        } catch {
            // A build that failed for want of a setting is told as that.
            guard settings.complaints.isEmpty else { end(78, saying: Settings.Unusable(settings).description) }
            log.error("service.failed", ("error", "\(error)"))
            end(1)
        }
        do {
            try await start(lifecycle, group, stop)
            log.info(
                "service.started", ("milliseconds", .int(began.duration(to: .now).milliseconds)),
                ("loops", .int(group.loops.count)))
            await stop.wait()
        } catch {
            if !stop.wasMade { log.error("service.failed", ("error", "\(error)")) }
            await drain(lifecycle, log)
            end(stop.wasMade ? 0 : 1)
        }
        await drain(lifecycle, log)
        end(0)
    }

    /// A start that waits, for a database perhaps, ends when the program is asked to stop.
    private static func start(_ lifecycle: Lifecycle, _ group: EventLoopGroup, _ stop: StopRequest) async throws {
        let starting = Task.immediate(executorPreference: EventLoop.required()) { try await lifecycle.start(on: group) }
        stop.onMade { starting.cancel() }
        try await starting.value
    }

    private static func drain(_ lifecycle: Lifecycle, _ log: Log) async {
        log.info("service.stopping")
        Health.shared.stopping()
        let began = ContinuousClock.now
        // Not a timer of the loop: it must also end a program whose loop is stuck.
        startThread {
            sleep(UInt32(drainMax.components.seconds) + 1)
            log.error("service.drain_exceeded")
            cl_exit_now(1)
        }
        await lifecycle.leave()
        await lifecycle.stop(within: drainMax)
        log.info("service.stopped", ("milliseconds", .int(began.duration(to: .now).milliseconds)))
    }

    /// Ends the process without running exit handlers: other threads may still be inside the libraries these would free.
    private static func end(_ code: Int32, saying text: String? = nil) -> Never {
        if let text {
            let line = Array((text + "\n").utf8)
            _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        }
        fflush(nil)
        cl_exit_now(code)
    }
}
