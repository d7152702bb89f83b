import HTTP
import Postgres
import Shared

/// Reads the list of people so that no page reads more than some thousand of them, however many there are: few are gathered
/// and sorted, many are found soon by walking the order. Both read indexes alone, which hold all that people are filtered
/// by (migration 3); only whom the page shows is read from the table (docs/decisions: people-listed-from-indexes-alone).
enum ReadUsers {
    /// Counted one by one no further than this; what the tables of counts know is exact however many.
    static let countedMax = 20_000
    /// A search is gathered, and so counted, no further than this.
    static let searchedMax = 2_500
    /// No more than this are gathered and sorted. With a million people, a page of twenty among five thousand is found by
    /// walking past as many.
    private static let gatheredMax = 5_000
    /// The same where everyone gathered is read from the table.
    private static let fetchedMax = 1_500
    /// How far an order is walked before everybody who is meant is gathered after all: they may all stand at its other end.
    private static let walkedMax = 40_000
    /// What is gathered then.
    private static let lateMax = 100_000
    /// Gathered from the index of creation and sorted by another time without walking first: 5 ms. Who was created within
    /// some days stands anywhere in the order of changes or log-ins, most often all in one place.
    private static let datedMax = 25_000
    /// Steps of a walk for each person wanted. More of those who were created within some days than are gathered without
    /// walking stand one in forty, so they are found in a quarter of the steps or are in one place.
    private static let stepsMax = 1_000
    private static let datedStepsMax = 250

    struct Listed: Sendable {
        let accounts: [Account]
        let total: Total
        /// Where the next page begins.
        let next: Cursor?
    }

    static func page(_ filter: UserFilter, _ page: Page, _ database: Database) async throws -> Listed {
        let reader = Reader(
            filter: filter, page: page, seek: try page.cursor.map { try position(filter, $0) } ?? "",
            order: ordering(filter, descending: filter.descending), database: database)
        var (accounts, total) = try await reader.read()
        let hasMore = accounts.count > page.size
        if hasMore { accounts.removeLast() }
        let next = hasMore ? accounts.last.map { Cursor([value(of: $0, filter.order), .string($0.id.text)]) } : nil
        return Listed(accounts: accounts, total: total, next: next)
    }

    /// One reading of the list. Pages are one longer than asked for, if there are so many.
    private struct Reader {
        let filter: UserFilter
        let page: Page
        /// Nothing, or what comes after the cursor.
        let seek: Query
        let order: Query
        let database: Database

        func read() async throws -> ([Account], Total) {
            if filter.isByDay { return try await counted() }
            if let search = filter.search, !filter.isNarrow {
                let isRare = filter.isOfKind ? try await number(rows(known)[0]) <= fetchedMax : false
                return try await isRare ? narrow() : searched(search)
            }
            return try await narrow()
        }

        /// Plans for these values: a plan for any values cannot tell a range that holds nobody from one that holds all.
        private func rows(_ queries: Query...) async throws -> [Rows] {
            let plans: Query = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) AS mode"
            return Array(try await database.pipeline([plans] + queries).dropFirst())
        }

        private func number(_ rows: Rows) throws -> Int { try rows.first.map { try $0["n"] } ?? 0 }

        /// How many there are of the kinds.
        private var known: Query {
            """
            SELECT coalesce(sum(n), 0)::bigint AS n, false AS is_capped FROM user_counts
            WHERE \(fragment: kinds(filter, "kinds"))
            """
        }

        /// Kinds and days of creation.
        private func counted() async throws -> ([Account], Total) {
            let counting = filter.isCreatedWithin ? ofDays() : known
            let isInOrder = !filter.isOfKind && (filter.order == .createdAt || !filter.isCreatedWithin)
            if isInOrder, page.offset <= walkedMax / 4 {
                let found = try await rows(counting, shown(inOrder))
                return (try found[1].map(AccountStore.account), try await total(found[0]))
            }
            let counts = try await rows(counting)[0]
            let count = try number(counts)
            if count == 0 { return ([], .exact(0)) }
            return (try await accounts(count, isInOrder: isInOrder), try await total(counts))
        }

        private func total(_ counts: Rows) async throws -> Total {
            let count = try number(counts)
            let isCapped = try counts.first.map { try $0.decode("is_capped", as: Bool.self) } ?? false
            return isCapped ? try await estimate(["TRUE"], atLeast: count) : .exact(count)
        }

