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
        /// No more than this are gathered and sorted. More are found soon by walking the order past the others.
        var gathered = 30_000
        /// The same where each one's row has to be read.
        var fetched = 5000
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
            let isCounting = page.cursor == nil
            if filter.isInOrder, page.offset <= limits.skipped / 10 {
                let rows = try await planned(isCounting ? [count(limits.counted), walk] : [walk], database)
                let calls = try rows[rows.count - 1].map(Call.init)
                return (calls, isCounting ? try await self.total(of: counted(rows[0]), database) : .uncounted)
            }
            let fewMax = if case .digits = filter.search { limits.fetched } else { limits.gathered }
            let number = try counted(try await planned([count(isCounting ? limits.counted : fewMax)], database)[0])
            let total: Total = isCounting ? try await self.total(of: number, database) : .uncounted
            if number <= page.offset { return ([], total) }
            guard page.offset <= limits.skipped else {
                throw Problem.validation("page", "is too far to skip to: follow next_cursor, it goes on from anywhere")
            }
            let listing = filter.isInOrder || number > fewMax ? walk : gather
            return (try await planned([listing], database)[0].map(Call.init), total)
        }

        /// Planned for these values: a plan for any cannot tell a range that holds nothing from one that holds all.
        private func planned(_ queries: [Query], _ database: Database) async throws -> [Rows] {
            let plans: Query = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) AS mode"
            return Array(try await database.pipeline([plans] + queries).dropFirst())
        }

        private func counted(_ rows: Rows) throws -> Int { try rows.first.map { try $0["n"] } ?? 0 }

        private func count(_ max: Int) -> Query {
            if filter.isCounted { return ReadCallCounts.known(filter) }
            return """
                SELECT count(*) AS n FROM (SELECT FROM calls c WHERE \(fragment: meant) LIMIT \(max + 1)) AS counted
                """
        }

        private func total(of number: Int, _ database: Database) async throws -> Total {
            guard !filter.isCounted, number > limits.counted else { return .exact(number) }
            let plan = try await database.queryOne(
                "EXPLAIN (FORMAT JSON) SELECT FROM calls c WHERE \(fragment: meant)")
            let json = try plan.map { try JSON.parse($0.decode(0, as: String.self)) }
            return .estimate(max(number, json?[0]?["Plan"]?["Plan Rows"]?.int ?? number))
        }

        // MARK: Two ways of reading

        private var meant: Query { ReadCalls.every(ReadCalls.conditions(filter)) }
        private var most: Int { page.offset + page.size + 1 }

        /// The first of each kind in the order, and of these the first. What the order's index cannot answer is a
        /// condition `IS TRUE`, which no index answers: it is looked at in passing.
        private var walk: Query {
            let conditions = ReadCalls.conditions(filter, walking: true)
            let place = ReadCalls.place(filter.order)
            return shown(
                """
                SELECT f.id, f.place
                FROM \(fragment: ReadCalls.branches(filter)) CROSS JOIN LATERAL (
                    SELECT c.id, \(fragment: place) AS place FROM calls c
                    WHERE \(fragment: ReadCalls.every(conditions + (seek.map { [$0] } ?? [])))
                    ORDER BY \(fragment: sorted(place, "c.id")) LIMIT \(most)) AS f
                """)
        }

        /// All there are, sorted.
        private var gather: Query {
            let place = ReadCalls.place(filter.order)
            let after: Query = seek.map { "AND (\(fragment: $0)) IS TRUE" } ?? ""
            return shown(
                """
                SELECT c.id, \(fragment: place) AS place FROM calls c
                WHERE \(fragment: meant) \(fragment: after) OFFSET 0
                """)
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

    static func every(_ conditions: [Query]) -> Query {
        conditions.dropFirst().reduce(conditions.first ?? "TRUE") { "\(fragment: $0) AND \(fragment: $1)" }
    }

    /// What a call has to be.
    /// - Parameter walking: kind by kind (`branches`), in the index of the order.
    static func conditions(_ filter: CallFilter, walking: Bool = false) -> [Query] {
        var parts: [Query] = []
        func add(_ condition: Query, inIndexOf isKey: Bool) {
            parts.append(!walking || isKey ? condition : "(\(fragment: condition)) IS TRUE")
        }
        let isOfBusiness = walking && filter.order == .startedAt && filter.business != nil
        if walking, !isOfBusiness, filter.tenancy.ids != nil {
            parts.append("c.workspace_id = w.id")
        } else {
            add(tenant(filter.tenancy, "c.workspace_id"), inIndexOf: !isOfBusiness)
        }
        parts.append(walking ? "c.kind = k.kind" : "c.kind = ANY (\(filter.kinds)::smallint[])")
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
        if let search = filter.search { add(found(search), inIndexOf: false) }
        return parts
    }

    /// The equal values an order is walked for, one after the other. By scores only kinds that have any: most calls
    /// without a score are of a few kinds, which would be walked to their end.
    private static func branches(_ filter: CallFilter) -> Query {
        let kinds: Query = "unnest(\(filter.kinds)::smallint[]) AS k (kind)"
        let isOfBusiness = filter.order == .startedAt && filter.business != nil
        var branches = kinds
        var of: Query = "TRUE"
        if !isOfBusiness, let ids = filter.tenancy.ids {
            branches = "unnest(\(ids)) AS w (id) CROSS JOIN \(fragment: kinds)"
            of = "c.workspace_id = w.id"
        }
        guard filter.isByScore, filter.order != .qaScore else { return branches }
        return """
            \(fragment: branches) CROSS JOIN LATERAL (
                SELECT FROM calls c WHERE \(fragment: of) AND c.kind = k.kind
                AND coalesce(c.qa_score, -1) >= \(filter.qaLeast ?? 0) AND coalesce(c.qa_score, -1) <= \(filter.qaMost ?? 1)
                LIMIT 1) AS scored
            """
    }

    private static func found(_ search: CallFilter.Search) -> Query {
        switch search {
        case .id(let id): return "c.id = \(id)"
        case .sid(let sid): return "c.twilio_call_sid = \(sid)"
        case .digits(let digits):
            let reversed = String(digits.reversed())
            let (end, reversedEnd) = (digits + ":", reversed + ":")  // ':' is the character after '9'
            return """
                (ltrim(c.from_number, '+') ~>=~ \(digits) AND ltrim(c.from_number, '+') ~<~ \(end)
                 OR ltrim(c.to_number, '+') ~>=~ \(digits) AND ltrim(c.to_number, '+') ~<~ \(end)
                 OR reverse(c.from_number) ~>=~ \(reversed) AND reverse(c.from_number) ~<~ \(reversedEnd)
                 OR reverse(c.to_number) ~>=~ \(reversed) AND reverse(c.to_number) ~<~ \(reversedEnd))
                """
        }
    }
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
