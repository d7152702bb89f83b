import HTTP
import Messaging
import Postgres
import Shared

/// An AI agent (document 001).
struct Agent: Sendable, Equatable {
    enum Status: String, Sendable, CaseIterable, PostgresValue { case training, learning, active, paused }
    enum Personality: String, Sendable, CaseIterable, PostgresValue {
        case professional, friendly, enthusiastic, empathetic, formal
    }
    enum Workday: String, Sendable, CaseIterable {
        case monday, tuesday, wednesday, thursday, friday, saturday, sunday
    }

    let id: AgentID
    let workspace: WorkspaceID
    var business: BusinessID?
    var name: String
    var greeting = ""
    var voice = ""
    var language = "en-US"
    /// Minutes.
    var retryInterval = 30
    var workdays: [String] = []
    /// `HH:MM:SS`
    var callFrom: String?
    var callTo: String?
    var timezone: String?
    var character = ""
    var personality: Personality = .professional
    var status: Status = .training
    var createdAt: Instant
    var updatedAt: Instant
    var version: Int64 = 1
    // Read only: what the training checklist looks at.
    var numbers = 0
    var callsHeld: Int64 = 0
    var hasActiveConfig = false
}

extension Agent {
    /// As other programs hear of it.
    var snapshot: AgentSnapshot {
        AgentSnapshot(
            id: id, workspaceID: workspace, version: version, businessID: business, name: name,
            status: status.rawValue, language: language, createdAt: createdAt, updatedAt: updatedAt)
    }

    /// The training checklist: what is configured and tried. `training_level` is the part that is done, in percent
    /// (contract: "a documented checklist of what is configured and tried, never a random number").
    var checklist: [(item: StaticString, done: Bool)] {
        [
            ("greeting", !greeting.isEmpty),
            ("voice_and_language", !voice.isEmpty && !language.isEmpty),
            ("character", !character.isEmpty),
            ("calling_hours", callFrom != nil && callTo != nil && !workdays.isEmpty),
            ("business_config", business != nil),
            ("active_business_config", hasActiveConfig),
            ("phone_number", numbers > 0),
            ("first_call_held", callsHeld > 0),
        ]
    }

    var trainingLevel: Int {
        let items = checklist
        return items.count(where: \.done) * 100 / items.count
    }
}

struct AgentFilter: Sendable {
    static let orders = ["created_at", "updated_at", "name", "status", "language"]
    var tenancy: Tenancy
    var workspace: WorkspaceID?
    var search: String?
    var status: Agent.Status?
    var language: String?
    var voice: String?
    var personality: Agent.Personality?
    var business: BusinessID?
    var createdFrom: Instant?
    var createdUntil: Instant?
    var order: Ordering

    init(tenancy: Tenancy) {
        self.tenancy = tenancy
        order = Ordering(field: "created_at", descending: true)
    }

    init(_ form: inout Form, tenancy: Tenancy) {
        self.tenancy = tenancy
        workspace = form.optionalID("workspace", as: WorkspaceID.self)
        search = form.optionalString("search", min: 1, max: 200)
        status = form.optionalChoice("status", as: Agent.Status.self)
        language = form.optionalString("language", max: 40)
        voice = form.optionalString("voice", max: 100)
        personality = form.optionalChoice("personality_type", as: Agent.Personality.self)
        business = form.optionalID("business_id", as: BusinessID.self)
        createdFrom = form.optionalDateBound("created_at__gte")?.firstInUTC
        createdUntil = form.optionalDateBound("created_at__lte")?.endInUTC
        order = Ordering(&form, among: Self.orders, default: Ordering(field: "created_at", descending: true))
    }
}

enum AgentStore {
    private static let columns: Query = """
        a.id, a.workspace_id, a.business_id, a.name, a.greeting, a.voice, a.language, a.retry_interval, a.workdays,
        a.call_from::text AS call_from, a.call_to::text AS call_to, a.timezone, a."character", a.personality_type,
        a.status, a.version, a.created_at, a.updated_at, a.calls_held,
        (SELECT count(*) FROM phone_numbers p WHERE p.agent_id = a.id) AS numbers,
        EXISTS (SELECT 1 FROM business_configs b WHERE b.id = a.business_id AND b.is_active) AS has_config
        """

    static func list(
        _ filter: AgentFilter, _ page: Page, in database: Database
    ) async throws -> (agents: [Agent], count: Int) {
        let condition = conditions(filter)
        let rows = try await database.query(
            """
            SELECT \(fragment: columns) FROM ai_agents a WHERE \(fragment: condition)
            ORDER BY \(fragment: order(filter.order)) LIMIT \(page.size) OFFSET \(page.offset)
            """)
        let count = try await database.queryOne(
            "SELECT count(*) AS n FROM ai_agents a WHERE \(fragment: condition)")
        return (try rows.map(Agent.init), try count.map { try $0["n"] } ?? 0)
    }

    private static func conditions(_ filter: AgentFilter) -> Query {
        var condition = ReadCalls.tenant(filter.tenancy, "a.workspace_id")
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let workspace = filter.workspace { add("a.workspace_id = \(workspace)") }
        if let words = filter.search {
            add("strpos(lower(a.name || ' ' || a.greeting || ' ' || a.\"character\"), lower(\(words))) > 0")
        }
        if let status = filter.status { add("a.status = \(status)") }
        if let language = filter.language { add("a.language = \(language)") }
        if let voice = filter.voice { add("a.voice = \(voice)") }
        if let personality = filter.personality { add("a.personality_type = \(personality)") }
        if let business = filter.business { add("a.business_id = \(business)") }
        if let from = filter.createdFrom { add("a.created_at >= \(from)") }
        if let until = filter.createdUntil { add("a.created_at < \(until)") }
        return condition
    }

