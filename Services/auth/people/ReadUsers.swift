import HTTP
import Postgres
import Shared

/// What `GET /api/users/users/` may be asked for.
struct UserFilter: Sendable {
    enum Order: String, CaseIterable, Sendable {
        case createdAt = "created_at"
        case updatedAt = "updated_at"
        case lastLogin = "last_login"
        case email, username
        case firstName = "first_name"
        case lastName = "last_name"
    }

    static let orders = Order.allCases.map(\.rawValue)

    /// The only person to be seen, for whoever may not see all.
    var only: UserID?
    var search: UserSearch?
    var role: Role?
    var status: Account.Status?
    var isActive: Bool?
    var isStaff: Bool?
    var isSuperuser: Bool?
    var isVerified: Bool?
    var email: String?
    var username: String?
    var firstName: String?
    var lastName: String?
    var phone: PhoneNumber?
    var workspace: WorkspaceID?
    var created: (from: Instant?, until: Instant?)
    var updated: (from: Instant?, until: Instant?)
    var loggedIn: (from: Instant?, until: Instant?)
    var order = Order.createdAt
    var descending = true

    init(_ form: inout Form, only: UserID?) {
        self.only = only
        search = form.optionalString("search", max: 200).flatMap(UserSearch.init)
        role = form.optionalChoice("role", as: Role.self)
        status = form.optionalChoice("status", as: Account.Status.self)
        isActive = form.optionalBool("is_active")
        isStaff = form.optionalBool("is_staff")
        isSuperuser = form.optionalBool("is_superuser")
        isVerified = form.optionalBool("is_verified")
        email = form.optionalString("email", max: 320)?.lowercased()
        username = form.optionalString("username", max: 60)?.lowercased()
        firstName = form.optionalString("first_name", max: 100)
        lastName = form.optionalString("last_name", max: 100)
        phone = form.optionalPhone("phone")
        workspace = form.optionalID("workspace", as: WorkspaceID.self)
        created = Self.range(&form, "created_at")
        updated = Self.range(&form, "updated_at")
        loggedIn = Self.range(&form, "last_login")
        let ordering = Ordering(
            &form, among: Self.orders, default: Ordering(field: Order.createdAt.rawValue, descending: true))
        order = Order(rawValue: ordering.field) ?? .createdAt
        descending = ordering.isDescending
    }

    private static func range(_ form: inout Form, _ name: String) -> (from: Instant?, until: Instant?) {
        let (from, until) = form.dateRange(from: name + "__gte", to: name + "__lte")
        return (from?.firstInUTC, until?.endInUTC)
    }

    /// Whether the table of counts knows how many there are.
    fileprivate var isCounted: Bool {
        let texts: [Any?] = [
            only, search, email, username, firstName, lastName, phone, workspace, created.from, created.until,
            updated.from, updated.until, loggedIn.from, loggedIn.until,
        ]
        return texts.allSatisfy { $0 == nil }
    }
}

/// Reads the list of people.
enum ReadUsers {
    /// Counting further costs more than anybody gains from it (contract: exact up to 100,000).
    static let exactMax = 100_000
    /// A search with no more matches than this is sorted; one with more is found by walking the order.
    private static let matchesMax = 1_000

    struct Listed: Sendable {
        let accounts: [Account]
        let total: Total
        /// Where the next page begins.
        let next: Cursor?
    }

    static func page(_ filter: UserFilter, _ page: Page, _ database: Database) async throws -> Listed {
        let matching = try await matching(filter.search, database)
        var condition = conditions(filter)
        if let matching { condition = "\(fragment: condition) AND \(fragment: matching.condition)" }
        let seek = try page.cursor.map { try position(filter, $0) } ?? ""
        let order = ordering(filter)
        let rows = try await database.query(
            // The ids first, which an order's index has: a far page reads no people it does not show.
            """
            SELECT \(fragment: AccountStore.columns) FROM (
                SELECT u.id FROM users u WHERE \(fragment: condition) \(fragment: seek)
                ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)) AS p
            JOIN users u ON u.id = p.id ORDER BY \(fragment: order)
            """)
        var accounts = try rows.map(AccountStore.account)
        let hasMore = accounts.count > page.size
        if hasMore { accounts.removeLast() }
        let next = hasMore ? accounts.last.map { Cursor([value(of: $0, filter.order), .string($0.id.text)]) } : nil
        // A first page that holds everything has counted it.
        let total: Total =
            if page.offset == 0, page.cursor == nil, !hasMore { .exact(accounts.count) } else {
                try await total(filter, condition, matching, database)
            }
        return Listed(accounts: accounts, total: total, next: next)
    }

    // MARK: Counting

