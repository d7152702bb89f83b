import HTTP
import Messaging
import Program
import Runtime
import Shared

/// Plans, subscriptions and what calls use of them.
@main
enum BillingService {
    static func main() {
        Service.main(
            "billing",
            commands: Program.commands("billing") { settings, database in
                consumer(Program(settings, "billing", port: 8102))
            }
        ) { settings in
            let program = Program(settings, "billing", port: 8102)
            let free = FreePlan(
                callLimit: Int64(settings.int("FREE_PLAN_CALL_LIMIT", default: 1_000)),
                agentLimit: Int64(settings.int("FREE_PLAN_AGENT_LIMIT", default: 3)),
                minutesMax: Int64(settings.int("FREE_PLAN_MAX_MINUTES", default: 5_000)))
            let tokens = program.tokens(settings)
            try settings.check()
            let subscriptions = Subscriptions(database: program.database)
            return [
                program.storage,
                Periods(free, program.database, program.log),
                program.relay(),
                consumer(program),
                program.erasing(ErasureStore.steps),
                tokens,
                program.server(
                    program.router(
                        Routes.list(subscriptions) + Export.routes(ReadExport.sections(program.database)),
                        tokens: tokens)),
            ]
        }
    }

    private static func consumer(_ program: Program) -> Consumer {
        let calls = MeterCalls()
        return program.consumer(
            [.authUsers, .authWorkspaces, .telephonyCalls, .telephonyAgents], unhurried: true
        ) { envelope, tx in
            switch Topic(rawValue: envelope.topic) {
            case .authUsers: try await onUser(try envelope.event(as: UserEvent.self), tx)
            case .authWorkspaces: try await onWorkspace(try envelope.event(as: WorkspaceEvent.self), envelope.time, tx)
            case .telephonyAgents: try await onAgent(try envelope.event(as: AgentEvent.self), at: .now(), tx)
            case .telephonyCalls: try await calls.onCall(try envelope.event(as: CallEvent.self), tx)
            default: return
            }
        }
    }
}
