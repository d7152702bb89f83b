import Postgres
import Shared

/// How many calls there are, from what the database keeps counted (migration 10): those that are over by day, those going
/// on as they are, and the calls of the two days a range cuts.
enum ReadCallCounts {
    /// Exact, for every filter but scores and search. Its one row has `n`.
    static func known(_ filter: CallFilter) -> Query {
        let days = Days(from: filter.from, until: filter.until)
        var query: Query = """
            SELECT ((SELECT coalesce(sum(n.calls), 0) FROM call_counts n WHERE \(fragment: rows(filter, days)))
                + \(fragment: live(filter))
            """
        for edge in days.edges { query = "\(fragment: query) + \(fragment: over(filter, within: edge))" }
        return "\(fragment: query))::bigint AS n"
    }

    /// The whole UTC days of a range, and what is left of it before and after them.
    struct Days {
        /// nil: from the beginning, to the end.
        var first: Instant?
        var end: Instant?
        /// False when the range holds no whole day.
        var areAny = true
        var edges: [(from: Instant, until: Instant)] = []

        init(from: Instant?, until: Instant?) {
            let day: Int64 = 86_400_000_000
            func floor(_ at: Instant) -> Int64 { at.microseconds - (at.microseconds % day + day) % day }
            first = from.map { Instant(microseconds: floor(Instant(microseconds: $0.microseconds + day - 1))) }
            end = until.map { Instant(microseconds: floor($0)) }
            if let from, let until, let first, let end, first >= end {
                (areAny, edges) = (false, [(from, until)])
                return
            }
            if let from, let first, from < first { edges.append((from, first)) }
            if let until, let end, end < until { edges.append((end, until)) }
        }
    }

    private static func rows(_ filter: CallFilter, _ days: Days) -> Query {
        var parts: [Query] = ["n.kind = ANY (\(filter.kinds)::smallint[])"]
        if let business = filter.business {
            parts += ["n.business_id = \(business)", ReadCalls.tenant(filter.tenancy, "n.workspace_id")]
        } else {
            parts += ["n.business_id = '00000000-0000-0000-0000-000000000000'"]
            let all: Query = "n.workspace_id = '00000000-0000-0000-0000-000000000000'"
            parts += [filter.tenancy.ids == nil ? all : ReadCalls.tenant(filter.tenancy, "n.workspace_id")]
        }
        if !days.areAny { parts.append("FALSE") }
        if days.first == nil, days.end == nil {
            parts.append("n.day = '-infinity'")
        } else {
            parts.append("n.day > '-infinity'")
        }
        if let first = days.first { parts.append("n.day >= (\(first) AT TIME ZONE 'UTC')::date") }
        if let end = days.end { parts.append("n.day < (\(end) AT TIME ZONE 'UTC')::date") }
        return ReadCalls.every(parts)
    }

    private static func live(_ filter: CallFilter) -> Query {
        var live = filter
        live.kinds = filter.kinds.filter { !CallKind.isOver($0) }
        let conditions = ReadCalls.every(
            ReadCalls.conditions(live) + ["c.status IN ('initiated', 'ringing', 'in_progress', 'escalated')"])
        return "(SELECT count(*) FROM calls c WHERE \(fragment: conditions))"
    }

    private static func over(_ filter: CallFilter, within edge: (from: Instant, until: Instant)) -> Query {
        var over = filter
        over.kinds = filter.kinds.filter(CallKind.isOver)
        (over.from, over.until) = (edge.from, edge.until)
        return "(SELECT count(*) FROM calls c WHERE \(fragment: ReadCalls.every(ReadCalls.conditions(over))))"
    }
}
