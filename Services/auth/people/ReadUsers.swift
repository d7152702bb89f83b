import HTTP
import Postgres
import Shared

/// Reads the list of people.
enum ReadUsers {
    /// Counting further costs more than anybody gains from it (contract: exact up to 100,000).
    static let exactMax = 100_000
    /// No more than this are gathered and sorted; of more, some are found soon by walking the order.
    private static let sortedMax = 1_000
    /// How far an order is walked before everybody who is meant is gathered after all.
    private static let walkedMax = 10_000

    struct Listed: Sendable {
        let accounts: [Account]
        let total: Total
        /// Where the next page begins.
        let next: Cursor?
    }

    static func page(_ filter: UserFilter, _ page: Page, _ database: Database) async throws -> Listed {
        let matching = try await matching(filter.search, database)
        // How many there are of a kind is known, and says how to look for them.
        let known = filter.isCounted ? try await countKinds(filter, database) : nil
        let ask = Asked(
            filter: filter, page: page, seek: try page.cursor.map { try position(filter, $0) } ?? "",
            order: ordering(filter))
        var accounts = try await accounts(ask, matching, known: known, database)
        let hasMore = accounts.count > page.size
        if hasMore { accounts.removeLast() }
        let next = hasMore ? accounts.last.map { Cursor([value(of: $0, filter.order), .string($0.id.text)]) } : nil
        let total: Total
        if let known {
            total = .exact(known)
        } else if page.offset == 0, page.cursor == nil, !hasMore {
            // A first page that holds everybody has counted them.
            total = .exact(accounts.count)
        } else {
            total = try await count(filter, matching, database)
        }
        return Listed(accounts: accounts, total: total, next: next)
    }

    private struct Asked {
        let filter: UserFilter
        let page: Page
        /// Nothing, or what comes after the cursor.
        let seek: Query
        let order: Query
    }

    /// One more than the page holds, if there are so many.
    private static func accounts(
        _ ask: Asked, _ matching: Matching?, known: Int?, _ database: Database
    ) async throws -> [Account] {
        let condition = conditions(ask.filter)
        switch matching {
        case .few(let ids):
            let few: Query = "SELECT u.* FROM users u WHERE u.id = ANY (\(ids)) AND \(fragment: condition)"
            return try await read(few, ask, database)
        case .many(let search):
            let near: Query = """
                SELECT u.* FROM (SELECT u.* FROM users u WHERE TRUE \(fragment: ask.seek)
                                 ORDER BY \(fragment: ask.order) LIMIT \(walkedMax)) AS u
                WHERE \(fragment: condition) AND \(fragment: walked(search))
                """
            let found = try await read(near, ask, database)
            if found.count > ask.page.size { return found }
            let all: Query = """
                SELECT u.* FROM (\(fragment: ids(search, max: exactMax))) AS m JOIN users u ON u.id = m.id
                WHERE \(fragment: condition)
                """
            return try await read(all, ask, database)
        case nil:
            if known == 0 { return [] }
            if let known, known <= sortedMax {
                // Rare kinds have an index of their own, and walking an order in search of them would take long.
                return try await read("SELECT u.* FROM users u WHERE \(fragment: condition)", ask, database)
            }
            let answers = try await database.pipeline([
                // A plan for these values: one for any values cannot tell a range that holds nobody from one that holds
                // all, and walks the whole order for it.
                "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) AS mode",
                // The ids first, which an order's index has: a far page reads no people it does not show.
                """
                SELECT \(fragment: AccountStore.columns) FROM (
                    SELECT u.id FROM users u WHERE \(fragment: condition) \(fragment: ask.seek)
                    ORDER BY \(fragment: ask.order) LIMIT \(ask.page.size + 1) OFFSET \(ask.page.offset)) AS p
                JOIN users u ON u.id = p.id ORDER BY \(fragment: ask.order)
                """,
            ])
            return try answers[1].map(AccountStore.account)
        }
    }

    /// A page of those `source` finds, which are found first and then sorted: OFFSET 0 keeps the two apart.
    private static func read(_ source: Query, _ ask: Asked, _ database: Database) async throws -> [Account] {
        try await database.query(
            """
            SELECT \(fragment: AccountStore.columns) FROM (\(fragment: source) OFFSET 0) AS u
            WHERE TRUE \(fragment: ask.seek)
            ORDER BY \(fragment: ask.order) LIMIT \(ask.page.size + 1) OFFSET \(ask.page.offset)
            """
        ).map(AccountStore.account)
    }