        private func accounts(_ count: Int, isInOrder: Bool) async throws -> [Account] {
            let fewMax = filter.isCreatedWithin || UserKinds.areRare(filter) ? gatheredMax : fetchedMax
            if !isInOrder, count <= fewMax { return try await accounts(sorted) }
            if page.offset > walkedMax / 4, isOfWholeDays {
                if filter.order == .createdAt { return try await accounts(fromItsDay) }
                if !filter.isCreatedWithin { return try await accounts(fromNearerEnd(of: count)) }
            }
            if isInOrder { return try await accounts(inOrder) }
            let isDated = filter.isCreatedWithin && [.updatedAt, .lastLogin].contains(filter.order)
            if isDated, count <= datedMax { return try await accounts(sorted) }
            if let near = try await walked("TRUE", steps: isDated ? datedStepsMax : stepsMax) { return near }
            return try await accounts(count <= lateMax ? sorted : inOrder)
        }

        /// The people `ids` finds.
        private func accounts(_ ids: Query) async throws -> [Account] {
            try await rows(shown(ids))[0].map(AccountStore.account)
        }

        /// Nothing says how many; few, as a rule.
        private func narrow() async throws -> ([Account], Total) {
            let judged = filter.search.map(judged) ?? "TRUE"
            let (accounts, count) = try await gathered([judged], max: gatheredMax + 1)
            if count <= gatheredMax { return (accounts, .exact(count)) }
            let counting: Query =
                "SELECT count(*) AS n FROM (\(fragment: everybody) AND \(fragment: judged) LIMIT \(countedMax + 1)) AS u"
            let counted = try await number(rows(counting)[0])
            let total: Total =
                counted <= countedMax ? .exact(counted) : try await estimate([judged], atLeast: counted)
            if let near = try await walked(judged) { return (near, total) }
            return (try await gathered([judged], max: lateMax).accounts, total)
        }

        private func searched(_ search: UserSearch) async throws -> ([Account], Total) {
            let sources = sources(search)
            let (accounts, count) = try await gathered(sources, max: searchedMax + 1)
            if count <= searchedMax { return (accounts, .exact(count)) }
            let total = try await estimate(sources, atLeast: count)
            if let near = try await walked(judged(search)) { return (near, total) }
            return (try await gathered(sources, max: lateMax).accounts, total)
        }

        /// All who are meant but for a search, with what they are sorted by. To be continued with AND.
        private var everybody: Query {
            "SELECT u.id, \(fragment: column(filter.order)) FROM users u WHERE \(fragment: conditions(filter))"
        }

        /// A page of those whom any of `sources` finds, at most `max`, and how many these are. Each source leaves out whom
        /// an earlier one found, which costs less than to sort for what is there twice. The row of the count is there even
        /// if the page is empty.
        private func gathered(_ sources: [Query], max: Int) async throws -> (accounts: [Account], count: Int) {
            var all: Query?
            var found: [Query] = []
            for source in sources {
                let others = found.reduce("" as Query) { "\(fragment: $0) AND (\(fragment: $1)) IS NOT TRUE" }
                let part: Query =
                    "(\(fragment: everybody) AND \(fragment: source)\(fragment: others) LIMIT \(max))"
                all = all.map { "\(fragment: $0) UNION ALL \(fragment: part)" } ?? part
                found.append(source)
            }
            guard let all else { return ([], 0) }
            let listed = try await rows(
                """
                WITH meant AS MATERIALIZED (SELECT * FROM (\(fragment: all)) AS u LIMIT \(max))
                SELECT c.n, p.* FROM (SELECT count(*) AS n FROM meant) AS c LEFT JOIN (
                    SELECT \(fragment: AccountStore.columns), \(fragment: column(filter.order)) AS place FROM (
                        SELECT u.id FROM meant u WHERE TRUE \(fragment: seek)
                        ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)) AS p
                    JOIN users u ON u.id = p.id) AS p ON TRUE
                ORDER BY \(fragment: filter.descending ? "p.place DESC, p.id DESC" : "p.place, p.id")
                """)[0]
            let accounts = try listed.compactMap { row in
                try row.decode("id", as: UserID?.self) == nil ? nil : try AccountStore.account(row)
            }
            return (accounts, try number(listed))
        }

        /// A page of all who are meant. They are found first and sorted then: OFFSET 0 keeps the two apart.
        private var sorted: Query {
            """
            SELECT u.id FROM (\(fragment: everybody) OFFSET 0) AS u WHERE TRUE \(fragment: seek)
            ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)
            """
        }

        /// A page found by walking the order past those who are not meant; nil when it was not found in time. Ordered at
        /// each step, or the walk would not end with the page.
        private func walked(_ judged: Query, steps: Int = stepsMax) async throws -> [Account]? {
            let needed = page.offset + page.size + 1
            guard needed < walkedMax / 4 else { return nil }
            let near = try await accounts(
                """
                SELECT u.id FROM (SELECT u.* FROM users u
                                  WHERE \(fragment: range(filter, filter.order)) AND \(fragment: floor) \(fragment: seek)
                                  ORDER BY \(fragment: order) LIMIT \(min(walkedMax, steps * needed))) AS u
                WHERE \(fragment: conditions(filter)) AND \(fragment: judged)
                ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)
                """)
            return near.count > page.size ? near : nil
        }

