import HTTP
import Messaging
import Postgres
import Shared

/// One person, read and changed (document 001).
extension Accounts {
    /// `GET /api/users/users/`: staff see everybody, everybody else sees themselves.
    func listUsers(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = request.queryForm
        let page = Page(classic: &form, places: true)
        let filter = UserFilter(&form, only: principal.isAdmin || principal.staff ? nil : principal.user)
        try form.finish()
        let found = try await ReadUsers.page(filter, page, database)
        return page.classic(request, total: found.total, next: found.next) { json in
            for account in found.accounts { account.write(to: &json) }
        }
    }

    /// `GET /api/users/users/{id}/`
    func getUser(_ request: Request) async throws -> Response {
        let id = try request.pathID("id", as: UserID.self, or: .userNotFound)
        try request.requirePrincipal().require(.readUsers, of: id)
        guard let account = try await AccountStore.find(id, database) else { throw Problem.notFound(.userNotFound) }
        return .json(200, account)
    }

    /// `PUT /api/users/users/{id}/`
    func replaceUser(_ request: Request) async throws -> Response {
        try await write(request, try request.pathID("id", as: UserID.self, or: .userNotFound), whole: true)
    }

    /// `PATCH /api/users/users/{id}/`
    func updateUser(_ request: Request) async throws -> Response {
        try await write(request, try request.pathID("id", as: UserID.self, or: .userNotFound), whole: false)
    }

    /// `PATCH /api/users/users/me/`
    func updateMe(_ request: Request) async throws -> Response {
        try await write(request, try request.requirePrincipal().user, whole: false)
    }

    private func write(_ request: Request, _ id: UserID, whole: Bool) async throws -> Response {
        let principal = try request.requirePrincipal()
        try principal.require(.writeUsers, of: id)
        var form = try await request.form()
        let body = UserBody(&form, whole: whole)
        try form.finish()
        let actor = try Audit.Actor(request)
        let account = try await database.transaction { (tx: borrowing Transaction) -> Account in
            guard let before = try await UserStore.lock(id, tx) else { throw Problem.notFound(.userNotFound) }
            var after = before
            try body.apply(to: &after, by: principal)
            guard after != before else { return before }
            if after.email.folded != before.email.folded { try await requireUnblocked(after.email, tx) }
            if before.role == .admin, after.role != .admin, try await UserStore.isLastAdmin(id, tx) {
                throw Problem.conflict("This is the last admin; make somebody else an admin first.")
            }
            try await UserStore.save(&after, tx)
            tx.publish(UserEvent.updated(after.snapshot))
            // What their tokens say of them is no longer true.
            if after.role != before.role || after.isStaff != before.isStaff { try await cutOff([id], tx) }
            try await tellAddresses(before, after, tx)
            if principal.user != id || after.logsInOtherwise(than: before) {
                Audit.record("users.updated", .user, id.text, before: before, after: after, by: actor, tx)
            }
            return after
        }
        return .json(200, account)
    }

    /// `PATCH /api/users/users/{id}/change_status/`: in force everywhere within a second.
    func changeStatus(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("id", as: UserID.self, or: .userNotFound)
        try principal.require(.changeStatus, of: id)
        var form = try await request.form()
        let status = form.choice("status", as: Account.Status.self)
        let reason = form.optionalString("reason", max: 500)
        try form.finish()
        guard id != principal.user else { throw Problem.forbidden("Nobody changes the status of their own account.") }
        let actor = try Audit.Actor(request)
        let account = try await database.transaction { (tx: borrowing Transaction) -> Account in
            guard let before = try await UserStore.lock(id, tx) else { throw Problem.notFound(.userNotFound) }
            try UserBody.requireReach(to: before, principal)
            guard before.status != status else { return before }
            if before.role == .admin, status != .active, try await UserStore.isLastAdmin(id, tx) {
                throw Problem.conflict("This is the last active admin; make somebody else an admin first.")
            }
            var after = before
            after.status = status
            try await UserStore.save(&after, tx)
            if status != .active {
                UserStore.endSessions(of: id, reason: "the account's status changed", tx)
                try await cutOff([id], tx)
            }
            tx.publish(UserEvent.updated(after.snapshot))
            let was: JSONObject = ["status": .string(before.status.rawValue)]
            var became: JSONObject = ["status": .string(status.rawValue)]
            if let reason { became["reason"] = .string(reason) }
            Audit.record("users.status_changed", .user, id.text, before: was, after: became, by: actor, tx)
            return after
        }
        return .json(200, account)
    }
}
