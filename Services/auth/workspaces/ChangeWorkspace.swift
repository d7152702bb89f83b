import HTTP
import Messaging
import Postgres
import Shared

/// Workspaces (document 001): listed, made, renamed, given away and deleted.
extension Accounts {
    /// Whoever asks, with the workspaces they belong to by now: a token may be older than a workspace made since.
    func current(_ request: Request) async throws -> Principal {
        let principal = try request.requirePrincipal()
        return Principal(
            user: principal.user, role: principal.role, staff: principal.staff, session: principal.session,
            workspaces: try await WorkspaceStore.roles(of: principal.user, database), expires: principal.expires,
            scopes: principal.scopes, apiKey: principal.apiKey)
    }

    /// `GET /api/workspaces/workspaces/`
    func listWorkspaces(_ request: Request) async throws -> Response {
        let principal = try await current(request)
        var form = request.queryForm
        let page = Page(classic: &form)
        let filter = WorkspaceFilter(&form, tenancy: principal.tenancy(for: .readWorkspaces))
        try form.finish()
        let (workspaces, count) = try await WorkspaceStore.list(filter, page, asker: principal.user, database)
        return page.classic(request, count: count) { json in
            for workspace in workspaces { workspace.write(to: &json) }
        }
    }

    /// `POST /api/workspaces/workspaces/`: whoever makes it owns it.
    func createWorkspace(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let name = Self.workspaceName(&form)
        try form.finish()
        let now = Instant.now()
        let workspace = Workspace(
            id: WorkspaceID(), name: name ?? "", owner: principal.user, members: 1, role: .owner, version: 1,
            createdAt: now, updatedAt: now)
        let actor = try Audit.Actor(request)
        try await database.transaction { (tx: borrowing Transaction) in
            let accounts = try await MemberStore.accounts([principal.user], tx)
            guard let account = accounts[principal.user] else { throw Problem.notFound(.userNotFound) }
            WorkspaceStore.insert(workspace.id, workspace.name, owner: principal.user, tx)
            tx.publish(WorkspaceEvent.created(workspace.snapshot))
            let member = Member(account: account, role: .owner, joinedAt: now)
            tx.publish(WorkspaceEvent.memberAdded(member.snapshot(in: workspace.id)))
            Audit.record(
                "workspaces.created", .workspace, workspace.id.text, workspace: workspace.id, after: workspace,
                by: actor, tx)
        }
        guard let made = try await WorkspaceStore.find(workspace.id, asker: principal.user, database) else {
            throw Problem(.internalError)
        }
        return .json(201, made)
    }

    /// `GET /api/workspaces/workspaces/{id}/`
    func getWorkspace(_ request: Request) async throws -> Response {
        let (principal, id) = try await workspace(request, for: .readWorkspaces)
        guard let found = try await WorkspaceStore.find(id, asker: principal.user, database) else {
            throw Problem.notFound(.workspaceNotFound)
        }
        return .json(200, found)
    }

    /// `PUT` and `PATCH /api/workspaces/workspaces/{id}/`
    func replaceWorkspace(_ request: Request) async throws -> Response { try await rename(request, whole: true) }
    func updateWorkspace(_ request: Request) async throws -> Response { try await rename(request, whole: false) }

    private func rename(_ request: Request, whole: Bool) async throws -> Response {
        let (principal, id) = try await workspace(request, for: .writeWorkspaces)
        var form = try await request.form()
        let name = Self.workspaceName(&form, required: whole)
        try form.finish()
        let actor = try Audit.Actor(request)
        let changed = try await change(id, by: principal) { before, tx in
            guard let name, name != before.name else { return before }
            var after = before
            after.name = name
            WorkspaceStore.save(&after, tx)
            tx.publish(WorkspaceEvent.updated(after.snapshot))
            Audit.record(
                "workspaces.updated", .workspace, id.text, workspace: id, before: before, after: after, by: actor, tx)
            return after
        }
        return .json(200, changed)
    }

