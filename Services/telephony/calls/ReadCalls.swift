import HTTP
import Postgres
import Shared

/// The list of calls, so that no page reads more than some thousand of them, however many there are
/// (docs/decisions/0023). Calls of one kind stand in each order in an index of their own, which also holds all they are
/// filtered by; a page is put together of the first of each kind. Only what it shows is read from the table.
enum ReadCalls {
    /// Contract: "`total` is exact up to 100,000".
    static let exactMax = 100_000

    struct Limits: Sendable {
        /// Counted one by one no further than this.
        var counted = ReadCalls.exactMax
        /// No more than this of one kind, and four times as many altogether, are gathered and sorted. Of more, enough are
        /// found soon by walking the order past the others.
        var gathered = 8000
        /// The same where they have to be counted for it.
        var gatheredUncounted = 2000
        /// The same by a number, in each of the ways to be found by it.
        var byNumber = 20_000
        /// Walked past by a number, which may stand at the far end of the order: then all that have it are gathered.
        var passed = 20_000
        /// Nobody skips further than this; a cursor goes on wherever it is.
        var skipped = 100_000
    }

    struct Listed: Sendable {
        let calls: [Call]
        let total: Total
        /// Where the next page begins; nil at the end.
        let next: Cursor?
    }

    static func page(
        _ filter: CallFilter, _ page: Page, limits: Limits = Limits(), in database: Database
    ) async throws -> Listed {
        let seek = try page.cursor.map { try place(after: $0, filter) }
        let reader = Reader(filter: filter, page: page, limits: limits, seek: seek)
        var (calls, total) = try await reader.read(database)
        guard calls.count > page.size else { return Listed(calls: calls, total: total, next: nil) }
        calls.removeLast()
        return Listed(calls: calls, total: total, next: cursor(after: calls[calls.count - 1], filter))
    }

    /// One reading of the list, by one call more than the page shows.
    private struct Reader {
        let filter: CallFilter
        let page: Page
        let limits: Limits
        /// What comes after the cursor.
        let seek: Query?

        func read(_ database: Database) async throws -> ([Call], Total) {
            switch filter.search {
            case .digits(let digits): try await readByNumber(DigitsRange.ofEither(digits), database)
            case .id, .sid: try await readOne(database)
            case nil where filter.isInOrder: try await readInOrder(database)
            case nil: try await readByKind(database)
            }
        }

        private var isCounting: Bool { page.cursor == nil }

        /// The order's index holds exactly what is asked for.
        private func readInOrder(_ database: Database) async throws -> ([Call], Total) {
            let walk = shown(walked(filter.kinds))
            if page.offset <= limits.skipped / 10 {
                let rows = try await planned((isCounting ? [count] : []) + [walk], database)
                let calls = try rows[rows.count - 1].map(Call.init)
                return (calls, isCounting ? try await total(of: number(rows[0]), database) : .uncounted)
            }
            let number = try number(try await planned([count], database)[0])
            let total = try await total(of: number, database)
            guard try isThere(number) else { return ([], total) }
            return (try await planned([walk], database)[0].map(Call.init), total)
        }

        /// Kinds of which few are meant are gathered, the others walked.
        private func readByKind(_ database: Database) async throws -> ([Call], Total) {
            let rows = try await planned([perKind] + (isCounting ? [count] : []), database)
            let total = isCounting ? try await total(of: number(rows[1]), database) : .uncounted
            if isCounting, try !isThere(number(rows[1])) { return ([], total) }
            var known: [(kind: Int, number: Int)] = []
            for row in rows[0] { known.append((try row["kind"], try row["n"])) }
            // A kind that had none yet is gathered with the others: a call may become of that kind this very moment.
            var few = Set(filter.kinds)
            var gathered = 0
            for (kind, number) in known.sorted(by: { $0.number < $1.number }) {
                gathered += number
                if number > gatheredMax || gathered > 4 * gatheredMax { few.remove(kind) }
            }
            let many = filter.kinds.filter { !few.contains($0) }
            let parts = (few.isEmpty ? [] : [self.gathered(few.sorted())]) + (many.isEmpty ? [] : sideBySide(many))
            return (try await planned([shown(ReadCalls.all(parts))], database)[0].map(Call.init), total)
        }

        /// An id names one call at most.
        private func readOne(_ database: Database) async throws -> ([Call], Total) {
            let rows = try await planned([shown(gathered(filter.kinds))] + (isCounting ? [count] : []), database)
            return (try rows[0].map(Call.init), isCounting ? .exact(try number(rows[1])) : .uncounted)
        }

