import HTTP
import Messaging
import Postgres
import Program
import Runtime
import Shared

/// Turns what happens into what a browser may see, and keeps the latest of it for those who come back.
@main
enum RealtimeService {
    static func main() {
        Service.main(
            "realtime",
            commands: Program.commands("realtime") { settings, _ in
                consumer(Program(settings, "realtime", port: 8106))
            }
        ) { settings in
            let program = Program(settings, "realtime", port: 8106)
            // A busy workspace makes some 50 frames a second: two hours of absence are made good without a reload.
            let kept = settings.int("FRAMES_KEPT", default: 10_000, in: 100...1_000_000)
            try settings.check()
            let frames = ReadFrames(database: program.database)
            return [
                program.storage,
                program.relay(),
                consumer(program),
                program.erasing(ErasureStore.steps),
                Pruning(program.database, keeping: Int64(kept), program.log),
                program.server(
                    Router(
                        [frames.route] + Export.routes(ReadExport.sections(program.database)), program: program.name,
                        log: program.log)),
            ]
        }
    }

    private static func consumer(_ program: Program) -> Consumer {
        program.batchConsumer(
            [.telephonyCalls, .telephonyAgents, .qaScores, .authUsers, .authWorkspaces], onEvents)
    }

    /// All frames of a batch take their ids in one round trip: a browser waits for them.
    static func onEvents(_ envelopes: [Envelope], _ tx: borrowing Transaction) async throws {
        var waiting: [(frame: NewFrame, trace: TraceContext?)] = []
        var erased: [WorkspaceID: Bool] = [:]
        for envelope in envelopes {
            var frame: NewFrame?
            switch Topic(rawValue: envelope.topic) {
            case .telephonyCalls: frame = Frames.of(try envelope.event(as: CallEvent.self), at: envelope.time)
            case .qaScores: frame = Frames.of(try envelope.event(as: ScoreEvent.self), at: envelope.time)
            case .authWorkspaces:
                if case .deleted(let id) = try envelope.event(as: WorkspaceEvent.self) {
                    try await tx.erase(.workspace(id))
                    erased[id] = true
                }
            case .authUsers:
                if case .deleted(let id) = try envelope.event(as: UserEvent.self) { try await tx.erase(.user(id)) }
            case .telephonyAgents:
                // Frames name the human who has a call; auth does not wait for these.
                if case .removed(let id, let workspace) = try envelope.event(as: AgentEvent.self),
                    try await !tx.isErased(.workspace(workspace))
                {
                    try await tx.erase(.agent(id), reports: false)
                }
            default: continue
            }
            guard let frame else { continue }
            let workspace = frame.workspaceID
            if erased[workspace] == nil { erased[workspace] = try await tx.isErased(.workspace(workspace)) }
            if erased[workspace] == false { waiting.append((frame, envelope.trace?.child())) }
        }
        try await keep(waiting, tx)
    }

    /// Keeps frames and sends them to the gateways.
    private static func keep(
        _ frames: [(frame: NewFrame, trace: TraceContext?)], _ tx: borrowing Transaction
    ) async throws {
        let kept = try await FrameStore.keep(frames.map(\.frame), tx)
        for (frame, (_, trace)) in zip(kept, frames) {
            TraceContext.$current.withValue(trace) { tx.publish(FrameEvent(frame)) }
        }
    }
}

/// Forgets the oldest frames of workspaces that keep too many.
private final class Pruning: Component {
    let name = "pruning"
    private let database: Database
    private let kept: Int64
    private let log: Log

    private static let every: Duration = .seconds(30)

    init(_ database: Database, keeping kept: Int64, _ log: Log) {
        self.database = database
        self.kept = kept
        self.log = log
    }

    func start(on group: EventLoopGroup) async throws {
        group.loops[0].spawn("pruning") { [self] in
            while !Task.isCancelled {
                do {
                    while try await FrameStore.prune(keeping: kept, database) > 0 {}
                    try await EventLoop.sleep(for: Self.every)
                } catch is CancellationError {
                    return
                } catch {
                    log.warn("frames.not_pruned", ("error", "\(error)"))
                    try? await EventLoop.sleep(for: Self.every)
                }
            }
        }
    }
}