        /// Nobody was changed or logged in before they were created, so an order of these times is walked from there on.
        private var floor: Query {
            guard let from = filter.created.from else { return "TRUE" }
            switch filter.order {
            case .updatedAt: return "u.updated_at >= \(from)"
            case .lastLogin where filter.loggedIn.from != nil || filter.loggedIn.until != nil:
                return "u.last_login_order >= \(from)"
            default: return "TRUE"
            }
        }

        /// A page in an order that most of those are meant who stand in it, or that knows where they begin.
        private var inOrder: Query {
            """
            SELECT u.id FROM users u WHERE \(fragment: conditions(filter)) AND \(fragment: floor) \(fragment: seek)
            ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET \(page.offset)
            """
        }

        /// The people with these ids, in the list's order: whoever is passed over is never read from the table.
        private func shown(_ ids: Query) -> Query {
            """
            SELECT \(fragment: AccountStore.columns) FROM (\(fragment: ids)) AS p JOIN users u ON u.id = p.id
            ORDER BY \(fragment: order)
            """
        }

        // MARK: Far pages

        /// A far page in the order of creation: the days before it are passed over by their counts.
        private var fromItsDay: Query {
            let days: Query = filter.descending ? "d.day DESC" : "d.day"
            let begin: Query =
                filter.descending
                ? "u.created_at < (at.day + 1)::timestamp AT TIME ZONE 'UTC'"
                : "u.created_at >= at.day::timestamp AT TIME ZONE 'UTC'"
            return """
                SELECT u.id FROM (
                    SELECT d.day, \(page.offset) - d.before AS skipped FROM (
                        SELECT d.day, sum(d.n) AS n, sum(sum(d.n)) OVER (ORDER BY \(fragment: days)) - sum(d.n) AS before
                        FROM user_days d WHERE \(fragment: wholeDays) GROUP BY d.day) AS d
                    WHERE d.before + d.n > \(page.offset) ORDER BY \(fragment: days) LIMIT 1) AS at
                CROSS JOIN LATERAL (
                    SELECT u.id FROM users u WHERE \(fragment: conditions(filter)) AND \(fragment: begin)
                    ORDER BY \(fragment: order) LIMIT \(page.size + 1) OFFSET at.skipped) AS u
                """
        }

        /// A far page in another order: through its index from whichever end is nearer.
        private func fromNearerEnd(of count: Int) -> Query {
            guard page.offset > count / 2 else { return inOrder }
            let all: Query = "(SELECT coalesce(sum(n), 0) FROM user_counts WHERE \(fragment: kinds(filter, "kinds")))"
            return """
                SELECT u.id FROM users u WHERE \(fragment: conditions(filter))
                ORDER BY \(fragment: ordering(filter, descending: !filter.descending))
                LIMIT greatest(0, least(\(page.size + 1), \(fragment: all) - \(page.offset)))
                OFFSET greatest(0, \(fragment: all) - \(page.offset + page.size + 1))
                """
        }

        // MARK: Counting

        /// Whether the range of creation begins and ends with a day, which the table of days knows all of.
        private var isOfWholeDays: Bool {
            [filter.created.from, filter.created.until].allSatisfy { $0?.isMidnight ?? true }
        }

        /// What the table of days has of the days that lie wholly within the range.
        private var wholeDays: Query {
            var condition = kinds(filter, "d.kinds")
            if let from = filter.created.from {
                condition = "\(fragment: condition) AND d.day >= user_day(\(from.nextMidnight))"
            }
            if let until = filter.created.until {
                condition = "\(fragment: condition) AND d.day < user_day(\(until.lastMidnight))"
            }
            return condition
        }

        /// How many were created within the range: whole days by their counts, the hours at its ends one by one.
        private func ofDays() -> Query {
            let (from, until) = filter.created
            let isWithinOne = from.map { from in until.map { $0.lastMidnight < from.nextMidnight } ?? false } ?? false
            let whole: Query =
                isWithinOne
                ? "SELECT 0::bigint AS n"
                : "SELECT coalesce(sum(d.n), 0)::bigint AS n FROM user_days d WHERE \(fragment: wholeDays)"
            return """
                SELECT d.n + a.n + b.n AS n, greatest(a.n, b.n) > \(countedMax) AS is_capped
                FROM (\(fragment: whole)) AS d,
                    (\(fragment: ofHours(from, isWithinOne ? until : from?.nextMidnight))) AS a,
                    (\(fragment: ofHours(isWithinOne ? nil : until?.lastMidnight, until))) AS b
                """
        }

