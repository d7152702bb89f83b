import HTTP
import Postgres
import Shared

/// A phone number of a workspace (document 001's phone number; `PhoneNumber` is the number itself).
struct Line: Sendable, Equatable {
    let id: PhoneNumberID
    let workspace: WorkspaceID
    var number: PhoneNumber
    var agent: AgentID?
    var label = ""
    var isActive = true
    var createdAt: Instant
    var updatedAt: Instant
}

struct LineFilter: Sendable {
    static let orders = ["created_at", "updated_at", "phone_number", "label"]
    var tenancy: Tenancy
    var workspace: WorkspaceID?
    var agent: AgentID?
    var number: String?
    var search: String?
    var isActive: Bool?
    var isAssigned: Bool?
    var createdFrom: Instant?
    var createdUntil: Instant?
    var order = Ordering(field: "created_at", descending: true)

    init(tenancy: Tenancy) { self.tenancy = tenancy }

    init(_ form: inout Form, tenancy: Tenancy) {
        self.init(tenancy: tenancy)
        workspace = form.optionalID("workspace", as: WorkspaceID.self)
        agent = form.optionalID("agent", as: AgentID.self)
        number = form.optionalPhone("phone_number")?.text
        search = form.optionalString("search", min: 1, max: 100)
        isActive = form.optionalBool("is_active")
        isAssigned = form.optionalBool("is_assigned")
        createdFrom = form.optionalDateBound("created_at__gte")?.firstInUTC
        createdUntil = form.optionalDateBound("created_at__lte")?.endInUTC
        order = Ordering(&form, among: Self.orders, default: order)
    }
}

enum LineStore {
    private static let columns: Query =
        "p.id, p.workspace_id, p.phone_number, p.agent_id, p.label, p.is_active, p.created_at, p.updated_at"

    static func list(
        _ filter: LineFilter, _ page: Page, in database: Database
    ) async throws -> (lines: [Line], count: Int) {
        let condition = conditions(filter)
        let rows = try await database.query(
            """
            SELECT \(fragment: columns) FROM phone_numbers p WHERE \(fragment: condition)
            ORDER BY \(fragment: order(filter.order)) LIMIT \(page.size) OFFSET \(page.offset)
            """)
        let count = try await database.queryOne(
            "SELECT count(*) AS n FROM phone_numbers p WHERE \(fragment: condition)")
        return (try rows.map(Line.init), try count.map { try $0["n"] } ?? 0)
    }

    private static func conditions(_ filter: LineFilter) -> Query {
        var condition = ReadCalls.tenant(filter.tenancy, "p.workspace_id")
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let workspace = filter.workspace { add("p.workspace_id = \(workspace)") }
        if let agent = filter.agent { add("p.agent_id = \(agent)") }
        if let number = filter.number { add("p.phone_number = \(number)") }
        if let words = filter.search {
            add("(strpos(p.phone_number, \(words)) > 0 OR strpos(lower(p.label), lower(\(words))) > 0)")
        }
        if let active = filter.isActive { add("p.is_active = \(active)") }
        if let assigned = filter.isAssigned { add("(p.agent_id IS NOT NULL) = \(assigned)") }
        if let from = filter.createdFrom { add("p.created_at >= \(from)") }
        if let until = filter.createdUntil { add("p.created_at < \(until)") }
        return condition
    }

    private static func order(_ order: Ordering) -> Query {
        let column: Query =
            switch order.field {
            case "updated_at": "p.updated_at"
            case "phone_number": "p.phone_number"
            case "label": "p.label"
            default: "p.created_at"
            }
        return order.isDescending ? "\(fragment: column) DESC, p.id DESC" : "\(fragment: column), p.id"
    }

    static func find(_ id: PhoneNumberID, tenancy: Tenancy, in database: Database) async throws -> Line? {
        let row = try await database.queryOne(
            """
            SELECT \(fragment: columns) FROM phone_numbers p
            WHERE p.id = \(id) AND \(fragment: ReadCalls.tenant(tenancy, "p.workspace_id"))
            """)
        return try row.map(Line.init)
    }

    /// Whom an inbound call to this number is for.
    static func find(_ number: PhoneNumber, _ tx: borrowing Transaction) async throws -> Answering? {
        let row = try await tx.queryOne(
            """
            SELECT p.workspace_id, p.agent_id, a.business_id, a.status = 'paused' AS paused, a.language
            FROM phone_numbers p LEFT JOIN ai_agents a ON a.id = p.agent_id
            WHERE p.phone_number = \(number) AND p.is_active
              AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.kind = 'workspace' AND e.id = p.workspace_id)
            """)
        return try row.map { row in
            Answering(
                workspace: try row["workspace_id"], agent: try row["agent_id"], business: try row["business_id"],
                isPaused: try row.decode("paused", as: Bool?.self) ?? false, language: try row["language"])
        }
    }

    struct Answering: Sendable {
        let workspace: WorkspaceID
        let agent: AgentID?
        let business: BusinessID?
        let isPaused: Bool
        let language: String?
    }

    static func lock(_ id: PhoneNumberID, _ tx: borrowing Transaction) async throws -> Line? {
        let row = try await tx.queryOne(
            "SELECT \(fragment: columns) FROM phone_numbers p WHERE p.id = \(id) FOR UPDATE")
        return try row.map(Line.init)
    }

    static func lock(
        _ ids: [PhoneNumberID], in workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> [Line] {
        let rows = try await tx.query(
            """
            SELECT \(fragment: columns) FROM phone_numbers p
            WHERE p.id = ANY (\(ids)) AND p.workspace_id = \(workspace) ORDER BY p.id FOR UPDATE
            """)
        return try rows.map(Line.init)
    }

    static func assign(_ ids: [PhoneNumberID], to agent: AgentID?, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            "UPDATE phone_numbers SET agent_id = \(agent), updated_at = now() WHERE id = ANY (\(ids))")
    }

    static func isAgent(_ agent: AgentID, of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.queryOne(
            "SELECT 1 AS found FROM ai_agents WHERE id = \(agent) AND workspace_id = \(workspace)") != nil
    }

    static func insert(_ line: Line, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO phone_numbers (id, workspace_id, phone_number, agent_id, label, is_active, created_at, updated_at)
            VALUES (\(line.id), \(line.workspace), \(line.number), \(line.agent), \(line.label), \(line.isActive),
                    \(line.createdAt), \(line.updatedAt))
            """)
    }

    static func save(_ line: Line, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            UPDATE phone_numbers SET phone_number = \(line.number), agent_id = \(line.agent), label = \(line.label),
                is_active = \(line.isActive), updated_at = \(line.updatedAt) WHERE id = \(line.id)
            """)
    }

    static func delete(_ id: PhoneNumberID, in database: Database) async throws {
        _ = try await database.execute("DELETE FROM phone_numbers WHERE id = \(id)")
    }
}

extension Line {
    init(_ row: Row) throws {
        self.init(
            id: try row["id"], workspace: try row["workspace_id"], number: try row["phone_number"],
            agent: try row["agent_id"], label: try row["label"], isActive: try row["is_active"],
            createdAt: try row["created_at"], updatedAt: try row["updated_at"])
    }
}
