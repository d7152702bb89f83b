import HTTP
import Messaging
import Program
import Runtime
import Shared

/// What the AI knows and how it behaves: knowledge entries, the search over them, and business configurations.
@main
enum KnowledgeService {
    static func main() {
        if CommandLine.arguments.dropFirst().first == ParseCommand.name { ParseCommand.run() }
        var commands = Program.commands("knowledge") { settings, _ in
            consumer(Program(settings, "knowledge", port: 8105))
        }
        commands["reindex"] = { _, settings in
            let program = Program(settings, "knowledge", port: 8105)
            let embedder = embedder(settings)
            try settings.check()
            guard let embedder else {
                throw Program.Usage(text: "EMBEDDINGS_URL is not set: there are no vectors to make")
            }
            let count = try await Reindexing(database: program.database, embedder: embedder).run()
            Program.say("\(count) passages have new vectors.")
        }
        Service.main("knowledge", commands: commands) { settings in
            let program = Program(settings, "knowledge", port: 8105)
            let tokens = program.tokens(settings)
            let knowledge = knowledge(settings, program)
            try settings.check()
            return [
                program.storage,
                program.relay(restate: [.knowledgeConfigs: { tx in try await ConfigStore.restate(tx) }]),
                consumer(program),
                program.erasing(ErasureStore.steps),
                Processing(knowledge),
                tokens,
                program.server(
                    program.router(
                        knowledge.routes + Export.routes(ReadExport.sections(program.database)), tokens: tokens)),
            ]
        }
    }

    private static func consumer(_ program: Program) -> Consumer {
        program.consumer([.authUsers, .authWorkspaces], unhurried: true) { envelope, tx in
            switch Topic(rawValue: envelope.topic) {
            case .authUsers: try await onUser(try envelope.event(as: UserEvent.self), tx)
            case .authWorkspaces: try await onWorkspace(try envelope.event(as: WorkspaceEvent.self), tx)
            default: return
            }
        }
    }

    private static func knowledge(_ settings: Settings, _ program: Program) -> Knowledge {
        var policy = Knowledge.Policy()
        policy.uploadMax = settings.int("UPLOAD_MAX_BYTES", default: policy.uploadMax, in: 1...(64 << 20))
        return Knowledge(
            database: program.database, embedder: embedder(settings),
            // Each may take a core and a good part of a gigabyte.
            parser: .separate(atOnce: settings.int("PARSERS", default: 2, in: 1...64)),
            users: .remote(settings.urls("TELEPHONY_URLS", default: ["http://127.0.0.1:8103"]), client: Client()),
            policy: policy, log: program.log)
    }

    /// The endpoint of `EMBEDDINGS_URL`; without one there are no vectors.
    private static func embedder(_ settings: Settings) -> Embedder? {
        let key = settings.secret("EMBEDDINGS_API_KEY", default: "")
        let model = settings.string("EMBEDDINGS_MODEL", default: "text-embedding-3-small")
        // Telephony waits 150 ms for an answer; text alone must still fit in.
        let within = settings.duration("EMBEDDINGS_WITHIN", default: .milliseconds(100))
        guard let url = settings.optionalURL("EMBEDDINGS_URL") else { return nil }
        return .remote(.init(url: url, key: key, model: model, questionWithin: within), client: Client())
    }
}
