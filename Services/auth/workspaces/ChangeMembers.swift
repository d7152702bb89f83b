import HTTP
import Messaging
import Postgres
import Shared

/// Who belongs to a workspace. Every change cuts the access tokens of the person concerned: they refresh, and go on with
/// what they are now.
extension Accounts {
    /// Rows of one bulk request.
    private static let bulkMax = 1_000

    /// `GET /api/workspaces/workspaces/{id}/users/`
    func listMembers(_ request: Request) async throws -> Response {
        let (_, id) = try await workspace(request, for: .readWorkspaces)
        var form = request.queryForm
        let page = Page(classic: &form)
        let filter = MemberFilter(&form)
        try form.finish()
        let (members, count) = try await MemberStore.list(id, filter, page, database)
        // An admin sees nobody in a workspace that is not there, which must not look like an empty one.
        if count == 0, try await WorkspaceStore.find(id, asker: UserID(), database) == nil {
            throw Problem.notFound(.workspaceNotFound)
        }
        return page.classic(request, count: count) { json in for member in members { member.write(to: &json) } }
    }

    /// `POST /api/workspaces/workspaces/{id}/add_users/`: each row has an answer of its own.
    func addUsers(_ request: Request) async throws -> Response {
        let (principal, id) = try await workspace(request, for: .writeMembers)
        var form = try await request.form()
        let ids = Self.rows(&form)
        let role = form.optionalChoice("role", as: WorkspaceRole.self)
        try form.finish()
        if role == .owner { try Self.requireOwnership(principal, id, "Only an owner makes somebody an owner.") }
        let actor = try Audit.Actor(request)
        let outcomes = try await database.transaction { (tx: borrowing Transaction) -> [Outcome] in
            guard try await WorkspaceStore.lock(id, asker: principal.user, tx) != nil else {
                throw Problem.notFound(.workspaceNotFound)
            }
            let known = ids.compactMap(\.id)
            let accounts = try await MemberStore.accounts(known, tx)
            let members = try await MemberStore.members(known, of: id, tx)
            var outcomes: [Outcome] = []
            for row in ids {
                guard let user = row.id, let account = accounts[user] else {
                    outcomes.append(Outcome(row, .notFound, "Nobody has this id."))
                    continue
                }
                if let member = members[user] {
                    outcomes.append(Outcome(row, .alreadyMember, "They are a member already.", member.role))
                    continue
                }
                guard account.status == .active else {
                    outcomes.append(Outcome(row, .forbidden, "Their account is not active."))
                    continue
                }
                // Who registered as an agent comes to take calls; everybody else looks on until they are given more.
                let member = Member(
                    account: account, role: role ?? (account.role == .agent ? .agent : .viewer), joinedAt: .now())
                MemberStore.add(user, as: member.role, to: id, tx)
                announce(member, in: id, "workspaces.member_added", actor, tx)
                outcomes.append(Outcome(row, .added, nil, member.role))
            }
            try await cutOff(outcomes.filter { $0.result == .added }.compactMap(\.row.id), tx)
            return outcomes
        }
        return Self.answer(id, outcomes, done: .added)
    }

    /// `POST /api/workspaces/workspaces/{id}/remove_users/`: by managers, or by whoever leaves.
    func removeUsers(_ request: Request) async throws -> Response {
        let (principal, id) = try await workspace(request, for: .readWorkspaces)
        var form = try await request.form()
        let ids = Self.rows(&form)
        try form.finish()
        let leaves = ids.allSatisfy { $0.id == principal.user }
        if !leaves { try principal.require(.writeMembers, in: id) }
        let actor = try Audit.Actor(request)
        let outcomes = try await database.transaction { (tx: borrowing Transaction) -> [Outcome] in
            guard try await WorkspaceStore.lock(id, asker: principal.user, tx) != nil else {
                throw Problem.notFound(.workspaceNotFound)
            }
            let members = try await MemberStore.members(ids.compactMap(\.id), of: id, tx)
            var owners = Set(try await MemberStore.owners(of: id, tx))
            var outcomes: [Outcome] = []
            for row in ids {
                guard let user = row.id, let member = members[user] else {
                    outcomes.append(Outcome(row, .notFound, "They are no member."))
                    continue
                }
                if member.role == .owner, !Self.owns(principal, id) {
                    outcomes.append(Outcome(row, .forbidden, "Only an owner removes an owner.", .owner))
                    continue
                }
                if owners == [user] {
                    outcomes.append(
                        Outcome(row, .lastOwner, "The last owner stays; transfer the ownership first.", .owner))
                    continue
                }
                owners.remove(user)
                MemberStore.remove(user, from: id, tx)
                tx.publish(WorkspaceEvent.memberRemoved(member.snapshot(in: id)))
                Audit.record(
                    "workspaces.member_removed", .member, user.text, workspace: id, before: Self.trace(member.role),
                    by: actor, tx)
                outcomes.append(Outcome(row, .removed, nil))
            }
            try await cutOff(outcomes.filter { $0.result == .removed }.compactMap(\.row.id), tx)
            return outcomes
        }
        return Self.answer(id, outcomes, done: .removed)
    }

