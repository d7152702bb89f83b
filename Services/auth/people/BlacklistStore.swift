import HTTP
import Messaging
import Postgres
import Shared

/// What `GET /api/users/blacklist/` may be asked for.
struct BlacklistFilter: Sendable {
    static let orders = ["created_at", "updated_at", "expires_at", "value", "kind"]
    var tenancy: Tenancy
    var kind: BlacklistEntry.Kind?
    var value: String?
    var workspace: WorkspaceID?
    var isActive: Bool?
    var isGlobal: Bool?
    var search: String?
    var createdFrom: Instant?
    var createdUntil: Instant?
    var expiresFrom: Instant?
    var expiresUntil: Instant?
    var order = Ordering(field: "created_at", descending: true)

    init(_ form: inout Form, tenancy: Tenancy) {
        self.tenancy = tenancy
        kind = form.optionalChoice("kind", as: BlacklistEntry.Kind.self)
        value = form.optionalString("value", max: 320)
        workspace = form.optionalID("workspace", as: WorkspaceID.self)
        isActive = form.optionalBool("is_active")
        isGlobal = form.optionalBool("is_global")
        search = form.optionalString("search", max: 200)
        createdFrom = form.optionalDateBound("created_at__gte")?.firstInUTC
        createdUntil = form.optionalDateBound("created_at__lte")?.endInUTC
        expiresFrom = form.optionalDateBound("expires_at__gte")?.firstInUTC
        expiresUntil = form.optionalDateBound("expires_at__lte")?.endInUTC
        order = Ordering(&form, among: Self.orders, default: order)
    }
}

/// The SQL of the blacklist.
enum BlacklistStore {
    private static let columns: Query = """
        b.id, b.kind, b.value, b.workspace_id, b.reason, b.expires_at, b.created_by, b.version, b.created_at,
        b.updated_at
        """

    // MARK: What is blocked

    struct Block: Sendable {
        let expiresAt: Instant?
    }

    /// The entry that keeps an address out, if one does; of several the one that lasts longest.
    static func block(of email: EmailAddress, _ tx: borrowing Transaction) async throws -> Block? {
        let domain = "*" + email.folded.drop { $0 != "@" }
        return try await tx.queryOne(
            blocking("blacklist b", "b.kind = 'email' AND b.value IN (\(email.folded), \(domain))")
        ).map(block)
    }

    /// The same of a person, by their address as it is now.
    static func blocking(_ user: UserID) -> Query {
        blocking(
            "users u JOIN blacklist b ON b.value IN (u.id::text, u.email_folded, '*@' || u.email_domain)",
            "u.id = \(user) AND b.kind IN ('user', 'email')")
    }

    private static func blocking(_ entries: Query, _ condition: Query) -> Query {
        """
        SELECT TRUE AS blocks, b.expires_at FROM \(fragment: entries)
        WHERE \(fragment: condition) AND b.workspace_id IS NULL AND (b.expires_at IS NULL OR b.expires_at > now())
        ORDER BY b.expires_at DESC NULLS FIRST LIMIT 1
        """
    }

    static func block(_ row: Row) throws -> Block { Block(expiresAt: try row["expires_at"]) }

    /// Whom an entry keeps out, no more than `max` of them, and whether an admin is among those.
    static func concerned(
        _ kind: BlacklistEntry.Kind, _ value: String, max: Int, _ tx: borrowing Transaction
    ) async throws -> [(id: UserID, isAdmin: Bool)] {
        let condition: Query
        switch kind {
        case .user:
            guard let id = UserID(value) else { return [] }
            condition = "u.id = \(id)"
        case .email where value.hasPrefix("*@"): condition = "u.email_domain = \(String(value.dropFirst(2)))"
        case .email: condition = "u.email_folded = \(value)"
        case .phone, .range: return []
        }
        return try await tx.query(
            "SELECT u.id, u.role = 'admin' AS admin FROM users u WHERE \(fragment: condition) LIMIT \(max)"
        ).map { (try $0["id"], try $0["admin"]) }
    }

    // MARK: The list

    static func list(
        _ filter: BlacklistFilter, _ page: Page, _ database: Database
    ) async throws -> (entries: [BlacklistEntry], count: Int) {
        let condition = conditions(filter)
        let answers = try await database.pipeline([
            """
            SELECT \(fragment: columns) FROM blacklist b WHERE \(fragment: condition)
            ORDER BY \(fragment: order(filter.order)) LIMIT \(page.size) OFFSET \(page.offset)
            """,
            "SELECT count(*) AS n FROM blacklist b WHERE \(fragment: condition)",
        ])
        return (try answers[0].map(entry), try answers[1].first.map { try $0["n"] } ?? 0)
    }

    private static func conditions(_ filter: BlacklistFilter) -> Query {
        var condition = tenant(filter.tenancy)
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let kind = filter.kind { add("b.kind = \(kind)") }
        if let value = filter.value { add("b.value = \(value.lowercased())") }
        if let workspace = filter.workspace { add("b.workspace_id = \(workspace)") }
        if let global = filter.isGlobal { add("(b.workspace_id IS NULL) = \(global)") }
        if let active = filter.isActive { add("(b.expires_at IS NULL OR b.expires_at > now()) = \(active)") }
        if let from = filter.createdFrom { add("b.created_at >= \(from)") }
        if let until = filter.createdUntil { add("b.created_at < \(until)") }
        if let from = filter.expiresFrom { add("b.expires_at >= \(from)") }
        if let until = filter.expiresUntil { add("b.expires_at < \(until)") }
        if let words = filter.search?.lowercased(), !words.isEmpty {
            add("(strpos(b.value, \(words)) > 0 OR strpos(lower(b.reason), \(words)) > 0)")
        }
        return condition
    }

