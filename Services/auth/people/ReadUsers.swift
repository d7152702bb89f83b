import HTTP
import Postgres
import Shared

/// Reads the list of people.
enum ReadUsers {
    /// Counting further costs more than anybody gains from it (contract: exact up to 100,000).
    static let exactMax = 100_000
    /// No more than this are gathered and sorted; of more, some are found soon by walking the order.
    private static let sortedMax = 2_500
    /// How far an order is walked before everybody who is meant is gathered after all: those with an old address may all
    /// stand at its other end.
    private static let walkedMax = 10_000

    struct Listed: Sendable {
        let accounts: [Account]
        let total: Total
        /// Where the next page begins.
        let next: Cursor?
    }

    static func page(_ filter: UserFilter, _ page: Page, _ database: Database) async throws -> Listed {
        let reader = Reader(
            filter: filter, page: page, seek: try page.cursor.map { try position(filter, $0) } ?? "",
            order: ordering(filter), database: database)
        var (accounts, number) = try await reader.searched() ?? ([], .many)
        if case .many = number {
            number = filter.search == nil ? try await reader.number() : .many
            accounts = try await reader.accounts(number)
        }
        let hasMore = accounts.count > page.size
        if hasMore { accounts.removeLast() }
        let next = hasMore ? accounts.last.map { Cursor([value(of: $0, filter.order), .string($0.id.text)]) } : nil
        return Listed(accounts: accounts, total: try await reader.total(number), next: next)
    }

    /// How many are meant, as far as it decides how to look for them.
    private enum Number {
        /// The table of counts knows.
        case counted(Int)
        /// So few that they were counted.
        case few(Int)
        case many
    }

    /// One reading of the list.
    private struct Reader {
        let filter: UserFilter
        let page: Page
        /// Nothing, or what comes after the cursor.
        let seek: Query
        let order: Query
        let database: Database

        /// Plans for these values: a plan for any values cannot tell a range that holds nobody from one that holds all.
        private func rows(_ query: Query) async throws -> Rows {
            try await database.pipeline([
                "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) AS mode", query,
            ])[1]
        }

        private func count(_ source: Query, max: Int) async throws -> Int {
            let found = try await rows(
                "SELECT count(*) AS n FROM (SELECT FROM (\(fragment: source)) AS c LIMIT \(max)) AS counted")
            return try found.first.map { try $0["n"] } ?? 0
        }

        func number() async throws -> Number {
            if filter.isCounted {
                let found = try await database.queryOne(
                    "SELECT coalesce(sum(n), 0)::bigint AS n FROM user_counts u WHERE \(fragment: kinds(filter))")
                return .counted(try found.map { try $0["n"] } ?? 0)
            }
            let found = try await count(everybody(max: sortedMax + 1), max: sortedMax + 1)
            return found <= sortedMax ? .few(found) : .many
        }

        /// What a search finds, if that is few: gathered, counted and sorted at once, since the index of words takes its
        /// time. nil for what many are called, or without a search.
        func searched() async throws -> ([Account], Number)? {
            guard let search = filter.search else { return nil }
            if let starts = beginning(search, max: sortedMax + 1) {
                guard try await count(starts, max: sortedMax + 1) <= sortedMax else { return nil }
            }
            let most = sortedMax + 1
            let found = try await rows(
                """
                SELECT \(fragment: AccountStore.columns), u.gathered, u.meant FROM (
                    SELECT u.*, m.gathered, count(*) OVER () AS meant FROM (
                        SELECT g.id, count(*) OVER () AS gathered FROM (\(fragment: ids(search, max: most))) AS g
                    ) AS m JOIN users u ON u.id = m.id WHERE \(fragment: conditions(filter)) OFFSET 0) AS u
                WHERE TRUE \(fragment: seek)
                ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)
                """)
            guard let first = found.first else {
                // Nothing here says nothing of other pages, nor of those whom a filter leaves of many.
                return filter.isOnlySearched && page.offset == 0 && page.cursor == nil ? ([], .few(0)) : nil
            }
            guard try first.decode("gathered", as: Int.self) <= sortedMax else { return nil }
            return (try found.map(AccountStore.account), .few(try first["meant"]))
        }