        private func ofHours(_ from: Instant?, _ until: Instant?) -> Query {
            guard let from, let until, from < until else { return "SELECT 0::bigint AS n" }
            return """
                SELECT count(*) AS n FROM (
                    SELECT FROM users u WHERE \(fragment: kinds(filter, "u.kinds"))
                        AND u.created_at >= \(from) AND u.created_at < \(until) LIMIT \(countedMax + 1)) AS u
                """
        }

        /// What the plan thinks of the source that finds most.
        private func estimate(_ sources: [Query], atLeast: Int) async throws -> Total {
            let plans = try await database.pipeline(
                sources.map { "EXPLAIN (FORMAT JSON) \(fragment: everybody) AND \(fragment: $0)" })
            let guesses = try plans.map { plan in
                let json = try plan.first.map { try JSON.parse($0.decode(0, as: String.self)) }
                return json?[0]?["Plan"]?["Plan Rows"]?.int ?? 0
            }
            return .estimate(guesses.reduce(atLeast, max))
        }
    }

    // MARK: Searching

    /// Conditions of which each finds some whom the search means, and an index that begins where they do; all together find
    /// everybody.
    private static func sources(_ search: UserSearch) -> [Query] {
        switch search {
        case .digits(let digits):
            [begins("u.phone_digits", digits), begins("u.email_folded", digits), begins("u.username_folded", digits)]
        case .word(let word):
            [begins("u.email_folded", word), begins("u.username_folded", word)] + names(search)
                + [inner(search)]
        case .words: names(search) + [inner(search)]
        }
    }

    /// The same judged person by person, of what the indexes of the orders hold.
    private static func judged(_ search: UserSearch) -> Query {
        let sources = sources(search)
        let any = sources.dropFirst().reduce(sources[0]) { "\(fragment: $0) OR \(fragment: $1)" }
        return "(\(fragment: any)) IS TRUE"
    }

    private static func begins(_ column: Query, _ text: String) -> Query {
        "(\(fragment: column) >= \(text) AND \(fragment: column) < \(text + TextRange.end))"
    }

    /// Names that begin so. The index of either part has the other beside it; the plan knows which begins more rarely.
    private static func names(_ search: UserSearch) -> [Query] {
        search.names.map { name in
            if name.last.isEmpty { return begins("u.first_name_folded", name.first) }
            if name.first.isEmpty { return begins("u.last_name_folded", name.last) }
            return """
                (\(fragment: begins("u.first_name_folded", name.first))
                 AND \(fragment: begins("u.last_name_folded", name.last)))
                """
        }
    }

    /// People with more words in their name.
    private static func inner(_ search: UserSearch) -> Query {
        """
        (u.has_inner_words AND to_tsvector('simple', u.first_name_folded || ' ' || u.last_name_folded) @@
            \(UserSearch.query(search.words))::tsquery)
        """
    }

    // MARK: Conditions

    /// The codes are what a plan knows the frequency of.
    private static func kinds(_ filter: UserFilter, _ column: Query) -> Query {
        UserKinds.codes(filter).map { "\(fragment: column) = ANY(\($0))" } ?? "TRUE"
    }

    private static func conditions(_ filter: UserFilter) -> Query {
        var condition = kinds(filter, "u.kinds")
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
        for order in [UserFilter.Order.createdAt, .updatedAt, .lastLogin] { add(range(filter, order)) }
        return condition
    }

    /// The range asked for of the time an order goes by.
    private static func range(_ filter: UserFilter, _ order: UserFilter.Order) -> Query {
        let (from, until) =
            switch order {
            case .createdAt: filter.created
            case .updatedAt: filter.updated
            case .lastLogin: filter.loggedIn
            case .email, .username, .firstName, .lastName: (nil, nil) as (from: Instant?, until: Instant?)
            }
        var condition: Query = "TRUE"
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let from { add("\(fragment: column(order)) >= \(from)") }
        if let until {
            add("\(fragment: column(order)) < \(until)")
            // Who never logged in did so before nothing.
            if order == .lastLogin { add("u.last_login_order > '-infinity'") }
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

    private static func ordering(_ filter: UserFilter, descending: Bool) -> Query {
        let column = column(filter.order)
        return descending ? "\(fragment: column) DESC, u.id DESC" : "\(fragment: column), u.id"
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

extension Instant {
    private static let day: Int64 = 86_400_000_000

    /// The last midnight (UTC), this one if it is one.
    fileprivate var lastMidnight: Instant {
        let past = microseconds % Self.day
        return Instant(microseconds: microseconds - (past < 0 ? past + Self.day : past))
    }
    fileprivate var nextMidnight: Instant { isMidnight ? self : lastMidnight + .seconds(86_400) }
    fileprivate var isMidnight: Bool { microseconds % Self.day == 0 }
}
