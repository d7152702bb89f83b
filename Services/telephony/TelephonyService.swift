import HTTP
import Kafka
import Messaging
import Postgres
import Program
import Runtime
import Shared

/// Calls, the conversations on them, and the people and numbers they need.
@main
enum TelephonyService {
    static func main() {
        Service.main(
            "telephony",
            commands: Program.commands("telephony") { settings, _ in
                let program = Program(settings, "telephony", port: 8103)
                return consumer(program, try telephony(settings, program))
            }
        ) { settings in
            let program = Program(settings, "telephony", port: 8103)
            let telephony = try telephony(settings, program)
            let tokens = program.tokens(settings)
            try settings.check()
            return [
                program.storage,
                program.relay(),
                consumer(program, telephony),
                commands(program, telephony),
                CarrierOrders(telephony),
                WaitingCalls(telephony),
                program.erasing(ErasureStore.steps(orders: telephony.ordersWaiting)),
                tokens,
                telephony.live,
                program.server(
                    program.router(
                        telephony.routes + Export.routes(ReadExport.sections(program.database)), tokens: tokens)),
            ]
        }
    }

    private static func consumer(_ program: Program, _ telephony: Telephony) -> Consumer {
        program.consumer(Telephony.listensTo) { envelope, tx in try await telephony.react(to: envelope, tx) }
    }

    /// Orders to live conversations reach every replica; the one that holds the socket acts.
    private static func commands(_ program: Program, _ telephony: Telephony) -> Broadcast {
        Broadcast(
            name: "commands", topics: [.telephonyCommands], from: .end, kafka: program.kafka, log: program.log
        ) { envelope in telephony.live.take(try envelope.event(as: CommandEvent.self)) }
    }

    private static func telephony(_ settings: Settings, _ program: Program) throws -> Telephony {
        let client = Client()
        let carrier = Twilio(
            account: .init(
                url: settings.url("TWILIO_API_URL", default: "https://api.twilio.com"),
                sid: settings.string("TWILIO_ACCOUNT_SID", default: ""),
                token: settings.secret("TWILIO_AUTH_TOKEN", default: "")),
            client: client)
        return Telephony(
            database: program.database, carrier: carrier.carrier, links: Links(publicURL: program.publicURL),
            relayToken: RelayToken(secret: settings.secret("SECRET_KEY", lengthMin: 32)),
            assistant: assistant(settings, client, program.log),
            knowledge: .remote(
                settings.urls("KNOWLEDGE_URLS", default: ["http://127.0.0.1:8105"]), client: client),
            live: LiveCalls(),
            rules: DialRules(allowed: settings.list("DIAL_PREFIXES", default: DialRules.allowedDefault)),
            policy: policy(settings), log: program.log, ordersWaiting: Wakeup())
    }

    private static func policy(_ settings: Settings) -> Telephony.Policy {
        var policy = Telephony.Policy()
        policy.ownNumber = settings.optional("TWILIO_PHONE_NUMBER", "a phone number such as +14155550100") {
            PhoneNumber($0)
        }
        policy.authToken = settings.optional("TWILIO_AUTH_TOKEN")
        policy.requiresRelaySignature = settings.bool("TWILIO_VALIDATE_RELAY", default: false)
        policy.detectsMachines = settings.bool("TWILIO_MACHINE_DETECTION", default: true)
        policy.charactersPerSecond = settings.double("SPEECH_CHARACTERS_PER_SECOND", default: 15, in: 0...1000)
        policy.lingerLeast = settings.duration("SPEECH_LINGER", default: .milliseconds(1500))
        policy.concurrentMax = settings.int("CALLS_CONCURRENT_MAX", default: 200, in: 1...100_000)
        policy.agentsFree = Int64(settings.int("FREE_PLAN_AGENT_LIMIT", default: 3))
        policy.reconcileAfter = settings.duration("CARRIER_RECONCILE_AFTER", default: .seconds(60))
        policy.humanWithin = settings.duration("HUMAN_ANSWER_WITHIN", default: .seconds(45))
        policy.knowledgeWithin = settings.duration("KNOWLEDGE_WITHIN", default: .milliseconds(150))
        return policy
    }

    /// HomeAI where there is a key, the offline responder where there is none or HomeAI fails.
    private static func assistant(_ settings: Settings, _ client: Client, _ log: Log) -> Assistant {
        let key = settings.optional("HOMEAI_API_KEY")
        let url = settings.optionalURL("HOMEAI_API_URL")
        let model = settings.string("HOMEAI_MODEL", default: "gpt-4o-mini")
        guard let key, let url else { return OfflineResponder.assistant }
        let home = HomeAI(account: .init(url: url, key: key, model: model), client: client)
        return .failingOver(home.assistant, to: OfflineResponder.assistant) { error in
            log.warn("homeai.failed", ("error", "\(error)"))
        }
    }
}