        /// All who are meant, in no order. Of a search at most `max` from each index.
        private func everybody(max: Int) -> Query {
            let condition = conditions(filter)
            guard let search = filter.search else { return "SELECT u.* FROM users u WHERE \(fragment: condition)" }
            return """
                SELECT u.* FROM (\(fragment: ids(search, max: max))) AS m JOIN users u ON u.id = m.id
                WHERE \(fragment: condition)
                """
        }

        /// A far page lies beyond any walk worth repeating.
        private var isFar: Bool { filter.search == nil && page.offset >= walkedMax / 2 }

        /// One more than the page holds, if there are so many.
        func accounts(_ number: Number) async throws -> [Account] {
            switch number {
            case .counted(0), .few(0): return []
            case .few: return try await sorted(everybody(max: sortedMax + 1))
            case .counted(let count) where count <= sortedMax: return try await sorted(everybody(max: 0))
            case .counted where filter.isEmpty: return try await walked()
            case .counted where isFar, .many where isFar: return try await walked()
            case .counted, .many:
                // Ordered at each step, or the walk would not end with the page.
                let near = try await sorted(
                    """
                    SELECT u.* FROM (SELECT u.* FROM users u WHERE TRUE \(fragment: seek)
                                     ORDER BY \(fragment: order) LIMIT \(walkedMax)) AS u
                    WHERE \(fragment: conditions(filter)) AND \(fragment: filter.search.map(judged) ?? "TRUE")
                    ORDER BY \(fragment: order)
                    """)
                return near.count > page.size ? near : try await sorted(everybody(max: exactMax))
            }
        }

        /// A page of those `source` finds. They are found first and sorted then: OFFSET 0 keeps the two apart.
        private func sorted(_ source: Query) async throws -> [Account] {
            try await rows(
                """
                SELECT \(fragment: AccountStore.columns) FROM (\(fragment: source) OFFSET 0) AS u
                WHERE TRUE \(fragment: seek)
                ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)
                """
            ).map(AccountStore.account)
        }

        /// A page in its order: the ids first, which an order's index has, so that a far page reads nobody it does not show.
        private func walked() async throws -> [Account] {
            try await rows(
                """
                SELECT \(fragment: AccountStore.columns) FROM (
                    SELECT u.id FROM users u WHERE \(fragment: conditions(filter)) \(fragment: seek)
                    ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)) AS p
                JOIN users u ON u.id = p.id ORDER BY \(fragment: order)
                """
            ).map(AccountStore.account)
        }

        func total(_ number: Number) async throws -> Total {
            switch number {
            case .counted(let count), .few(let count): return .exact(count)
            case .many: break
            }
            let max = exactMax + 1
            let found =
                if let search = filter.search, filter.isOnlySearched {
                    try await count(ids(search, max: max), max: max)
                } else {
                    try await count(everybody(max: max), max: max)
                }
            guard found > exactMax else { return .exact(found) }
            // Of a search the plan knows little; so many there are at least.
            guard filter.search == nil else { return .estimate(found) }
            let plan = try await database.queryOne("EXPLAIN (FORMAT JSON) \(fragment: everybody(max: max))")
            let json = try plan.map { try JSON.parse($0.decode(0, as: String.self)) }
            return .estimate(Swift.max(found, json?[0]?["Plan"]?["Plan Rows"]?.int ?? found))
        }
    }

    // MARK: Searching

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
        (SELECT u.id FROM users u WHERE \(fragment: column) >= \(text) AND \(fragment: column) < \(text + TextRange.end) LIMIT \(max))
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
    private static func judged(_ search: UserSearch) -> Query {
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
        if let name = filter.firstName { add("u.first_name_folded = lower(\(name))") }
        if let name = filter.lastName { add("u.last_name_folded = lower(\(name))") }
        if let phone = filter.phone { add("u.phone_digits = \(String(phone.text.dropFirst()))") }
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
        case .lastLogin: "u.last_login_order"
        case .email: "u.email_folded"
        case .username: "u.username_folded"
        case .firstName: "u.first_name_folded"
        case .lastName: "u.last_name_folded"
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
