import HTTP
import Messaging
import Postgres
import Shared

/// The blacklist (document 001). In force within a second everywhere: auth looks at it at every log-in and refresh,
/// revocations cut what was issued before, and telephony hears of every entry (`auth.blacklist`).
extension Accounts {
    /// One entry does not lock out more people than this: `*@example.com` is meant for a company, not for half the world.
    private static let concernedMax = 10_000

    /// `GET /api/users/blacklist/`
    func listBlacklist(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = request.queryForm
        let page = Page(classic: &form)
        let filter = BlacklistFilter(&form, tenancy: principal.tenancy(for: .readBlacklist))
        try form.finish()
        let (entries, count) = try await BlacklistStore.list(filter, page, database)
        return page.classic(request, count: count) { json in for entry in entries { entry.write(to: &json) } }
    }

    /// `GET /api/users/blacklist/{id}/`
    func getBlacklistEntry(_ request: Request) async throws -> Response {
        .json(200, try await entry(request, for: .readBlacklist))
    }

    /// `POST /api/users/blacklist/`
    func addToBlacklist(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let kind = form.choice("kind", as: BlacklistEntry.Kind.self)
        let text = form.string("value", max: 320)
        let reason = form.optionalString("reason", max: 500) ?? ""
        let expiresAt = form.optionalInstant("expires_at")
        let named = form.optionalID("workspace", as: WorkspaceID.self)
        if let expiresAt, expiresAt <= .now() { form.fail("expires_at", "must lie in the future") }
        let (value, complaint) = BlacklistEntry.canonical(text, kind)
        if !form.hasFailed, value == nil { form.fail("value", complaint) }
        if named != nil, !form.hasFailed, !kind.isNumber {
            form.fail("workspace", "goes with numbers only; people and addresses are blocked everywhere")
        }
        try form.finish()
        let workspace = try place(named, kind, principal)
        let now = Instant.now()
        let entry = BlacklistEntry(
            id: BlacklistID(), kind: kind, value: value ?? "", workspace: workspace, reason: reason,
            expiresAt: expiresAt, createdBy: principal.user, createdAt: now, updatedAt: now)
        let actor = try Audit.Actor(request)
        try await database.transaction { (tx: borrowing Transaction) in
            let concerned = try await concerned(by: entry, principal, tx)
            try await BlacklistStore.insert(entry, tx)
            try await cutOff(concerned, tx)
            if kind == .user, let id = concerned.first, let account = try await UserStore.lock(id, tx) {
                tx.publish(UserEvent.blacklisted(account.snapshot))
            }
            Audit.record(
                "blacklist.added", .blacklist, entry.id.text, workspace: workspace, after: entry, by: actor, tx)
        }
        return .json(201, entry)
    }

    /// `PUT /api/users/blacklist/{id}/`
    func replaceBlacklistEntry(_ request: Request) async throws -> Response {
        try await writeEntry(request, whole: true)
    }

    /// `PATCH /api/users/blacklist/{id}/`
    func updateBlacklistEntry(_ request: Request) async throws -> Response {
        try await writeEntry(request, whole: false)
    }

    private func writeEntry(_ request: Request, whole: Bool) async throws -> Response {
        let known = try await entry(request, for: .writeBlacklist)
        var form = try await request.form()
        let reason = form.optionalString("reason", max: 500) ?? (whole ? "" : nil)
        let expiresAt = form.optionalInstant("expires_at")
        let setsEnd = whole || form.has("expires_at")
        if let expiresAt, expiresAt <= .now(), expiresAt != known.expiresAt {
            form.fail("expires_at", "must lie in the future; to lift the entry now, delete it")
        }
        let kind =
            whole
            ? form.choice("kind", as: BlacklistEntry.Kind.self)
            : form.optionalChoice("kind", as: BlacklistEntry.Kind.self)
        let text = whole ? form.string("value", max: 320) : form.optionalString("value", max: 320)
        let another = "cannot be changed; delete the entry and make another"
        if !form.hasFailed, let kind, kind != known.kind { form.fail("kind", another) }
        if !form.hasFailed, let text, BlacklistEntry.canonical(text, known.kind).value != known.value {
            form.fail("value", another)
        }
        if let named = form.optionalID("workspace", as: WorkspaceID.self), named != known.workspace {
            form.fail("workspace", another)
        }
        try form.finish()
        let principal = try request.requirePrincipal()
        let actor = try Audit.Actor(request)
        let entry = try await database.transaction { (tx: borrowing Transaction) -> BlacklistEntry in
            guard let before = try await BlacklistStore.lock(known.id, tx) else {
                throw Problem.notFound(.entryOfBlacklistNotFound)
            }
            var after = before
            if let reason { after.reason = reason }
            if setsEnd { after.expiresAt = expiresAt }
            guard after != before else { return before }
            // What had run out and blocks again, blocks whoever has come in since.
            let concerned = before.isActive ? [] : try await concerned(by: after, principal, tx)
            BlacklistStore.save(&after, tx)
            try await cutOff(concerned, tx)
            Audit.record(
                "blacklist.changed", .blacklist, known.id.text, workspace: known.workspace, before: before,
                after: after,
                by: actor, tx)
            return after
        }
        return .json(200, entry)
    }

