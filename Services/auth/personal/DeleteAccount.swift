import HTTP
import Messaging
import Postgres
import Runtime
import Shared

extension Personal {
    /// `DELETE /api/dashboard/user/delete-account/` with `{password, confirm: true}` → 202 with the day it happens. Until
    /// then logging in with `cancel_deletion: true` takes it back.
    func deleteAccount(_ request: Request) async throws -> Response {
        let principal = try request.requireThemselves()
        var form = try await request.form()
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        if form.bool("confirm") != true { form.fail("confirm", "must be true: this deletes the account and its data") }
        try form.finish()
        _ = try await accounts.confirm(principal, password)
        let deletesAt = Instant.now() + policy.grace
        let actor = try Audit.Actor(request)
        try await database.transaction { (tx: borrowing Transaction) in
            let account = try await lockDeletable(principal.user, tx)
            try await DeletionStore.plan(account.id, at: deletesAt, tx)
            try await endSessions(of: account.id, reason: "the account is being deleted", tx)
            accounts.send(.deletionPlanned(at: deletesAt), to: account.email, of: account.id, tx)
            let day: JSONObject = ["deletes_at": .string(deletesAt.iso)]
            Audit.record("users.deletion_planned", .user, account.id.text, after: day, by: actor, tx)
        }
        return .json(202) { json in
            json.object { json in
                json.field("deletes_at", deletesAt)
                json.field(
                    "message",
                    "Your account and everything in it will be deleted. To keep it, log in before then with cancel_deletion: true."
                )
            }
        }
    }

    /// `DELETE /api/users/users/{id}/`: at once, by an admin.
    func deleteUser(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("id", as: UserID.self, or: .userNotFound)
        try principal.require(.deleteUsers, of: id)
        let actor = try Audit.Actor(request)
        try await database.transaction { (tx: borrowing Transaction) in
            try await erase(id, tx)
            // Who it was is what has just been erased.
            Audit.record("users.deleted", .user, id.text, by: actor, tx)
        }
        return .json(202) { json in
            json.object { json in
                json.field("id", id)
                json.field("message", "The account is gone; /api/users/erasures/ shows how far its data is.")
            }
        }
    }

    /// The account, locked, if it may go.
    /// - Throws: 404; 409 while others depend on a workspace of theirs, or on them as the last admin.
    func lockDeletable(_ user: UserID, _ tx: borrowing Transaction) async throws -> Account {
        guard let account = try await DeletionStore.lock(user, tx) else { throw Problem.notFound(.userNotFound) }
        let shared = try await DeletionStore.sharedWorkspaces(of: user, tx)
        guard shared.isEmpty else {
            let names = shared.map(\.name).joined(separator: ", ")
            throw Problem(
                .conflict, "Other people work in \(names): transfer it to one of them, or remove them, first.",
                details: [
                    "workspaces": .array(shared.map { ["id": .string($0.id.text), "name": .string($0.name)] })
                ])
        }
        if account.role == .admin, account.status == .active, try await DeletionStore.isLastAdmin(user, tx) {
            throw Problem.conflict("This is the last admin: make somebody else an admin first.")
        }
        return account
    }

    /// Takes everything of a person away from here and tells the other programs to do the same. What is theirs alone goes
    /// with them.
    func erase(_ user: UserID, _ tx: borrowing Transaction) async throws {
        let account = try await lockDeletable(user, tx)
        try await endSessions(of: account.id, reason: "the account was deleted", tx)
        let workspaces = try await DeletionStore.remove(account.id, account.email, tx)
        for workspace in workspaces {
            ErasureBook.open(.workspace(workspace), tx)
            tx.publish(WorkspaceEvent.deleted(id: workspace))
        }
        ErasureBook.open(.user(account.id), tx)
        tx.publish(UserEvent.deleted(id: account.id))
    }

    /// Ends every session, here and in the programs that hold its tokens for good; tokens that came from keys have none.
    private func endSessions(of user: UserID, reason: String, _ tx: borrowing Transaction) async throws {
        try await accounts.endSessions(of: user, reason: reason, tx)
        try await accounts.cutOff([user], tx)
    }
}

extension Accounts {
    /// What somebody hears who has just proved who they are, if their account is being deleted; called by whatever lets
    /// people in, before it does.
    /// - Parameter canceller: who said `cancel_deletion: true`; nil when nobody did.
    /// - Throws: 403 with the day and what to do, unless they take it back.
    func settleDeletion(
        of held: AccountStore.Held, canceller: Audit.Actor? = nil, _ tx: borrowing Transaction
    ) async throws {
        guard let deletesAt = held.deletesAt else { return }
        guard let canceller else {
            throw Problem(
                .forbidden,
                "This account will be deleted on \(deletesAt.iso). To keep it, log in again with cancel_deletion: true.",
                details: ["deletes_at": .string(deletesAt.iso), "cancel_with": ["cancel_deletion": true]])
        }
        let account = held.account
        try await DeletionStore.cancel(account.id, tx)
        send(.deletionCancelled, to: account.email, of: account.id, tx)
        Audit.record("users.deletion_cancelled", .user, account.id.text, by: canceller, tx)
    }
}