        private func readByNumber(_ ways: [DigitsRange], _ database: Database) async throws -> ([Call], Total) {
            if ways.isEmpty { return ([], isCounting ? .exact(0) : .uncounted) }
            let few = try await planned([gathered(by: ways)], database)[0]
            if try few[0].decode("met", as: Int.self) <= limits.byNumber {
                // A row without a call says that there is none on this page.
                let calls = try few.filter { try $0.decode("is_call", as: Bool.self) }.map(Call.init)
                return (calls, isCounting ? .exact(try few[0]["total"]) : .uncounted)
            }
            var total = Total.uncounted
            if isCounting {
                let number = try number(try await planned([count(by: ways)], database)[0])
                total = try await self.total(of: number, database)
                guard try isThere(number) else { return ([], total) }
            }
            if let walk = walkPastNumbers {
                let rows = try await planned([walk], database)[0]
                if rows.count > page.size { return (try rows.map(Call.init), total) }
            }
            return (try await planned([first(by: ways)], database)[0].map(Call.init), total)
        }

        /// Whether there is anything where the page begins, as far as that was counted.
        private func isThere(_ number: Int) throws -> Bool {
            if number <= page.offset, filter.isCounted || number <= limits.counted { return false }
            guard page.offset <= limits.skipped else {
                throw Problem.validation("page", "is too far to skip to: follow next_cursor, it goes on from anywhere")
            }
            return true
        }

        /// Planned for these values: a plan for any cannot tell a range that holds nothing from one that holds all. And
        /// without sorting what an index has sorted already: of a kind in a workspace the planner knows only what they have on
        /// average, and would rather sort those few.
        private func planned(_ queries: [Query], _ database: Database) async throws -> [Rows] {
            let plans: Query = """
                SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)
                """
            return Array(try await database.pipeline([plans] + queries).dropFirst())
        }

        // MARK: Counting

        private func number(_ rows: Rows) throws -> Int { try rows.first.map { try $0["n"] } ?? 0 }

        private var count: Query {
            if filter.isCounted { return ReadCallCounts.known(filter) }
            return """
                SELECT count(*) AS n FROM (SELECT FROM calls c WHERE \(fragment: meant) LIMIT \(limits.counted + 1)) AS counted
                """
        }

        /// A call that is found twice, by its first and by its last digits, is counted once; where one way finds more than
        /// are counted, it need not be known.
        private func count(by ways: [DigitsRange]) -> Query {
            let ways = ways.map { met(by: $0, limits.counted) }
            let each = ways.map { "(SELECT count(*) FROM \(fragment: $0) AS met)" as Query }
            return """
                SELECT CASE WHEN greatest(\(fragment: ReadCalls.list(each))) > \(limits.counted) THEN \(limits.counted + 1)
                    ELSE (SELECT count(DISTINCT id) FROM (\(fragment: ReadCalls.all(ways))) AS met) END AS n
                """
        }

        private var gatheredMax: Int { filter.isCounted ? limits.gathered : limits.gatheredUncounted }

        private var perKind: Query {
            if filter.isCounted { return ReadCallCounts.ofEachKind(filter) }
            let conditions = ReadCalls.every(ReadCalls.conditions(filter, kinds: "c.kind = k.kind"))
            return """
                SELECT k.kind::bigint AS kind, (SELECT count(*) FROM (
                    SELECT FROM calls c WHERE \(fragment: conditions) LIMIT \(gatheredMax + 1)) AS meant) AS n
                FROM unnest(\(filter.kinds)::smallint[]) AS k (kind)
                """
        }

        private func total(of number: Int, _ database: Database) async throws -> Total {
            guard !filter.isCounted, number > limits.counted else { return .exact(number) }
            var search: Query?
            // Without how many digits there were, of which the planner knows nothing and takes it for a third.
            if case .digits(let digits) = filter.search {
                search = ReadCalls.any(DigitsRange.ofEither(digits).map(\.range))
            }
            let conditions = ReadCalls.every(ReadCalls.conditions(filter, search: search))
            let plan = try await database.queryOne(
                "EXPLAIN (FORMAT JSON) SELECT FROM calls c WHERE \(fragment: conditions)")
            let json = try plan.map { try JSON.parse($0.decode(0, as: String.self)) }
            return .estimate(max(number, json?[0]?["Plan"]?["Plan Rows"]?.int ?? number))
        }

        // MARK: Ways of reading

        private var meant: Query { ReadCalls.every(ReadCalls.conditions(filter)) }
        private var most: Int { page.offset + page.size + 1 }
        private var place: Query { ReadCalls.place(filter.order) }
        private var after: Query { seek.map { "AND (\(fragment: $0)) IS TRUE" } ?? "" }