    /// `DELETE /api/users/blacklist/{id}/`
    func removeFromBlacklist(_ request: Request) async throws -> Response {
        let known = try await entry(request, for: .writeBlacklist)
        let actor = try Audit.Actor(request)
        try await database.transaction { (tx: borrowing Transaction) in
            guard let before = try await BlacklistStore.lock(known.id, tx) else {
                throw Problem.notFound(.entryOfBlacklistNotFound)
            }
            BlacklistStore.remove(before.id, tx)
            Audit.record(
                "blacklist.lifted", .blacklist, before.id.text, workspace: before.workspace, before: before, by: actor,
                tx)
        }
        return .empty(204)
    }

    // MARK: Pieces

    /// Where an entry counts: staff block everywhere unless they name a workspace, a manager in their own.
    private func place(
        _ named: WorkspaceID?, _ kind: BlacklistEntry.Kind, _ principal: Principal
    ) throws -> WorkspaceID? {
        if named == nil, principal.isAdmin || principal.staff { return nil }
        guard kind.isNumber else { throw Problem.forbidden("Only staff block people and e-mail addresses.") }
        return try principal.workspace(named, for: .writeBlacklist)
    }

    /// The people an entry locks out.
    /// - Throws: 403 when the asker or, for staff, an admin is among them; 400 when they are too many.
    private func concerned(
        by entry: BlacklistEntry, _ principal: Principal, _ tx: borrowing Transaction
    ) async throws -> [UserID] {
        let people = try await BlacklistStore.concerned(entry.kind, entry.value, max: Self.concernedMax + 1, tx)
        if entry.kind == .user, people.isEmpty { throw Problem.validation("value", "is nobody's id") }
        guard people.count <= Self.concernedMax else {
            throw Problem.validation("value", "would lock out more than \(Self.concernedMax) people at once")
        }
        if people.contains(where: { $0.id == principal.user }) {
            throw Problem.forbidden("This would lock you out yourself.")
        }
        if !principal.isAdmin, people.contains(where: \.isAdmin) {
            throw Problem.forbidden("Only admins may block an admin.")
        }
        return people.map(\.id)
    }

    /// The entry a route names, if the asker may do `action` to it.
    private func entry(_ request: Request, for action: Action) async throws -> BlacklistEntry {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("id", as: BlacklistID.self, or: .entryOfBlacklistNotFound)
        guard let found = try await BlacklistStore.find(id, principal.tenancy(for: action), database) else {
            throw Problem.notFound(.entryOfBlacklistNotFound)
        }
        return found
    }
}

/// What is said and asked about the blacklist.
enum BlacklistSchemas {
    static let detail = """
        `value` by `kind`: `user` a person's id; `email` an address, or `*@example.com` for all of a domain; `phone` an \
        E.164 number; `range` a prefix such as `+4479*` (at least two digits) or two numbers of the same length such as \
        `+14155550100-+14155550199`, both included. People and addresses are the staff's to block, everywhere. Numbers \
        are blocked everywhere by staff, and in one workspace by its managers (`workspace`). In force within a second: \
        no log-in or refresh (403 `ACCOUNT_BLOCKED`), access tokens revoked, sockets closed, no registration; calls from \
        the number are rejected before anybody speaks and leave no call behind, calls to it are refused when ordered and \
        again when dialled (`failure_reason` `blacklisted`).
        """

    static let entry = Schema.ref(
        "BlacklistEntry",
        .object(
            .required("id", .uuid), .required("kind", .choice(BlacklistEntry.Kind.self)), .required("value", .string),
            .required("workspace", .nullable(.uuid), "null: everywhere."), .required("reason", .string),
            .required("expires_at", .nullable(.instant), "null: until it is lifted."), .required("is_active", .boolean),
            .required("created_by", .nullable(.uuid)), .required("created_at", .instant),
            .required("updated_at", .instant)))

    private static let changeable: [Field] = [
        .optional("reason", .string(max: 500)), .optional("expires_at", .nullable(.instant)),
    ]
    private static let naming: [Field] = [
        .required("kind", .choice(BlacklistEntry.Kind.self)), .required("value", .string(min: 1, max: 320)),
    ]
    static let new = Schema.object(
        naming + changeable + [
            .optional("workspace", .uuid, "Numbers only. Default: everywhere for staff, else the caller's own.")
        ])
    static let whole = Schema.object(naming + changeable)
    static let part = Schema.object(changeable)

    static let query: [Parameter] =
        .classicList(ordering: BlacklistFilter.orders) + [
            .query("kind", .choice(BlacklistEntry.Kind.self)), .query("value", .string(max: 320)),
            .query("workspace", .uuid), .query("is_active", .boolean), .query("is_global", .boolean),
            .query("created_at__gte", .string, "A day or an instant."), .query("created_at__lte", .string),
            .query("expires_at__gte", .string), .query("expires_at__lte", .string),
        ]
}
