import HTTP
import Postgres
import Shared

/// Phone numbers, document 001.
extension Telephony {
    /// `GET /api/agents/phone-numbers/`
    func listPhoneNumbers(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = request.queryForm
        let page = Page(classic: &form)
        let filter = LineFilter(&form, tenancy: principal.tenancy)
        try form.finish()
        let (lines, count) = try await LineStore.list(filter, page, in: database)
        return page.classic(request, count: count) { json in
            for line in lines { line.write(to: &json) }
        }
    }

    /// `GET /api/agents/phone-numbers/{id}/`
    func getPhoneNumber(_ request: Request) async throws -> Response {
        Response.json(try await visibleLine(request))
    }

    /// `POST /api/agents/phone-numbers/`
    func createPhoneNumber(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.anyForm()
        let named = form.optionalID("workspace", as: WorkspaceID.self)
        let number = form.phone("phone_number")
        let agent = form.optionalID("agent", as: AgentID.self)
        let label = form.optionalString("label", max: 200) ?? ""
        let isActive = form.optionalBool("is_active", default: true)
        try form.finish()
        let workspace = try principal.workspace(named, for: .writeAgents)
        let now = Instant.now()
        let line = Line(
            id: PhoneNumberID(), workspace: workspace, number: number, agent: agent, label: label,
            isActive: isActive, createdAt: now, updatedAt: now)
        try await refusingTakenNumber {
            try await database.transaction { (tx: borrowing Transaction) in
                try await check(line, tx)
                try await LineStore.insert(line, tx)
            }
        }
        return .json(201, line)
    }

    /// `PUT /api/agents/phone-numbers/{id}/`
    func replacePhoneNumber(_ request: Request) async throws -> Response { try await writeLine(request, whole: true) }

    /// `PATCH /api/agents/phone-numbers/{id}/`
    func updatePhoneNumber(_ request: Request) async throws -> Response { try await writeLine(request, whole: false) }

    private func writeLine(_ request: Request, whole: Bool) async throws -> Response {
        let known = try await changeableLine(request)
        var form = try await request.anyForm()
        let number = whole ? form.phone("phone_number") : form.optionalPhone("phone_number")
        let agent = form.optionalID("agent", as: AgentID.self)
        let clearsAgent = agent == nil && (whole || form.has("agent"))
        let label = form.optionalString("label", max: 200) ?? (whole ? "" : nil)
        let isActive = form.optionalBool("is_active") ?? (whole ? true : nil)
        if let named = form.optionalID("workspace", as: WorkspaceID.self), named != known.workspace {
            form.fail("workspace", "cannot be changed")
        }
        try form.finish()
        let line = try await refusingTakenNumber {
            try await database.transaction { (tx: borrowing Transaction) -> Line in
                guard var line = try await LineStore.lock(known.id, tx) else {
                    throw Problem.notFound(.phoneNumberNotFound)
                }
                if let number { line.number = number }
                if let agent { line.agent = agent } else if clearsAgent { line.agent = nil }
                if let label { line.label = label }
                if let isActive { line.isActive = isActive }
                line.updatedAt = .now()
                try await check(line, tx)
                try await LineStore.save(line, tx)
                return line
            }
        }
        return .json(line)
    }

    /// `DELETE /api/agents/phone-numbers/{id}/`
    func deletePhoneNumber(_ request: Request) async throws -> Response {
        try await LineStore.delete(try await changeableLine(request).id, in: database)
        return .empty(204)
    }

    // MARK: Pieces

    private func visibleLine(_ request: Request) async throws -> Line {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("id", as: PhoneNumberID.self, or: .phoneNumberNotFound)
        guard let line = try await LineStore.find(id, tenancy: principal.tenancy, in: database) else {
            throw Problem.notFound(.phoneNumberNotFound)
        }
        return line
    }

    private func changeableLine(_ request: Request) async throws -> Line {
        let line = try await visibleLine(request)
        try request.requirePrincipal().require(.writeAgents, in: line.workspace)
        return line
    }

    private func check(_ line: Line, _ tx: borrowing Transaction) async throws {
        guard let agent = line.agent else { return }
        if try await !LineStore.isAgent(agent, of: line.workspace, tx) {
            throw Problem.validation("agent", "is no agent of this workspace")
        }
    }

    private func refusingTakenNumber<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as PostgresError where error.isUniqueViolation("phone_numbers_number") {
            throw Problem.validation("phone_number", "is in use already")
        }
    }
}

extension Line: JSONWritable {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace", workspace)
            json.field("phone_number", number.text)
            json.field("agent", agent)
            json.field("label", label)
            json.field("is_active", isActive)
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }
}