        /// The first of each kind in the order. What the order's index cannot answer is a condition `IS TRUE`, which no
        /// index answers: it is looked at in passing.
        private func walked(_ kinds: [Int]) -> Query {
            """
            SELECT f.id, f.place
            FROM \(fragment: ReadCalls.branches(filter, kinds)) CROSS JOIN LATERAL
                \(fragment: first(ReadCalls.conditions(filter, kinds: "c.kind = k.kind", walking: true), most)) AS f
            """
        }

        private func first(_ conditions: [Query], _ max: Int, and more: Query = "") -> Query {
            """
            (SELECT c.id, \(fragment: place) AS place\(fragment: more) FROM calls c
             WHERE \(fragment: ReadCalls.every(conditions + (seek.map { [$0] } ?? [])))
             ORDER BY \(fragment: sorted(place, "c.id")) LIMIT \(max))
            """
        }

        /// The same, but no kind further than the page needs. Planning this takes longer than a walk whose index holds
        /// exactly what is asked for. (Of several workspaces each kind is walked for a whole page.)
        private func sideBySide(_ kinds: [Int]) -> [Query] {
            guard isOfOne else { return [walked(kinds)] }
            return kinds.map {
                first(ReadCalls.conditions(filter, kinds: "c.kind = \(Int16($0))", walking: true, side: true), most)
            }
        }

        /// Of one workspace, or whoever's.
        private var isOfOne: Bool { filter.tenancy.ids?.count ?? 1 == 1 }

        /// Past calls of other numbers, which are in no order's index, but not far: whoever finds less than a page has to
        /// look for all that have the number. nil: not worth a try.
        private var walkPastNumbers: Query? {
            guard isOfOne else { return nil }
            func side(_ kinds: Query) -> Query {
                let (keys, others) = ReadCalls.split(filter, kinds: kinds, walking: true, side: true, search: nil)
                return first(keys, limits.passed, and: ", \(fragment: ReadCalls.every(others)) AS is_found")
            }
            // Those going on are few, and soon sorted.
            let live: Query = "c.kind = ANY (\(filter.liveKinds)::smallint[]) AND \(fragment: ReadCalls.isLive)"
            let sides = [side(live)] + filter.overKinds.map { side("c.kind = \(Int16($0))") }
            return shown(
                """
                SELECT passed.id, passed.place FROM (
                    SELECT id, place, is_found FROM (\(fragment: ReadCalls.all(sides))) AS sides
                    ORDER BY \(fragment: sorted("place", "id")) LIMIT \(limits.passed)) AS passed
                WHERE passed.is_found
                """)
        }

        /// The first of all that are found by a number. A call is found in as many ways as there are at most.
        private func first(by ways: [DigitsRange]) -> Query {
            shown(
                """
                SELECT DISTINCT id, place FROM (
                    SELECT id, place FROM (\(fragment: ReadCalls.all(ways.map { met(by: $0, nil) }))) AS met
                    ORDER BY \(fragment: sorted("place", "id")) LIMIT \(ways.count * most)) AS first
                """)
        }

        /// All of these kinds, and the first of them.
        private func gathered(_ kinds: [Int]) -> Query {
            let conditions = ReadCalls.conditions(filter, kinds: "c.kind = ANY (\(kinds)::smallint[])")
            return """
                (SELECT id, place FROM (
                     SELECT c.id, \(fragment: place) AS place FROM calls c
                     WHERE \(fragment: ReadCalls.every(conditions)) \(fragment: after) OFFSET 0) AS meant
                 ORDER BY \(fragment: sorted("place", "id")) LIMIT \(most))
                """
        }

        /// Those one way of being found by a number finds, from its index alone.
        /// - Parameter max: and one more at most; nil: all.
        private func met(by way: DigitsRange, _ max: Int?) -> Query {
            let conditions = ReadCalls.conditions(filter, search: way.condition)
            return """
                (SELECT c.id, \(fragment: place) AS place FROM calls c
                 WHERE \(fragment: ReadCalls.every(conditions)) \(fragment: after) LIMIT \(max.map { $0 + 1 }))
                """
        }