    // MARK: Counting

    private static func countKinds(_ filter: UserFilter, _ database: Database) async throws -> Int {
        let row = try await database.queryOne(
            "SELECT coalesce(sum(n), 0)::bigint AS n FROM user_counts u WHERE \(fragment: kinds(filter))")
        return try row.map { try $0["n"] } ?? 0
    }

    private static func count(
        _ filter: UserFilter, _ matching: Matching?, _ database: Database
    ) async throws -> Total {
        let condition = conditions(filter)
        let counted: Query
        switch matching {
        case .few(let ids): counted = "SELECT 1 FROM users u WHERE u.id = ANY (\(ids)) AND \(fragment: condition)"
        case .many(let search) where filter.isOnlySearched: counted = ids(search, max: exactMax + 1)
        case .many(let search):
            counted = """
                SELECT 1 FROM (\(fragment: ids(search, max: exactMax + 1))) AS m JOIN users u ON u.id = m.id
                WHERE \(fragment: condition)
                """
        case nil: counted = "SELECT 1 FROM users u WHERE \(fragment: condition)"
        }
        let row = try await database.queryOne(
            "SELECT count(*) AS n FROM (SELECT FROM (\(fragment: counted)) AS c LIMIT \(exactMax + 1)) AS counted")
        let count: Int = try row.map { try $0["n"] } ?? 0
        guard count > exactMax else { return .exact(count) }
        let plan = try await database.queryOne(
            "EXPLAIN (FORMAT JSON) SELECT 1 FROM users u WHERE \(fragment: condition)")
        let json = try plan.map { try JSON.parse($0.decode(0, as: String.self)) }
        // Of a search the plan knows little; at least so many there are.
        let guess = matching == nil ? json?[0]?["Plan"]?["Plan Rows"]?.int ?? count : count
        return .estimate(max(count, guess))
    }

    // MARK: Searching

    private enum Matching {
        /// All of them.
        case few([UserID])
        case many(UserSearch)
    }

    /// Whom the search means. The index of words is slow for what many are called, so it comes last.
    private static func matching(_ search: UserSearch?, _ database: Database) async throws -> Matching? {
        guard let search else { return nil }
        var found: Set<UserID> = []
        for source in [beginning(search, max: sortedMax + 1), named(search, sortedMax + 1)].compactMap({ $0 }) {
            for row in try await database.query(source) { found.insert(try row["id"]) }
            if found.count > sortedMax { return .many(search) }
        }
        return .few(found.sorted())
    }

    /// Every person the search means, at most `max` from each index: each is read no further than that.
    private static func ids(_ search: UserSearch, max: Int) -> Query {
        let sources = [beginning(search, max: max), named(search, max)].compactMap { $0 }
        guard let first = sources.first else { return "SELECT u.id FROM users u WHERE FALSE" }
        return sources.dropFirst().reduce(first) { "\(fragment: $0) UNION \(fragment: $1)" }
    }

    /// People of whom something begins so.
    private static func beginning(_ search: UserSearch, max: Int) -> Query? {
        switch search {
        case .digits(let digits):
            """
            \(fragment: begins("u.phone_digits", digits, max)) UNION \(fragment: begins("u.email_folded", digits, max))
            UNION \(fragment: begins("u.username_folded", digits, max))
            """
        case .word(let word):
            """
            \(fragment: begins("u.email_folded", word, max)) UNION \(fragment: begins("u.username_folded", word, max))
            UNION \(fragment: begins("u.first_name_folded", word, max))
            UNION \(fragment: begins("u.last_name_folded", word, max))
            """
        case .words: nil
        }
    }

    private static func begins(_ column: Query, _ text: String, _ max: Int) -> Query {
        """
        (SELECT u.id FROM users u WHERE \(fragment: column) COLLATE "C" >= \(text)
            AND \(fragment: column) COLLATE "C" < \(text + TextRange.end) LIMIT \(max))
        """
    }

    /// People with words in their name that begin so. A short beginning alone is that of too many; those are found at the
    /// beginning of either name, as above.
    private static func named(_ search: UserSearch, _ max: Int) -> Query? {
        switch search {
        case .digits: return nil
        case .word(let word) where word.unicodeScalars.count < UserSearch.gatheredMin: return nil
        case .word, .words: break
        }
        return """
            (SELECT u.id FROM users u
             WHERE to_tsvector('simple', u.first_name || ' ' || u.last_name) @@
                   \(UserSearch.query(search.words))::tsquery
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