    /// Entries for everywhere are the staff's to see; what a workspace blocks is its managers'.
    private static func tenant(_ tenancy: Tenancy) -> Query {
        guard let ids = tenancy.ids else { return "TRUE" }
        return "b.workspace_id = ANY (\(ids))"
    }

    private static func order(_ order: Ordering) -> Query {
        let column: Query =
            switch order.field {
            case "updated_at": "b.updated_at"
            case "expires_at": "b.expires_at"
            case "value": "b.value COLLATE \"C\""
            case "kind": "b.kind"
            default: "b.created_at"
            }
        return order.isDescending ? "\(fragment: column) DESC, b.id DESC" : "\(fragment: column), b.id"
    }

    static func find(_ id: BlacklistID, _ tenancy: Tenancy, _ database: Database) async throws -> BlacklistEntry? {
        try await database.queryOne(
            "SELECT \(fragment: columns) FROM blacklist b WHERE b.id = \(id) AND \(fragment: tenant(tenancy))"
        ).map(entry)
    }

    // MARK: Changes

    static func lock(_ id: BlacklistID, _ tx: borrowing Transaction) async throws -> BlacklistEntry? {
        try await tx.queryOne(
            "SELECT \(fragment: columns) FROM blacklist b WHERE b.id = \(id) FOR UPDATE"
        ).map(entry)
    }

    /// - Throws: a validation problem when the same is blocked already. One that has run out makes room.
    static func insert(_ entry: BlacklistEntry, _ tx: borrowing Transaction) async throws {
        let expired = try await tx.query(
            """
            DELETE FROM blacklist WHERE kind = \(entry.kind) AND value = \(entry.value)
              AND workspace_id IS NOT DISTINCT FROM \(entry.workspace)::uuid AND expires_at <= now() RETURNING id
            """)
        for row in expired { lifted(try row["id"], tx) }
        do {
            _ = try await tx.execute(
                """
                INSERT INTO blacklist (id, kind, value, workspace_id, reason, expires_at, created_by, created_at,
                                       updated_at)
                VALUES (\(entry.id), \(entry.kind), \(entry.value), \(entry.workspace), \(entry.reason),
                        \(entry.expiresAt), \(entry.createdBy), \(entry.createdAt), \(entry.updatedAt))
                """)
        } catch let error as PostgresError where error.isUniqueViolation("blacklist_value") {
            throw Problem.validation("value", "is on the blacklist already")
        } catch let error as PostgresError where error.isForeignKeyViolation() {
            throw Problem.notFound(.workspaceNotFound)
        }
        tx.publish(BlacklistEvent.blocked(entry.snapshot))
    }

    static func save(_ entry: inout BlacklistEntry, _ tx: borrowing Transaction) {
        entry.version += 1
        entry.updatedAt = .now()
        tx.enqueue(
            """
            UPDATE blacklist SET reason = \(entry.reason), expires_at = \(entry.expiresAt), version = \(entry.version),
                updated_at = \(entry.updatedAt)
            WHERE id = \(entry.id)
            """)
        tx.publish(BlacklistEvent.blocked(entry.snapshot))
    }

    static func remove(_ id: BlacklistID, _ tx: borrowing Transaction) {
        tx.enqueue("DELETE FROM blacklist WHERE id = \(id)")
        lifted(id, tx)
    }

    /// What a workspace blocked, before it goes.
    static func removeAll(of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws {
        for row in try await tx.query("DELETE FROM blacklist WHERE workspace_id = \(workspace) RETURNING id") {
            lifted(try row["id"], tx)
        }
    }

    /// Told first, then forgotten by the compacted topic.
    private static func lifted(_ id: BlacklistID, _ tx: borrowing Transaction) {
        tx.publish(BlacklistEvent.lifted(id: id))
        tx.publishTombstone(.authBlacklist, key: id.text)
    }

    /// Publishes every entry that still blocks something: what a broker that came back empty is told again.
    static func restate(_ tx: borrowing Transaction) async throws {
        let rows = try await tx.query(
            """
            SELECT \(fragment: columns) FROM blacklist b WHERE b.expires_at IS NULL OR b.expires_at > now()
            ORDER BY b.id FOR SHARE
            """)
        for row in rows { tx.publish(BlacklistEvent.blocked(try entry(row).snapshot)) }
    }

    private static func entry(_ row: Row) throws -> BlacklistEntry {
        BlacklistEntry(
            id: try row["id"], kind: try row["kind"], value: try row["value"], workspace: try row["workspace_id"],
            reason: try row["reason"], expiresAt: try row["expires_at"], createdBy: try row["created_by"],
            version: try row["version"], createdAt: try row["created_at"], updatedAt: try row["updated_at"])
    }
}
