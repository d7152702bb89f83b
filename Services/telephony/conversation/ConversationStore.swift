import Messaging
import Postgres
import Shared

/// What a conversation needs from the database when its socket opens.
struct Opening: Sendable {
    let call: Call
    /// Which socket of the call this is; only the newest may write.
    let epoch: Int
    let greeted: Bool
    let failures: Int
    let lines: [Question.Line]
    let profile: Profile
    let greeting: String
    /// What managers ordered while no socket was open.
    var orders: [Order] = []
}

enum ConversationStore {
    /// How much of a long call a new socket reads back: enough for a model's context, bounded for memory.
    static let linesMax = 60

    /// Makes this socket the call's newest. Nil when the call is unknown or over.
    static func open(_ id: CallID, sid: String?, at now: Instant, in database: Database) async throws -> Opening? {
        let claimed = try await database.transaction {
            (tx: borrowing Transaction) -> (Call, Int, Bool, Int, [Order])? in
            guard var call = try await CallStore.lock(id, tx), !call.status.isTerminal else { return nil }
            if let sid, let known = call.sid, known != sid { return nil }
            let row = try await tx.queryOne(
                """
                UPDATE calls SET relay_epoch = relay_epoch + 1 WHERE id = \(id)
                RETURNING relay_epoch, greeted, failures
                """)
            guard let row else { return nil }
            let changes = call.apply(CarrierReport(sid: sid ?? call.sid ?? "", state: .inProgress, at: now))
            if !changes.isEmpty { CallStore.save(&call, after: changes, tx) }
            let orders = try await InterventionStore.takeAll(of: id, tx)
            return (call, try row["relay_epoch"], try row["greeted"], try row["failures"], orders)
        }
        guard let (call, epoch, greeted, failures, orders) = claimed else { return nil }
        let lines = try await TranscriptStore.tail(of: id, max: linesMax, in: database)
        let (profile, greeting) = try await profile(of: call, in: database)
        return Opening(
            call: call, epoch: epoch, greeted: greeted, failures: failures, lines: lines, profile: profile,
            greeting: greeting, orders: orders)
    }

    /// Who speaks in this call, and with what words it begins.
    static func profile(of call: Call, in database: Database) async throws -> (Profile, greeting: String) {
        let rows = try await database.query(
            """
            SELECT a.name AS agent_name, a.greeting, a.language, a."character", a.personality_type,
                   b.name AS business_name, b.config_data
            FROM (SELECT \(call.agent)::uuid AS agent, \(call.business)::uuid AS business) AS ask
            LEFT JOIN ai_agents a ON a.id = ask.agent
            LEFT JOIN business_configs b ON b.id = ask.business AND b.is_active AND b.workspace_id = \(call.workspace)
            """)
        var profile = Profile()
        guard let row = rows.first else { return (profile, Self.greetingDefault) }
        let config: JSON? = try row["config_data"]
        profile.agentName = try row.decode("agent_name", as: String?.self) ?? "Assistant"
        profile.businessName = try row["business_name"]
        profile.character = try row["character"]
        profile.personality = try row["personality_type"]
        profile.language = try row.decode("language", as: String?.self) ?? config?["voice"]?["language"]?.string
        profile.apply(config)
        profile.override = call.instructions
        let greeting = try row.decode("greeting", as: String?.self) ?? ""
        return (profile, greeting.isEmpty ? Self.greetingDefault : greeting)
    }

    static let greetingDefault = "Hello, thank you for calling. How can I help you today?"
}

extension Profile {
    /// Takes what matters out of a business configuration's `config_data` (document 003 §4.1).
    mutating func apply(_ config: JSON?) {
        guard let config else { return }
        let ai = config["ai"]
        systemPrompt = ai?["system_prompt"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        model = ai?["model"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        temperature = ai?["temperature"]?.double
        let knowledge = config["knowledge_base"]
        usesKnowledge = knowledge?["enabled"]?.bool ?? true
        passagesMax = min(max(knowledge?["retrieval_top_k"]?.int ?? passagesMax, 1), 20)
        similarityLeast = knowledge?["similarity_threshold"]?.double ?? 0
        triggers = Triggers(config["escalation"])
        warmTransfer = config["escalation"]?["warm_transfer"]?.bool ?? true
    }
}