        /// All that are found by a number, unless there are too many: then it only says so.
        private func gathered(by ways: [DigitsRange]) -> Query {
            """
            WITH met AS MATERIALIZED (\(fragment: ReadCalls.all(ways.map { met(by: $0, limits.byNumber) }))),
                 found AS MATERIALIZED (
                     SELECT id, place FROM met WHERE (SELECT count(*) FROM met) <= \(limits.byNumber) GROUP BY id, place),
                 page AS (
                     SELECT id, place FROM found ORDER BY \(fragment: sorted("place", "id"))
                     LIMIT \(page.size + 1) OFFSET \(page.offset))
            SELECT (SELECT count(*) FROM met) AS met, (SELECT count(*) FROM found) AS total, page.id IS NOT NULL AS is_call,
                \(fragment: CallStore.columns)
            FROM (SELECT) AS always
            LEFT JOIN (page CROSS JOIN LATERAL (SELECT * FROM calls WHERE calls.id = page.id OFFSET 0) AS c) ON TRUE
            ORDER BY \(fragment: sorted("page.place", "page.id"))
            """
        }

        private func shown(_ found: Query) -> Query {
            """
            SELECT \(fragment: CallStore.columns)
            FROM (SELECT found.id, found.place FROM (\(fragment: found)) AS found
                  ORDER BY \(fragment: sorted("found.place", "found.id")) LIMIT \(page.size + 1) OFFSET \(page.offset)) AS page
            CROSS JOIN LATERAL (SELECT * FROM calls WHERE calls.id = page.id OFFSET 0) AS c
            ORDER BY \(fragment: sorted("page.place", "page.id"))
            """
        }

        private func sorted(_ place: Query, _ id: Query) -> Query {
            filter.descending
                ? "\(fragment: place) DESC, \(fragment: id) DESC" : "\(fragment: place), \(fragment: id)"
        }
    }
}

// MARK: - Conditions

extension ReadCalls {
    static func tenant(_ tenancy: Tenancy, _ column: Query) -> Query {
        guard let ids = tenancy.ids else { return "TRUE" }
        // One workspace is the rule, and equality lets the index give the order too.
        if ids.count == 1 { return "\(fragment: column) = \(ids[0])" }
        return "\(fragment: column) = ANY (\(ids))"
    }

    /// As the index of the few that are going on has it.
    static let isLive: Query = "c.status IN ('initiated', 'ringing', 'in_progress', 'escalated')"

    static func every(_ conditions: [Query]) -> Query {
        conditions.dropFirst().reduce(conditions.first ?? "TRUE") { "\(fragment: $0) AND \(fragment: $1)" }
    }

    private static func all(_ parts: [Query]) -> Query {
        parts.dropFirst().reduce(parts[0]) { "\(fragment: $0) UNION ALL \(fragment: $1)" }
    }

    private static func list(_ values: [Query]) -> Query {
        values.dropFirst().reduce(values[0]) { "\(fragment: $0), \(fragment: $1)" }
    }

    private static func any(_ ways: [Query]) -> Query {
        guard let first = ways.first else { return "FALSE" }
        return "(\(fragment: ways.dropFirst().reduce(first) { "\(fragment: $0) OR \(fragment: $1)" }))"
    }

    /// What a call has to be.
    /// - Parameters:
    ///   - kinds: of these kinds; nil: those of the filter.
    ///   - walking: in the index of the order, one kind after the other (``branches(_:_:)``).
    ///   - side: or side by side, with the workspace in each.
    ///   - search: in place of the filter's.
    static func conditions(
        _ filter: CallFilter, kinds: Query? = nil, walking: Bool = false, side: Bool = false, search: Query? = nil
    ) -> [Query] {
        let (keys, others) = split(filter, kinds: kinds, walking: walking, side: side, search: search)
        return keys + (walking ? others.map { "(\(fragment: $0)) IS TRUE" } : others)
    }

    /// The same: what the index of the order is walked by, and what is looked at in passing.
    private static func split(
        _ filter: CallFilter, kinds: Query?, walking: Bool, side: Bool, search: Query?
    ) -> (keys: [Query], others: [Query]) {
        var (keys, others): ([Query], [Query]) = ([], [])
        func add(_ condition: Query, inIndexOf isKey: Bool) {
            if isKey { keys.append(condition) } else { others.append(condition) }
        }
        let isOfBusiness = walking && filter.order == .startedAt && filter.business != nil
        if walking, !side, !isOfBusiness, filter.tenancy.ids != nil {
            keys.append("c.workspace_id = w.id")
        } else {
            add(tenant(filter.tenancy, "c.workspace_id"), inIndexOf: !isOfBusiness)
        }
        keys.append(kinds ?? "c.kind = ANY (\(filter.kinds)::smallint[])")
        if let business = filter.business { add("c.business_id = \(business)", inIndexOf: isOfBusiness) }
        if let from = filter.from { add("c.started_at >= \(from)", inIndexOf: filter.order == .startedAt) }
        if let until = filter.until { add("c.started_at < \(until)", inIndexOf: filter.order == .startedAt) }
        if let least = filter.qaLeast {
            add("coalesce(c.qa_score, -1) >= \(least)", inIndexOf: filter.order == .qaScore)
        }
        if let most = filter.qaMost {
            // Whoever has no score stands below 0.
            add(
                "coalesce(c.qa_score, -1) >= 0 AND coalesce(c.qa_score, -1) <= \(most)",
                inIndexOf: filter.order == .qaScore)
        }
        if let search = search ?? filter.search.map(found) { others.append(search) }
        return (keys, others)
    }

