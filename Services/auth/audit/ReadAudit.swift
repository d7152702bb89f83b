import HTTP
import Postgres
import Shared

/// `GET /api/users/audit/`: the trail, for admins.
struct AuditFilter: Sendable {
    static let orders = ["created_at"]
    var actor: UserID?
    var action: String?
    var thing: Audit.Thing?
    var thingID: String?
    var workspace: WorkspaceID?
    var search: String?
    var from: Instant?
    var until: Instant?
    var order = Ordering(field: "created_at", descending: true)

    init(_ form: inout Form) {
        actor = form.optionalID("actor", as: UserID.self)
        action = form.optionalString("action", max: 100)
        thing = form.optionalChoice("thing", as: Audit.Thing.self)
        thingID = form.optionalString("thing_id", max: 100)
        workspace = form.optionalID("workspace", as: WorkspaceID.self)
        search = form.optionalString("search", max: 200)
        from = form.optionalDateBound("created_at__gte")?.firstInUTC
        until = form.optionalDateBound("created_at__lte")?.endInUTC
        order = Ordering(&form, among: Self.orders, default: order)
    }
}

extension Accounts {
    func readAudit(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let page = Page(classic: &form)
        let filter = AuditFilter(&form)
        try form.finish()
        let (lines, count) = try await ReadAudit.page(filter, page, database)
        return page.classic(request, count: count) { json in for line in lines { line.write(to: &json) } }
    }
}

enum ReadAudit {
    /// Further than this nobody counts.
    private static let exactMax = 100_000

    static func page(
        _ filter: AuditFilter, _ page: Page, _ database: Database
    ) async throws -> (lines: [Found], count: Int) {
        let condition = conditions(filter)
        let order: Query = filter.order.isDescending ? "a.at DESC, a.id DESC" : "a.at, a.id"
        let answers = try await database.pipeline([
            """
            SELECT a.id, a.at, a.actor_id, a.actor_role, a.session_id, a.api_key_id, a.action, a.thing, a.thing_id,
                   a.workspace_id, a.before, a.after, a.address, a.user_agent, a.request_id,
                   u.email AS actor_email, u.first_name || ' ' || u.last_name AS actor_name
            FROM (SELECT * FROM audit a WHERE \(fragment: condition)
                  ORDER BY \(fragment: order) LIMIT \(page.size) OFFSET \(page.offset)) AS a
            LEFT JOIN users u ON u.id = a.actor_id ORDER BY \(fragment: order)
            """,
            """
            SELECT count(*) AS n FROM (SELECT 1 FROM audit a WHERE \(fragment: condition)
                                       LIMIT \(exactMax)) AS counted
            """,
        ])
        return (try answers[0].map(Found.init), try answers[1].first.map { try $0["n"] } ?? 0)
    }

    private static func conditions(_ filter: AuditFilter) -> Query {
        var condition: Query = "TRUE"
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let actor = filter.actor { add("a.actor_id = \(actor)") }
        if let action = filter.action {
            // `users` means everything in that area, `users.created` just that.
            add(action.contains(".") ? "a.action = \(action)" : begins("a.action", action + "."))
        }
        if let thing = filter.thing { add("a.thing = \(thing.rawValue)") }
        if let id = filter.thingID { add("a.thing_id = \(id)") }
        if let workspace = filter.workspace { add("a.workspace_id = \(workspace)") }
        if let from = filter.from { add("a.at >= \(from)") }
        if let until = filter.until { add("a.at < \(until)") }
        if let words = filter.search, !words.isEmpty { add(search(words)) }
        return condition
    }

    /// A thing's id, a request's id, an address, the beginning of an action, or of the doer's e-mail address.
    private static func search(_ words: String) -> Query {
        """
        (a.thing_id = \(words) OR a.request_id = \(words) OR a.address = \(words)
         OR \(fragment: begins("a.action", words.lowercased()))
         OR a.actor_id IN (SELECT u.id FROM users u
                           WHERE \(fragment: begins("u.email_folded", words.lowercased())) LIMIT 1000))
        """
    }

    private static func begins(_ column: Query, _ text: String) -> Query {
        """
        (\(fragment: column) COLLATE "C" >= \(text) AND \(fragment: column) COLLATE "C" < \(text + TextRange.end))
        """
    }

    struct Found: JSONWritable {
        private let id: AuditID
        private let at: Instant
        private let actor: UserID?
        private let email: String?
        private let name: String?
        private let role: String
        private let session: SessionID?
        private let apiKey: APIKeyID?
        private let fields: [(String, String?)]
        private let workspace: WorkspaceID?
        private let before: JSON?
        private let after: JSON?

        init(_ row: Row) throws {
            id = try row["id"]
            at = try row["at"]
            actor = try row["actor_id"]
            fields = try ["action", "thing", "thing_id", "address", "user_agent", "request_id"].map { name in
                (name, try row.decode(name, as: String?.self))
            }
            email = try row["actor_email"]
            name = try row["actor_name"]
            role = try row["actor_role"]
            session = try row["session_id"]
            apiKey = try row["api_key_id"]
            workspace = try row["workspace_id"]
            before = try row["before"]
            after = try row["after"]
        }

        func write(to json: inout JSONWriter) {
            json.object { json in
                json.field("id", id)
                json.field("created_at", at)
                json.fieldObject("actor") { json in
                    json.field("id", actor)
                    json.field("email", email)
                    json.field("name", name.map { $0.trimmingWhitespace() })
                    json.field("role", role)
                    json.field("session_id", session)
                    json.field("api_key_id", apiKey)
                }
                for (name, value) in fields { json.field(name, value) }
                json.field("workspace", workspace)
                json.field("before", before)
                json.field("after", after)
            }
        }
    }
}

/// Texts that begin alike, in the order of code points.
enum TextRange {
    /// Sorts behind everything that can follow a beginning.
    static let end = "\u{10FFFF}"
}