    private static func total(
        _ filter: UserFilter, _ condition: Query, _ matching: Matching?, _ database: Database
    ) async throws -> Total {
        if filter.isCounted {
            let row = try await database.queryOne(
                "SELECT coalesce(sum(n), 0)::bigint AS n FROM user_counts u WHERE \(fragment: kinds(filter))")
            return .exact(try row.map { try $0["n"] } ?? 0)
        }
        let counted: Query =
            if let matching, matching.isBroad {
                """
                SELECT 1 FROM (\(fragment: matching.ids(max: exactMax + 1))) AS m JOIN users u ON u.id = m.id
                WHERE \(fragment: conditions(filter)) LIMIT \(exactMax + 1)
                """
            } else {
                "SELECT 1 FROM users u WHERE \(fragment: condition) LIMIT \(exactMax + 1)"
            }
        let row = try await database.queryOne("SELECT count(*) AS n FROM (\(fragment: counted)) AS counted")
        let count: Int = try row.map { try $0["n"] } ?? 0
        guard count > exactMax else { return .exact(count) }
        let plan = try await database.queryOne(
            "EXPLAIN (FORMAT JSON) SELECT 1 FROM users u WHERE \(fragment: condition)")
        let json = try plan.map { try JSON.parse($0.decode(0, as: String.self)) }
        return .estimate(max(count, json?[0]?["Plan"]?["Plan Rows"]?.int ?? count))
    }

    // MARK: Searching

    private struct Matching {
        let search: UserSearch
        /// More than are worth sorting.
        let isBroad: Bool
        let condition: Query

        func ids(max: Int) -> Query { ReadUsers.ids(search, max: max) }
    }

    /// Whom the search means: a few ids, or so many that walking the order finds a page of them soon.
    private static func matching(_ search: UserSearch?, _ database: Database) async throws -> Matching? {
        guard let search else { return nil }
        let found: [UserID] = try await database.query(ids(search, max: matchesMax + 1)).map { try $0["id"] }
        guard found.count > matchesMax else {
            return Matching(search: search, isBroad: false, condition: "u.id = ANY (\(found))")
        }
        return Matching(search: search, isBroad: true, condition: walked(search))
    }

    /// Every person the search means, at most `max` from each index: each is read no further than that.
    private static func ids(_ search: UserSearch, max: Int) -> Query {
        switch search {
        case .digits(let digits):
            return """
                SELECT id FROM (\(fragment: begins("u.phone_digits", digits, max))
                                UNION \(fragment: begins("u.email_folded", digits, max))
                                UNION \(fragment: begins("u.username_folded", digits, max))) AS found LIMIT \(max)
                """
        case .word(let word):
            return """
                SELECT id FROM (\(fragment: begins("u.email_folded", word, max))
                                UNION \(fragment: begins("u.username_folded", word, max))
                                UNION \(fragment: begins("u.first_name_folded", word, max))
                                UNION \(fragment: begins("u.last_name_folded", word, max))
                                UNION \(fragment: named(search.words, max))) AS found LIMIT \(max)
                """
        case .words(let words):
            return "SELECT id FROM \(fragment: named(words, max)) AS found LIMIT \(max)"
        }
    }

    private static func begins(_ column: Query, _ text: String, _ max: Int) -> Query {
        """
        (SELECT u.id FROM users u WHERE \(fragment: column) COLLATE "C" >= \(text)
            AND \(fragment: column) COLLATE "C" < \(text + TextRange.end) LIMIT \(max))
        """
    }

    /// People with words in their name that begin so. Short beginnings are too many to gather from the index of words;
    /// they are found at the beginning of either name, as above.
    private static func named(_ words: [String], _ max: Int) -> Query {
        guard words.contains(where: { $0.unicodeScalars.count >= UserSearch.gatheredMin }) else {
            return "(SELECT u.id FROM users u WHERE FALSE)"
        }
        return """
            (SELECT u.id FROM users u
             WHERE to_tsvector('simple', u.first_name || ' ' || u.last_name) @@ \(UserSearch.query(words))::tsquery
             LIMIT \(max))
            """
    }

    /// The same as `ids` says, judged person by person.
    private static func walked(_ search: UserSearch) -> Query {
        func begins(_ column: Query, _ text: String) -> Query { "starts_with(\(fragment: column), \(text))" }
        func holds(_ word: String) -> Query {
            "strpos(' ' || u.first_name_folded || ' ' || u.last_name_folded, \(" " + word)) > 0"
        }
        switch search {
        case .digits(let digits):
            return """
                (\(fragment: begins("u.phone_digits", digits)) IS TRUE OR \(fragment: begins("u.email_folded", digits))
                 OR \(fragment: begins("u.username_folded", digits)))
                """
        case .word(let word):
            return """
                (\(fragment: begins("u.email_folded", word)) OR \(fragment: begins("u.username_folded", word))
                 OR \(fragment: holds(word)))
                """
        case .words(let words):
            return words.dropFirst().reduce(holds(words[0])) { "\(fragment: $0) AND \(fragment: holds($1))" }
        }
    }

