import HTTP
import Postgres
import Shared

/// Human agents, document 003 §6.
extension Telephony {
    /// `GET /api/v1/agents`
    func listHumanAgents(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = request.queryForm
        let active = form.optionalBool("is_active")
        let available = form.optionalBool("is_available")
        try form.finishRefusingUnknown()
        let agents = try await HumanAgentStore.list(
            principal.tenancy, active: active, available: available, in: database)
        return Response.json { json in
            json.object { json in
                json.fieldArray("agents") { json in for agent in agents { agent.snapshot.writeAgent(to: &json) } }
            }
        }
    }

    /// `GET /api/v1/agents/{agent_id}`
    func getHumanAgent(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("agent_id", as: HumanAgentID.self, or: .agentNotFound)
        guard let agent = try await HumanAgentStore.find(id, tenancy: principal.tenancy, in: database) else {
            throw Problem.notFound(.agentNotFound)
        }
        return Response.json { json in
            json.object { json in json.field("agent") { agent.snapshot.writeAgent(to: &$0) } }
        }
    }

    /// `POST /api/v1/agents`
    func createHumanAgent(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let named = form.optionalID("workspace_id", as: WorkspaceID.self)
        let body = HumanAgentBody(&form)
        try form.finish()
        let workspace = try principal.workspace(named, for: .writeAgents)
        let now = Instant.now()
        var made = HumanAgent(
            id: HumanAgentID(), workspace: workspace, name: body.name, email: body.email, createdAt: now,
            updatedAt: now)
        body.apply(to: &made)
        let agent = made
        try await refusingTakenEmail {
            try await database.transaction { (tx: borrowing Transaction) in
                try await HumanAgentStore.insert(agent, tx)
                try await HandOver.serveWaiting(in: workspace, at: now, tx)
                noticeFree(tx)
            }
        }
        return answer(201, agent, "The agent has been created.")
    }

    /// `PUT /api/v1/agents/{agent_id}` — what the body leaves out goes back to its default.
    func updateHumanAgent(_ request: Request) async throws -> Response {
        let known = try await humanAgent(request, for: .writeAgents)
        var form = try await request.form()
        let body = HumanAgentBody(&form)
        try form.finish()
        let agent = try await refusingTakenEmail {
            try await change(known) { agent in
                agent.name = body.name
                agent.email = body.email
                body.apply(to: &agent)
            }
        }
        return answer(200, agent, "The agent has been updated.")
    }

    /// `PATCH /api/v1/agents/{agent_id}/availability` — a manager's, or the agent's own business.
    func updateAvailability(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let known = try await humanAgent(request)
        if known.user != principal.user { try principal.require(.setAvailability, in: known.workspace) }
        var form = try await request.form()
        let isAvailable = form.bool("is_available")
        try form.finish()
        let agent = try await change(known) { agent in
            agent.isAvailable = isAvailable
            agent.lastActiveAt = .now()
        }
        return answer(200, agent, isAvailable ? "The agent is available." : "The agent is not available.")
    }

    /// `DELETE /api/v1/agents/{agent_id}` — 400 while a call depends on them.
    func deleteHumanAgent(_ request: Request) async throws -> Response {
        let known = try await humanAgent(request, for: .writeAgents)
        try await database.transaction { (tx: borrowing Transaction) in
            guard let agent = try await HumanAgentStore.lock(known.id, tx) else {
                throw Problem.notFound(.agentNotFound)
            }
            if try await HumanAgentStore.hasOpenEscalation(agent.id, tx) {
                throw Problem(.inUse, "The agent has active escalations; complete or cancel them first.")
            }
            try await HumanAgentStore.delete(agent, tx)
        }
        return .json { json in
            json.object { json in
                json.field("success", true)
                json.field("message", "The agent has been deleted.")
            }
        }
    }

    // MARK: Pieces

    /// The agent a route names, if the asker sees them and may do `action` to them.
    private func humanAgent(_ request: Request, for action: Action = .readAgents) async throws -> HumanAgent {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("agent_id", as: HumanAgentID.self, or: .agentNotFound)
        guard let agent = try await HumanAgentStore.find(id, tenancy: principal.tenancy, in: database) else {
            throw Problem.notFound(.agentNotFound)
        }
        try principal.require(action, in: agent.workspace)
        return agent
    }

    private func change(_ known: HumanAgent, _ body: (inout HumanAgent) -> Void) async throws -> HumanAgent {
        try await database.transaction { (tx: borrowing Transaction) -> HumanAgent in
            guard var agent = try await HumanAgentStore.lock(known.id, tx) else {
                throw Problem.notFound(.agentNotFound)
            }
            body(&agent)
            agent.updatedAt = .now()
            try await HumanAgentStore.save(&agent, tx)
            if agent.isAvailable, agent.isActive {
                try await HandOver.serveWaiting(in: agent.workspace, at: agent.updatedAt, tx)
                noticeFree(tx)
            }
            return agent
        }
    }

    private func refusingTakenEmail<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as PostgresError where error.isUniqueViolation("human_agents_email") {
            throw Problem.validation("email", "belongs to another agent of this workspace")
        }
    }

    private func answer(_ status: Int, _ agent: HumanAgent, _ message: String) -> Response {
        .json(status) { json in
            json.object { json in
                json.field("agent") { agent.snapshot.writeAgent(to: &$0) }
                json.field("message", message)
            }
        }
    }
}

/// The body of document 003 §6.3.
private struct HumanAgentBody: Sendable {
    let name: String
    let email: EmailAddress
    let phone: PhoneNumber?
    let `extension`: String?
    let skills: [String]
    let departments: [String]
    let isAvailable: Bool
    let isActive: Bool
    let metadata: JSONObject

    init(_ form: inout Form) {
        name = form.string("name", max: 200)
        email = form.email("email")
        phone = form.optionalPhone("phone_number")
        `extension` = form.optionalString("extension", max: 20)
        skills = form.strings("skills", max: 100, each: 100) ?? []
        departments = form.strings("departments", max: 100, each: 100) ?? []
        isAvailable = form.optionalBool("is_available", default: true)
        isActive = form.optionalBool("is_active", default: true)
        metadata = form.object("metadata", max: 16_384) ?? [:]
    }

    func apply(to agent: inout HumanAgent) {
        agent.phone = phone
        agent.extension = `extension`
        agent.skills = skills
        agent.departments = departments
        agent.isAvailable = isAvailable
        agent.isActive = isActive
        agent.metadata = metadata
    }
}
