import HTTP
import Messaging
import Postgres
import Shared

/// Invitations by e-mail. The token is in the mail alone: the database keeps its digest, answers never hold it.
extension Accounts {
    /// `GET /api/workspaces/invitations/`
    func listInvitations(_ request: Request) async throws -> Response {
        let principal = try await current(request)
        var form = request.queryForm
        let page = Page(classic: &form)
        let filter = InvitationFilter(&form, tenancy: principal.tenancy(for: .writeMembers))
        try form.finish()
        let (invitations, count) = try await InvitationStore.list(filter, page, database)
        return page.classic(request, count: count) { json in
            for invitation in invitations { invitation.write(to: &json) }
        }
    }

    /// `GET /api/workspaces/invitations/{id}/`
    func getInvitation(_ request: Request) async throws -> Response { .json(200, try await invitation(request).1) }

    /// `POST /api/workspaces/invitations/` with `{email, role, workspace?}`
    func createInvitation(_ request: Request) async throws -> Response {
        let principal = try await current(request)
        var form = try await request.form()
        let email = form.email("email")
        let role = form.optionalChoice("role", as: WorkspaceRole.self) ?? .viewer
        let named = form.optionalID("workspace", as: WorkspaceID.self)
        try form.finish()
        let id = try principal.workspace(named, for: .writeMembers)
        if role == .owner { try Self.requireOwnership(principal, id, "Only an owner invites an owner.") }
        let actor = try Audit.Actor(request)
        let now = Instant.now()
        let invitation = try await database.transaction { (tx: borrowing Transaction) -> Invitation in
            guard let workspace = try await WorkspaceStore.lock(id, asker: principal.user, tx) else {
                throw Problem.notFound(.workspaceNotFound)
            }
            try await requireUnblocked(email, tx)
            if try await InvitationStore.isMember(email, of: id, tx) {
                throw Problem.validation("email", "belongs to a member of the workspace")
            }
            guard try await InvitationStore.openCount(of: id, tx) < Invitation.openMax else {
                throw Problem.conflict("The workspace has \(Invitation.openMax) open invitations; withdraw some first.")
            }
            let made = Invitation(
                id: InvitationID(), workspace: id, workspaceName: workspace.name, email: email, role: role,
                invitedBy: principal.user, sentAt: now, expiresAt: now + Invitation.lifetime, acceptedAt: nil,
                acceptedBy: nil, withdrawnAt: nil, createdAt: now)
            let (token, digest) = Invitation.token()
            try await InvitationStore.insert(made, digest: digest, tx)
            try await send(made, token: token, principal, tx)
            Audit.record(
                "workspaces.invited", .invitation, made.id.text, workspace: id, after: made, by: actor, tx)
            return made
        }
        return .json(201, invitation)
    }

    /// `POST /api/workspaces/invitations/{id}/resend/`: another token, another week.
    func resendInvitation(_ request: Request) async throws -> Response {
        let (principal, known) = try await invitation(request)
        let actor = try Audit.Actor(request)
        let invitation = try await database.transaction { (tx: borrowing Transaction) -> Invitation in
            guard var found = try await InvitationStore.lock(known.id, tx) else {
                throw Problem.notFound(.invitationNotFound)
            }
            try Self.requireOpen(found)
            let now = Instant.now()
            let wait = found.sentAt + Invitation.resentAfter - now
            if wait > .zero {
                throw Problem(
                    .rateLimited, "It was sent less than a minute ago.",
                    headers: [("Retry-After", String(wait.components.seconds + 1))])
            }
            found.sentAt = now
            found.expiresAt = now + Invitation.lifetime
            let (token, digest) = Invitation.token()
            InvitationStore.renew(found, digest: digest, tx)
            try await send(found, token: token, principal, tx)
            Audit.record(
                "workspaces.invitation_resent", .invitation, found.id.text, workspace: found.workspace, before: known,
                after: found, by: actor, tx)
            return found
        }
        return .json(200, invitation)
    }

