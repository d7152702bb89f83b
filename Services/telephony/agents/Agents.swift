import HTTP
import Postgres
import Shared

/// AI agents, document 001.
extension Telephony {
    /// `GET /api/agents/agents/`
    func listAgents(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = request.queryForm
        let page = Page(classic: &form)
        let filter = AgentFilter(&form, tenancy: principal.tenancy)
        try form.finish()
        let (agents, count) = try await AgentStore.list(filter, page, in: database)
        return page.classic(request, count: count) { json in
            for agent in agents { agent.write(to: &json) }
        }
    }

    /// `GET /api/agents/agents/{id}/`
    func getAgent(_ request: Request) async throws -> Response {
        let agent = try await visibleAgent(request)
        return Response.json(agent)
    }

    /// `POST /api/agents/agents/`
    func createAgent(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.anyForm()
        let named = form.optionalID("workspace", as: WorkspaceID.self)
        let now = Instant.now()
        let body = AgentBody(&form, creating: true)
        try form.finish()
        let workspace = try principal.workspace(named, for: .writeAgents)
        var agent = Agent(id: AgentID(), workspace: workspace, name: "", createdAt: now, updatedAt: now)
        body.apply(to: &agent, whole: true)
        let made = agent
        try await database.transaction { (tx: borrowing Transaction) in
            try await checkLimit(workspace, tx)
            try await check(made, tx)
            try await AgentStore.insert(made, tx)
        }
        return .json(201, try await AgentStore.find(made.id, tenancy: .all, in: database) ?? made)
    }

    /// `PUT /api/agents/agents/{id}/`
    func replaceAgent(_ request: Request) async throws -> Response { try await writeAgent(request, whole: true) }

    /// `PATCH /api/agents/agents/{id}/`
    func updateAgent(_ request: Request) async throws -> Response { try await writeAgent(request, whole: false) }

    private func writeAgent(_ request: Request, whole: Bool) async throws -> Response {
        let known = try await changeableAIAgent(request)
        var form = try await request.anyForm()
        let body = AgentBody(&form, creating: whole)
        // A workspace in the body may only be the one the agent is in: agents do not move.
        if let named = form.optionalID("workspace", as: WorkspaceID.self), named != known.workspace {
            form.fail("workspace", "cannot be changed")
        }
        try form.finish()
        try await database.transaction { (tx: borrowing Transaction) in
            guard var agent = try await AgentStore.lock(known.id, tx) else { throw Problem.notFound(.agentNotFound) }
            body.apply(to: &agent, whole: whole)
            agent.updatedAt = .now()
            try await check(agent, tx)
            try await AgentStore.save(&agent, tx)
        }
        return .json(try await AgentStore.find(known.id, tenancy: .all, in: database) ?? known)
    }

    /// `DELETE /api/agents/agents/{id}/` — its phone numbers stay, without an agent.
    func deleteAgent(_ request: Request) async throws -> Response {
        let agent = try await changeableAIAgent(request)
        try await database.transaction { (tx: borrowing Transaction) in try await AgentStore.delete(agent.id, tx) }
        return .empty(204)
    }

    /// `GET /api/agents/agents/{id}/phone_numbers/`
    func listAgentNumbers(_ request: Request) async throws -> Response {
        let agent = try await visibleAgent(request)
        var form = request.queryForm
        let page = Page(classic: &form, size: 100)
        try form.finish()
        var filter = LineFilter(tenancy: .only([agent.workspace]))
        filter.agent = agent.id
        let (lines, count) = try await LineStore.list(filter, page, in: database)
        return page.classic(request, count: count) { json in
            for line in lines { line.write(to: &json) }
        }
    }

    /// `POST /api/agents/agents/{id}/assign_phone_numbers/`
    func assignPhoneNumbers(_ request: Request) async throws -> Response {
        try await moveNumbers(request, assigning: true)
    }

    /// `POST /api/agents/agents/{id}/remove_phone_numbers/`
    func removePhoneNumbers(_ request: Request) async throws -> Response {
        try await moveNumbers(request, assigning: false)
    }