    /// `PATCH /api/workspaces/workspaces/{id}/users/{user_id}/` with `{role}`
    func changeMember(_ request: Request) async throws -> Response {
        let (principal, id) = try await workspace(request, for: .writeMembers)
        let user = try request.pathID("user_id", as: UserID.self, or: .memberNotFound)
        var form = try await request.form()
        let role = form.choice("role", as: WorkspaceRole.self)
        try form.finish()
        let actor = try Audit.Actor(request)
        let member = try await database.transaction { (tx: borrowing Transaction) -> Member in
            guard try await WorkspaceStore.lock(id, asker: principal.user, tx) != nil else {
                throw Problem.notFound(.workspaceNotFound)
            }
            guard let before = try await MemberStore.members([user], of: id, tx)[user] else {
                throw Problem.notFound(.memberNotFound)
            }
            guard before.role != role else { return before }
            if before.role == .owner { try Self.requireOwnership(principal, id, "Only an owner changes an owner.") }
            if role == .owner { try Self.requireOwnership(principal, id, "Only an owner makes somebody an owner.") }
            if before.role == .owner, try await MemberStore.owners(of: id, tx) == [user] {
                throw Problem.conflict("The last owner stays owner; transfer the ownership first.")
            }
            var after = before
            after.role = role
            MemberStore.add(user, as: role, to: id, tx)
            announce(after, in: id, "workspaces.member_changed", actor, before: before.role, tx)
            try await cutOff([user], tx)
            return after
        }
        return .json(200, member)
    }

    // MARK: Pieces

    /// Tells the others of a member and writes it down.
    func announce(
        _ member: Member, in workspace: WorkspaceID, _ action: StaticString, _ actor: Audit.Actor,
        before: WorkspaceRole? = nil, _ tx: borrowing Transaction
    ) {
        tx.publish(WorkspaceEvent.memberAdded(member.snapshot(in: workspace)))
        Audit.record(
            action, .member, member.account.id.text, workspace: workspace, before: before.map(Self.trace),
            after: Self.trace(member.role), by: actor, tx)
    }

    private static func trace(_ role: WorkspaceRole) -> JSONObject { ["role": .string(role.rawValue)] }

    static func owns(_ principal: Principal, _ workspace: WorkspaceID) -> Bool {
        principal.role(in: workspace) == .owner
    }

    static func requireOwnership(_ principal: Principal, _ id: WorkspaceID, _ why: String) throws(Problem) {
        if !owns(principal, id) { throw .forbidden(why) }
    }

    /// One row of a bulk request: what was sent, and whom it names, if anybody.
    struct BulkRow: Sendable, Hashable {
        let text: String
        var id: UserID? { UserID(text) }
    }

    /// `user_ids`, each once. One that is no id is a bad row, which does not stop the others.
    private static func rows(_ form: inout Form) -> [BulkRow] {
        guard let texts = form.strings("user_ids", max: bulkMax, each: 200) else {
            if form.value("user_ids") == nil { form.fail("user_ids", "is required") }
            return []
        }
        if texts.isEmpty { form.fail("user_ids", "must name somebody") }
        var seen: Set<String> = []
        return texts.filter { seen.insert($0.lowercased()).inserted }.map(BulkRow.init)
    }

    struct Outcome: Sendable {
        enum Result: String, CaseIterable, Sendable, JSONWritable {
            case added, removed
            case alreadyMember = "already_member"
            case notFound = "not_found"
            case forbidden
            case lastOwner = "last_owner"
        }

        let row: BulkRow
        let result: Result
        let detail: String?
        let role: WorkspaceRole?

        init(_ row: BulkRow, _ result: Result, _ detail: String?, _ role: WorkspaceRole? = nil) {
            self.row = row
            self.result = result
            self.detail = detail
            self.role = role
        }
    }

    private static func answer(_ id: WorkspaceID, _ outcomes: [Outcome], done: Outcome.Result) -> Response {
        let count = outcomes.count { $0.result == done }
        return .json { json in
            json.object { json in
                json.field("message", "\(count) of \(outcomes.count) \(done.rawValue).")
                json.field("workspace", id)
                json.field("count", count)
                json.fieldArray("results") { json in
                    for outcome in outcomes {
                        json.object { json in
                            json.field("user_id", outcome.row.text)
                            json.field("result", outcome.result)
                            json.field("role", outcome.role)
                            json.field("detail", outcome.detail)
                        }
                    }
                }
            }
        }
    }
}