    /// `DELETE /api/workspaces/workspaces/{id}/`: everything of it goes, in every program.
    func deleteWorkspace(_ request: Request) async throws -> Response {
        let (principal, id) = try await workspace(request, for: .deleteWorkspaces)
        let actor = try Audit.Actor(request)
        _ = try await change(id, by: principal) { before, tx in
            let members = try await MemberStore.members(of: id, tx)
            try await BlacklistStore.removeAll(of: id, tx)
            WorkspaceStore.delete(id, tx)
            ErasureBook.open(.workspace(id), tx)
            tx.publish(WorkspaceEvent.deleted(id: id))
            cutOff(members.map(\.account.id), tx)
            Audit.record("workspaces.deleted", .workspace, id.text, workspace: id, before: before, by: actor, tx)
            return before
        }
        return .empty(204)
    }

    /// `POST /api/workspaces/workspaces/{id}/transfer_ownership/` with `{user_id}`: a member becomes its owner, and the
    /// one who gives it away a manager.
    func transferOwnership(_ request: Request) async throws -> Response {
        let (principal, id) = try await workspace(request, for: .giveAwayWorkspaces)
        var form = try await request.form()
        let heir = form.id("user_id", as: UserID.self)
        try form.finish()
        let actor = try Audit.Actor(request)
        let changed = try await change(id, by: principal) { before, tx in
            let owners = try await MemberStore.owners(of: id, tx)
            // An admin who does not own it gives it away for its oldest owner.
            let giver = owners.contains(principal.user) ? principal.user : owners.first
            let members = try await MemberStore.members([heir] + (giver.map { [$0] } ?? []), of: id, tx)
            guard heir != giver else { throw Problem.validation("user_id", "owns the workspace already") }
            guard var to = members[heir] else { throw Problem.validation("user_id", "is no member of the workspace") }
            guard to.account.status == .active else { throw Problem.validation("user_id", "has no active account") }
            to.role = .owner
            MemberStore.add(heir, as: .owner, to: id, tx)
            tx.publish(WorkspaceEvent.memberAdded(to.snapshot(in: id)))
            if let giver, var from = members[giver] {
                from.role = .manager
                MemberStore.add(giver, as: .manager, to: id, tx)
                tx.publish(WorkspaceEvent.memberAdded(from.snapshot(in: id)))
            }
            var after = before
            after.owner = heir
            if giver == principal.user { after.role = .manager } else if heir == principal.user { after.role = .owner }
            WorkspaceStore.save(&after, tx)
            tx.publish(WorkspaceEvent.updated(after.snapshot))
            cutOff([heir] + (giver.map { [$0] } ?? []), tx)
            let was: JSONObject = ["owner": .string(giver?.text ?? "")]
            let became: JSONObject = ["owner": .string(heir.text)]
            Audit.record(
                "workspaces.ownership_transferred", .workspace, id.text, workspace: id, before: was, after: became,
                by: actor, tx)
            return after
        }
        return .json(200, changed)
    }

    // MARK: Pieces

    /// The workspace a route names, for those who may do `action` in it.
    func workspace(_ request: Request, for action: Action) async throws -> (Principal, WorkspaceID) {
        let principal = try await current(request)
        let id = try request.pathID("id", as: WorkspaceID.self, or: .workspaceNotFound)
        try principal.require(action, in: id)
        return (principal, id)
    }

    /// Changes a workspace under its lock.
    func change(
        _ id: WorkspaceID, by principal: Principal,
        _ body: (Workspace, borrowing Transaction) async throws -> Workspace
    ) async throws -> Workspace {
        try await database.transaction { (tx: borrowing Transaction) -> Workspace in
            guard let before = try await WorkspaceStore.lock(id, asker: principal.user, tx) else {
                throw Problem.notFound(.workspaceNotFound)
            }
            return try await body(before, tx)
        }
    }

    /// `workspace_name`, or `name`. Where both are given the first counts, and the second must be no worse.
    private static func workspaceName(_ form: inout Form, required: Bool = true) -> String? {
        let name = form.optionalString("workspace_name", min: 1, max: 200)
        let alias = form.optionalString("name", min: 1, max: 200)
        guard required, form.value("workspace_name") == nil, form.value("name") == nil else { return name ?? alias }
        return form.string("workspace_name", max: 200)
    }
}