    private func moveNumbers(_ request: Request, assigning: Bool) async throws -> Response {
        let agent = try await changeableAIAgent(request)
        var form = try await request.anyForm()
        let ids = form.ids("phone_number_ids", as: PhoneNumberID.self, max: 1000)
        if ids == nil, !form.hasFailed { form.fail("phone_number_ids", "is required") }
        try form.finish()
        let wanted = Set(ids ?? [])
        let moved = try await database.transaction { (tx: borrowing Transaction) -> [Line] in
            let found = try await LineStore.lock(Array(wanted), in: agent.workspace, tx)
            let missing = wanted.subtracting(found.map(\.id)).sorted()
            guard missing.isEmpty else {
                throw Problem.validation(
                    "phone_number_ids",
                    "holds numbers the workspace does not have: \(missing.map(\.text).joined(separator: ", "))")
            }
            try await LineStore.assign(
                found.filter { assigning || $0.agent == agent.id }.map(\.id), to: assigning ? agent.id : nil, tx)
            return found.map { line in
                var line = line
                if assigning { line.agent = agent.id } else if line.agent == agent.id { line.agent = nil }
                return line
            }
        }
        return .json { json in
            json.object { json in
                json.field(
                    "message",
                    assigning ? "The phone numbers have been assigned." : "The phone numbers have been removed.")
                json.field("agent", agent.id)
                json.field("phone_numbers", moved)
            }
        }
    }

    /// `GET /api/agents/agents/{id}/config/` — everything the agent runs on.
    func getAgentConfig(_ request: Request) async throws -> Response {
        let agent = try await visibleAgent(request)
        let config = try await ReactionStore.config(agent.business, in: agent.workspace, in: database)
        var filter = LineFilter(tenancy: .only([agent.workspace]))
        filter.agent = agent.id
        let (lines, _) = try await LineStore.list(filter, Page(size: 100), in: database)
        return Response.json { json in
            json.object { json in
                json.field("agent_id", agent.id)
                json.field("workspace", agent.workspace)
                json.field("name", agent.name)
                json.field("voice", agent.voice)
                json.field("language", agent.language)
                json.field("greeting", agent.greeting)
                json.field("character", agent.character)
                json.field("personality_type", agent.personality.rawValue)
                json.field("retry_interval", agent.retryInterval)
                json.field("workdays", agent.workdays)
                json.field("call_from", agent.callFrom)
                json.field("call_to", agent.callTo)
                json.field("timezone", agent.timezone)
                json.field("status", agent.status.rawValue)
                json.field("training_level", agent.trainingLevel)
                json.field("phone_numbers", lines.map(\.number.text))
                json.field("business_id", agent.business)
                json.field("business_config", config)
            }
        }
    }

    // MARK: Pieces

    private func visibleAgent(_ request: Request) async throws -> Agent {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("id", as: AgentID.self, or: .agentNotFound)
        guard let agent = try await AgentStore.find(id, tenancy: principal.tenancy, in: database) else {
            throw Problem.notFound(.agentNotFound)
        }
        return agent
    }

    private func changeableAIAgent(_ request: Request) async throws -> Agent {
        let agent = try await visibleAgent(request)
        try request.requirePrincipal().require(.writeAgents, in: agent.workspace)
        return agent
    }

    /// What only the database can tell about an agent's fields.
    private func check(_ agent: Agent, _ tx: borrowing Transaction) async throws {
        if let zone = agent.timezone, try await !AgentStore.knowsZone(zone, tx) {
            throw Problem.validation("timezone", "is no IANA time zone")
        }
        if let business = agent.business,
            try await PlaceCallStore.isForeign(business, to: agent.workspace, tx)
        {
            throw Problem.validation("business_id", "is no configuration of this workspace")
        }
    }

    /// Not by what billing has announced: that is under way while the next agent is made
    /// (`docs/decisions/0011-agents-counted-where-made.md`).
    private func checkLimit(_ workspace: WorkspaceID, _ tx: borrowing Transaction) async throws {
        let (used, max) = try await AgentStore.allowance(of: workspace, free: policy.agentsFree, tx)
        guard let max, used >= max else { return }
        throw Problem.limitReached(
            """
            The plan's \(max) AI agents are all there. Delete one, or move to a larger plan \
            (GET /api/subscriptions/plans/ lists them).
            """,
            details: ["limit": "agents", "value": .int(used), "max": .int(max)])
    }
}

extension Agent: JSONWritable {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace", workspace)
            json.field("name", name)
            json.field("greeting", greeting)
            json.field("voice", voice)
            json.field("language", language)
            json.field("retry_interval", retryInterval)
            json.field("workdays", workdays)
            json.field("call_from", callFrom)
            json.field("call_to", callTo)
            json.field("timezone", timezone)
            json.field("character", character)
            json.field("personality_type", personality.rawValue)
            json.field("status", status.rawValue)
            json.field("training_level", trainingLevel)
            json.fieldObject("training_checklist") { json in
                for (item, done) in checklist { json.field(item, done) }
            }
            json.field("business_id", business)
            json.field("phone_numbers_count", numbers)
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }
}