    private static func order(_ order: Ordering) -> Query {
        let column: Query =
            switch order.field {
            case "updated_at": "a.updated_at"
            case "name": "a.name"
            case "status": "a.status"
            case "language": "a.language"
            default: "a.created_at"
            }
        return order.isDescending ? "\(fragment: column) DESC, a.id DESC" : "\(fragment: column), a.id"
    }

    static func find(_ id: AgentID, tenancy: Tenancy, in database: Database) async throws -> Agent? {
        let row = try await database.queryOne(
            """
            SELECT \(fragment: columns) FROM ai_agents a
            WHERE a.id = \(id) AND \(fragment: ReadCalls.tenant(tenancy, "a.workspace_id"))
            """)
        return try row.map(Agent.init)
    }

    static func lock(_ id: AgentID, _ tx: borrowing Transaction) async throws -> Agent? {
        let row = try await tx.queryOne("SELECT \(fragment: columns) FROM ai_agents a WHERE a.id = \(id) FOR UPDATE")
        return try row.map(Agent.init)
    }

    static func insert(_ agent: Agent, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO ai_agents (id, workspace_id, business_id, name, greeting, voice, language, retry_interval,
                                   workdays, call_from, call_to, timezone, "character", personality_type, status,
                                   created_at, updated_at)
            VALUES (\(agent.id), \(agent.workspace), \(agent.business), \(agent.name), \(agent.greeting),
                    \(agent.voice), \(agent.language), \(agent.retryInterval), \(agent.workdays),
                    \(agent.callFrom)::time, \(agent.callTo)::time, \(agent.timezone), \(agent.character),
                    \(agent.personality), \(agent.status), \(agent.createdAt), \(agent.updatedAt))
            """)
        tx.publish(AgentEvent.aiChanged(agent.snapshot))
    }

    static func save(_ agent: inout Agent, _ tx: borrowing Transaction) async throws {
        agent.version += 1
        _ = try await tx.execute(
            """
            UPDATE ai_agents SET version = \(agent.version), business_id = \(agent.business), name = \(agent.name),
                greeting = \(agent.greeting), voice = \(agent.voice), language = \(agent.language),
                retry_interval = \(agent.retryInterval), workdays = \(agent.workdays),
                call_from = \(agent.callFrom)::time, call_to = \(agent.callTo)::time, timezone = \(agent.timezone),
                "character" = \(agent.character), personality_type = \(agent.personality),
                status = \(agent.status), updated_at = \(agent.updatedAt)
            WHERE id = \(agent.id)
            """)
        tx.publish(AgentEvent.aiChanged(agent.snapshot))
    }

    /// Twice is once: only whoever found it tells of it.
    static func delete(_ id: AgentID, _ tx: borrowing Transaction) async throws {
        let row = try await tx.queryOne("DELETE FROM ai_agents WHERE id = \(id) RETURNING workspace_id, version")
        guard let row else { return }
        let version: Int64 = try row["version"]
        tx.publish(AgentEvent.aiRemoved(id: id, workspaceID: try row["workspace_id"], version: version + 1))
    }

    /// How many AI agents the workspace has and may have (nil: any number). Whoever asks holds the workspace's turn in
    /// making agents until their transaction ends, so two at once count each other.
    /// - Parameter free: what a workspace may have whose plan has not been heard of yet.
    static func allowance(
        of workspace: WorkspaceID, free: Int64?, _ tx: borrowing Transaction
    ) async throws -> (used: Int64, max: Int64?) {
        // Apart from the counting: a statement sees what was committed when it began, and this one may wait.
        _ = try await tx.query("SELECT pg_advisory_xact_lock(hashtextextended(\("agents:" + workspace.text), 0))::text")
        let row = try await tx.queryOne(
            """
            SELECT (SELECT count(*) FROM ai_agents WHERE workspace_id = \(workspace)) AS used,
                   p.workspace_id IS NOT NULL AS known, p.agent_limit
            FROM (SELECT 1) one LEFT JOIN workspace_plans p ON p.workspace_id = \(workspace)
            """)
        guard let row else { return (0, free) }
        return (try row["used"], try row["known"] ? try row["agent_limit"] : free)
    }

    /// Whether the name is a time zone PostgreSQL knows.
    static func knowsZone(_ name: String, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.queryOne("SELECT 1 AS known FROM pg_timezone_names WHERE name = \(name)") != nil
    }
}

extension Agent {
    init(_ row: Row) throws {
        self.init(
            id: try row["id"], workspace: try row["workspace_id"], business: try row["business_id"],
            name: try row["name"], greeting: try row["greeting"], voice: try row["voice"],
            language: try row["language"], retryInterval: try row["retry_interval"], workdays: try row["workdays"],
            callFrom: try row["call_from"], callTo: try row["call_to"], timezone: try row["timezone"],
            character: try row["character"], personality: try row["personality_type"], status: try row["status"],
            createdAt: try row["created_at"], updatedAt: try row["updated_at"], version: try row["version"],
            numbers: try row["numbers"],
            callsHeld: try row["calls_held"], hasActiveConfig: try row["has_config"])
    }
}