    /// `DELETE /api/workspaces/invitations/{id}/`
    func withdrawInvitation(_ request: Request) async throws -> Response {
        let (_, known) = try await invitation(request)
        let actor = try Audit.Actor(request)
        try await database.transaction { (tx: borrowing Transaction) in
            guard let found = try await InvitationStore.lock(known.id, tx) else {
                throw Problem.notFound(.invitationNotFound)
            }
            try Self.requireOpen(found)
            InvitationStore.withdraw(found.id, tx)
            Audit.record(
                "workspaces.invitation_withdrawn", .invitation, found.id.text, workspace: found.workspace,
                before: found, by: actor, tx)
        }
        return .empty(204)
    }

    /// `POST /api/workspaces/invitations/accept/` with `{token}`, by whoever has the address it was sent to.
    func acceptInvitation(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let token = form.string("token", max: 200)
        try form.finish()
        let actor = try Audit.Actor(request)
        let workspace = try await database.transaction { (tx: borrowing Transaction) -> Workspace in
            guard let invitation = try await InvitationStore.lock(digest: Digest.sha256(token), tx) else {
                throw Problem(.invitationNotFound, "This invitation was used or withdrawn, or never sent.")
            }
            guard invitation.expiresAt > .now() else {
                throw Problem(.gone, "This invitation has run out; ask for another one.")
            }
            guard var account = try await UserStore.lock(principal.user, tx) else {
                throw Problem.notFound(.userNotFound)
            }
            guard account.email.folded == invitation.email.folded else {
                throw Problem.forbidden("This invitation is for another e-mail address; log in with that one.")
            }
            guard let workspace = try await WorkspaceStore.lock(invitation.workspace, asker: account.id, tx) else {
                throw Problem.notFound(.workspaceNotFound)
            }
            InvitationStore.accept(invitation.id, by: account.id, tx)
            if !account.isVerified {
                // Only whoever reads that mailbox knows the token.
                account.isVerified = true
                try await UserStore.save(&account, tx)
                tx.publish(UserEvent.updated(account.snapshot))
            }
            // Whoever was added meanwhile keeps what they were given.
            if workspace.role == nil {
                let member = Member(account: account, role: invitation.role, joinedAt: .now())
                MemberStore.add(account.id, as: invitation.role, to: workspace.id, tx)
                announce(member, in: workspace.id, "workspaces.member_added", actor, tx)
                try await cutOff([account.id], tx)
            }
            Audit.record(
                "workspaces.invitation_accepted", .invitation, invitation.id.text, workspace: workspace.id,
                before: ["status": "pending"] as JSONObject, after: ["status": "accepted"] as JSONObject, by: actor, tx)
            var joined = workspace
            joined.role = workspace.role ?? invitation.role
            joined.members += workspace.role == nil ? 1 : 0
            return joined
        }
        return .json { json in
            json.object { json in
                json.field("message", "Welcome. Refresh your token to work in the workspace.")
                json.field("workspace", workspace)
                json.field("role", workspace.role)
            }
        }
    }

    // MARK: Pieces

    private func send(
        _ invitation: Invitation, token: String, _ principal: Principal, _ tx: borrowing Transaction
    ) async throws {
        let inviter = try await MemberStore.accounts([principal.user], tx)[principal.user]
        let accept = settings.publicURL + "/api/workspaces/invitations/accept/"
        send(
            .invitation(invitation, from: inviter?.fullName ?? "Somebody", token: token, accept: accept),
            to: invitation.email, of: principal.user, tx)
    }

    private static func requireOpen(_ invitation: Invitation) throws(Problem) {
        switch invitation.status {
        case .pending, .expired: return
        case .accepted: throw .conflict("This invitation was accepted already.")
        case .withdrawn: throw .conflict("This invitation was withdrawn.")
        }
    }

    /// The invitation a route names, for those who may invite to its workspace.
    private func invitation(_ request: Request) async throws -> (Principal, Invitation) {
        let principal = try await current(request)
        let id = try request.pathID("id", as: InvitationID.self, or: .invitationNotFound)
        let found = try await InvitationStore.find(id, principal.tenancy(for: .writeMembers), database)
        guard let found else { throw Problem.notFound(.invitationNotFound) }
        return (principal, found)
    }
}
