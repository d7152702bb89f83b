import Messaging
import Postgres
import Shared

/// A person calls are handed to (document 003 §6).
struct HumanAgent: Sendable, Equatable {
    let id: HumanAgentID
    let workspace: WorkspaceID
    var version: Int64 = 1
    var user: UserID?
    var name: String
    var email: EmailAddress
    var phone: PhoneNumber?
    var `extension`: String?
    var isAvailable = true
    var isActive = true
    var skills: [String] = []
    var departments: [String] = []
    var callsHandled = 0
    var rating: Double?
    var createdAt: Instant
    var updatedAt: Instant
    var lastActiveAt: Instant?
    var metadata: JSONObject = [:]
    var busyCall: CallID?

    var snapshot: HumanAgentSnapshot {
        HumanAgentSnapshot(
            id: id, workspaceID: workspace, version: version, userID: user, name: name, email: email.text,
            phoneNumber: phone?.text, extension: `extension`, isAvailable: isAvailable, isActive: isActive,
            skills: skills, departments: departments, totalCallsHandled: callsHandled, averageRating: rating,
            createdAt: createdAt, updatedAt: updatedAt, lastActiveAt: lastActiveAt, metadata: metadata)
    }
}

enum HumanAgentStore {
    static let columns: Query = """
        h.id, h.workspace_id, h.version, h.user_id, h.name, h.email, h.phone_number, h.extension, h.is_available,
        h.is_active, h.skills, h.departments, h.total_calls_handled, h.average_rating, h.created_at, h.updated_at,
        h.last_active_at, h.metadata, h.busy_call_id
        """

    /// Document 003 shows this list whole; nobody has more.
    static let listMax = 1000

    static func list(
        _ tenancy: Tenancy, active: Bool?, available: Bool?, in database: Database
    ) async throws -> [HumanAgent] {
        var condition = ReadCalls.tenant(tenancy, "h.workspace_id")
        if let active { condition = "\(fragment: condition) AND h.is_active = \(active)" }
        if let available {
            // Whoever is on a call is not to be had, whatever their switch says.
            condition = "\(fragment: condition) AND (h.is_available AND h.busy_call_id IS NULL) = \(available)"
        }
        let rows = try await database.query(
            """
            SELECT \(fragment: columns) FROM human_agents h WHERE \(fragment: condition)
            ORDER BY h.name, h.id LIMIT \(listMax)
            """)
        return try rows.map(HumanAgent.init)
    }

    static func find(_ id: HumanAgentID, tenancy: Tenancy, in database: Database) async throws -> HumanAgent? {
        let row = try await database.queryOne(
            """
            SELECT \(fragment: columns) FROM human_agents h
            WHERE h.id = \(id) AND \(fragment: ReadCalls.tenant(tenancy, "h.workspace_id"))
            """)
        return try row.map(HumanAgent.init)
    }

    static func lock(_ id: HumanAgentID, _ tx: borrowing Transaction) async throws -> HumanAgent? {
        let row = try await tx.queryOne(
            "SELECT \(fragment: columns) FROM human_agents h WHERE h.id = \(id) FOR UPDATE")
        return try row.map(HumanAgent.init)
    }

    /// Which human of the workspace this user is.
    static func id(of user: UserID, in workspace: WorkspaceID, in database: Database) async throws -> HumanAgentID? {
        let row = try await database.queryOne(
            "SELECT id FROM human_agents WHERE user_id = \(user) AND workspace_id = \(workspace)")
        return try row.map { try $0["id"] }
    }

    static func insert(_ agent: HumanAgent, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO human_agents (id, workspace_id, user_id, name, email, email_folded, phone_number, extension,
                                      is_available, is_active, skills, departments, metadata, created_at, updated_at)
            VALUES (\(agent.id), \(agent.workspace), \(agent.user), \(agent.name), \(agent.email.text),
                    \(agent.email.folded), \(agent.phone), \(agent.extension), \(agent.isAvailable),
                    \(agent.isActive), \(agent.skills), \(agent.departments), \(JSON.object(agent.metadata)),
                    \(agent.createdAt), \(agent.updatedAt))
            """)
        tx.publish(AgentEvent.changed(agent.snapshot))
    }

    static func save(_ agent: inout HumanAgent, _ tx: borrowing Transaction) async throws {
        agent.version += 1
        _ = try await tx.execute(
            """
            UPDATE human_agents SET version = \(agent.version), user_id = \(agent.user), name = \(agent.name),
                email = \(agent.email.text), email_folded = \(agent.email.folded), phone_number = \(agent.phone),
                extension = \(agent.extension), is_available = \(agent.isAvailable), is_active = \(agent.isActive),
                skills = \(agent.skills), departments = \(agent.departments),
                metadata = \(JSON.object(agent.metadata)), last_active_at = \(agent.lastActiveAt),
                idle_since = CASE WHEN \(agent.isAvailable && agent.isActive) AND NOT (is_available AND is_active)
                                  THEN now() ELSE idle_since END,
                updated_at = \(agent.updatedAt)
            WHERE id = \(agent.id)
            """)
        tx.publish(AgentEvent.changed(agent.snapshot))
    }

    static func delete(_ agent: HumanAgent, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("DELETE FROM human_agents WHERE id = \(agent.id)")
        tx.publish(AgentEvent.removed(id: agent.id, workspaceID: agent.workspace))
    }

    static func hasOpenEscalation(_ id: HumanAgentID, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.queryOne(
            """
            SELECT 1 AS open FROM escalations
            WHERE assigned_agent_id = \(id) AND status IN ('pending', 'in_progress') LIMIT 1
            """) != nil
    }

    /// The workspace's human with this e-mail address, locked.
    static func lock(
        email: EmailAddress, in workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> HumanAgent? {
        let row = try await tx.queryOne(
            """
            SELECT \(fragment: columns) FROM human_agents h
            WHERE h.workspace_id = \(workspace) AND h.email_folded = \(email.folded) FOR UPDATE
            """)
        return try row.map(HumanAgent.init)
    }

    static func lock(
        user: UserID, in workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> HumanAgent? {
        let row = try await tx.queryOne(
            """
            SELECT \(fragment: columns) FROM human_agents h
            WHERE h.user_id = \(user) AND h.workspace_id = \(workspace) FOR UPDATE
            """)
        return try row.map(HumanAgent.init)
    }
}

extension HumanAgent {
    init(_ row: Row) throws {
        let (metadata, email): (JSON, String) = (try row["metadata"], try row["email"])
        guard let address = EmailAddress(email) else { throw UnreadableEmail() }
        self.init(
            id: try row["id"], workspace: try row["workspace_id"], version: try row["version"],
            user: try row["user_id"], name: try row["name"], email: address, phone: try row["phone_number"],
            extension: try row["extension"], isAvailable: try row["is_available"], isActive: try row["is_active"],
            skills: try row["skills"], departments: try row["departments"],
            callsHandled: try row["total_calls_handled"], rating: try row["average_rating"],
            createdAt: try row["created_at"], updatedAt: try row["updated_at"],
            lastActiveAt: try row["last_active_at"], metadata: metadata.object ?? [:],
            busyCall: try row["busy_call_id"])
    }

    /// A row holds an address that is none any more: the rules have become stricter than the data.
    struct UnreadableEmail: Error {}
}