    // MARK: Conditions

    /// Kinds stand in the text, not as parameters: only then does the plan know which are rare.
    private static func kinds(_ filter: UserFilter) -> Query {
        var condition: Query = "TRUE"
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        switch filter.role {
        case .admin: add("u.role = 'admin'")
        case .user: add("u.role = 'user'")
        case .agent: add("u.role = 'agent'")
        case nil: break
        }
        switch filter.status {
        case .active: add("u.status = 'active'")
        case .inactive: add("u.status = 'inactive'")
        case .suspended: add("u.status = 'suspended'")
        case nil: break
        }
        if let active = filter.isActive { add(active ? "u.status = 'active'" : "u.status <> 'active'") }
        if let staff = filter.isStaff { add(staff ? "u.is_staff" : "NOT u.is_staff") }
        if let superuser = filter.isSuperuser { add(superuser ? "u.is_superuser" : "NOT u.is_superuser") }
        if let verified = filter.isVerified { add(verified ? "u.is_verified" : "NOT u.is_verified") }
        return condition
    }

    private static func conditions(_ filter: UserFilter) -> Query {
        var condition = kinds(filter)
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let only = filter.only { add("u.id = \(only)") }
        if let email = filter.email { add("u.email_folded = \(email)") }
        if let username = filter.username { add("u.username_folded = \(username)") }
        if let name = filter.firstName { add("u.first_name_folded COLLATE \"C\" = lower(\(name))") }
        if let name = filter.lastName { add("u.last_name_folded COLLATE \"C\" = lower(\(name))") }
        if let phone = filter.phone { add("u.phone_digits COLLATE \"C\" = \(String(phone.text.dropFirst()))") }
        if let workspace = filter.workspace {
            add("u.id IN (SELECT m.user_id FROM memberships m WHERE m.workspace_id = \(workspace))")
        }
        if let from = filter.created.from { add("u.created_at >= \(from)") }
        if let until = filter.created.until { add("u.created_at < \(until)") }
        if let from = filter.updated.from { add("u.updated_at >= \(from)") }
        if let until = filter.updated.until { add("u.updated_at < \(until)") }
        if let from = filter.loggedIn.from { add("\(fragment: column(.lastLogin)) >= \(from)") }
        if let until = filter.loggedIn.until {
            add("\(fragment: column(.lastLogin)) < \(until) AND u.last_login IS NOT NULL")
        }
        return condition
    }

    // MARK: Orders

    private static func column(_ order: UserFilter.Order) -> Query {
        switch order {
        case .createdAt: "u.created_at"
        case .updatedAt: "u.updated_at"
        case .lastLogin: "coalesce(u.last_login, '-infinity'::timestamptz)"
        case .email: "u.email_folded COLLATE \"C\""
        case .username: "u.username_folded COLLATE \"C\""
        case .firstName: "u.first_name_folded COLLATE \"C\""
        case .lastName: "u.last_name_folded COLLATE \"C\""
        }
    }

    private static func ordering(_ filter: UserFilter) -> Query {
        let column = column(filter.order)
        return filter.descending ? "\(fragment: column) DESC, u.id DESC" : "\(fragment: column), u.id"
    }

    private static func value(of account: Account, _ order: UserFilter.Order) -> JSON {
        switch order {
        case .createdAt: .int(account.createdAt.microseconds)
        case .updatedAt: .int(account.updatedAt.microseconds)
        case .lastLogin: account.lastLogin.map { .int($0.microseconds) } ?? .null
        case .email: .string(account.email.folded)
        case .username: .string(account.username.lowercased())
        case .firstName: .string(account.firstName)
        case .lastName: .string(account.lastName)
        }
    }

    private static func position(_ filter: UserFilter, _ cursor: Cursor) throws -> Query {
        let bad = Problem.validation("after", "belongs to another list or order")
        guard cursor.values.count == 2, let id = cursor.values[1].string.flatMap({ UserID($0) }) else { throw bad }
        let bound: Query
        switch (filter.order, cursor.values[0]) {
        case (.createdAt, .int(let time)), (.updatedAt, .int(let time)), (.lastLogin, .int(let time)):
            bound = "\(Instant(microseconds: time))"
        case (.lastLogin, .null): bound = "'-infinity'::timestamptz"
        case (.email, .string(let text)), (.username, .string(let text)): bound = "\(text)"
        case (.firstName, .string(let text)), (.lastName, .string(let text)): bound = "lower(\(text))"
        default: throw bad
        }
        let column = column(filter.order)
        return filter.descending
            ? "AND (\(fragment: column), u.id) < (\(fragment: bound), \(id))"
            : "AND (\(fragment: column), u.id) > (\(fragment: bound), \(id))"
    }
}