    /// The equal values an order is walked for, one after the other.
    private static func branches(_ filter: CallFilter, _ kinds: [Int]) -> Query {
        let kinds: Query = "unnest(\(kinds)::smallint[]) AS k (kind)"
        let isOfBusiness = filter.order == .startedAt && filter.business != nil
        guard !isOfBusiness, let ids = filter.tenancy.ids else { return kinds }
        return "unnest(\(ids)) AS w (id) CROSS JOIN \(fragment: kinds)"
    }

    private static func found(_ search: CallFilter.Search) -> Query {
        switch search {
        case .id(let id): return "c.id = \(id)"
        case .sid(let sid): return "c.twilio_call_sid = \(sid)"
        case .digits(let digits): return any(DigitsRange.ofEither(digits).map(\.condition))
        }
    }
}

/// Numbers that begin with some digits, as migration 12 places them.
private struct DigitsRange {
    private var column: Query
    private let from: Int64
    private let until: Int64
    private let digits: Int64

    /// The four ways in which digits may be some of a call's: first or last of either number. None if there are more digits
    /// than a number has.
    static func ofEither(_ digits: String) -> [DigitsRange] {
        guard let head = DigitsRange("c.from_head", digits), let tail = DigitsRange("c.from_tail", digits.reversed())
        else {
            return []
        }
        return [head, tail, head.on("c.to_head"), tail.on("c.to_tail")]
    }

    private init?(_ column: Query, _ digits: some Collection<Character>) {
        guard digits.count <= 15, let number = Int64(String(digits)) else { return nil }
        let unit = (digits.count..<15).reduce(Int64(16)) { unit, _ in 10 * unit }
        (self.column, self.digits) = (column, Int64(digits.count))
        (from, until) = (number * unit, (number + 1) * unit)
    }

    private func on(_ column: Query) -> DigitsRange {
        var other = self
        other.column = column
        return other
    }

    var range: Query { "\(fragment: column) >= \(from) AND \(fragment: column) < \(until)" }

    /// A shorter number filled up with zeros is in the range too; its last four bits say that it is shorter.
    var condition: Query { "\(fragment: range) AND (\(fragment: column) & 15) >= \(digits)" }
}

// MARK: - Places

extension ReadCalls {
    /// Absent values stand below every present one.
    private static func place(_ order: CallFilter.Order) -> Query {
        switch order {
        case .startedAt: "c.started_at"
        case .duration: "coalesce(c.duration_seconds, -1)"
        case .qaScore: "coalesce(c.qa_score, -1)"
        }
    }

    /// A cursor names its order, so that one of another order is refused.
    private static func name(_ filter: CallFilter) -> JSON {
        .string("calls \(filter.order.rawValue) \(filter.descending ? "desc" : "asc")")
    }

    private static func cursor(after call: Call, _ filter: CallFilter) -> Cursor {
        let value: JSON =
            switch filter.order {
            case .startedAt: .int(call.startedAt.microseconds)
            case .duration: .int(call.durationSeconds ?? -1)
            case .qaScore: .double(call.qaScore ?? -1)
            }
        return Cursor([name(filter), value, .string(call.id.text)])
    }

    private static func place(after cursor: Cursor, _ filter: CallFilter) throws -> Query {
        let bad = Problem.validation("cursor", "belongs to another list or order")
        guard cursor.values.count == 3, cursor.values[0] == name(filter),
            let id = cursor.values[2].string.flatMap({ CallID($0) })
        else { throw bad }
        let value: Query? =
            switch filter.order {
            case .startedAt: cursor.values[1].int64.map { "\(Instant(microseconds: $0))" }
            case .duration: cursor.values[1].int64.map { "\($0)" }
            case .qaScore: cursor.values[1].double.map { "\($0)" }
            }
        guard let value else { throw bad }
        let place = ReadCalls.place(filter.order)
        return filter.descending
            ? "(\(fragment: place), c.id) < (\(fragment: value), \(id))"
            : "(\(fragment: place), c.id) > (\(fragment: value), \(id))"
    }
}
