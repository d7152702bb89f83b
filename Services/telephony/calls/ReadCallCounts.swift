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
        for part in days.added { query = "\(fragment: query) + \(fragment: over(filter, within: part))" }
        for part in days.taken { query = "\(fragment: query) - \(fragment: over(filter, within: part))" }
        return "\(fragment: query))::bigint AS n"
    }

    /// About how many of each kind that is over, the days a range cuts taken for whole: none where there is none. Rows of
    /// `kind` and `n`.
    static func ofEachKind(_ filter: CallFilter) -> Query {
        let days = Days(around: filter.from, filter.until)
        return """
            SELECT n.kind::bigint AS kind, sum(n.calls)::bigint AS n FROM call_counts n
            WHERE \(fragment: rows(filter, days)) GROUP BY n.kind
            """
    }

    /// A range as UTC days taken whole, what is looked at besides, and what is looked at to be taken away again: of a day that
    /// an end of the range cuts, the smaller part. A range within one day is looked at itself.
    struct Days {
        typealias Part = (from: Instant, until: Instant)
        /// nil: from the beginning, to the end.
        var first: Instant?
        var end: Instant?
        /// False when no day is taken whole.
        var areAny = true
        var added: [Part] = []
        var taken: [Part] = []

        init(from: Instant?, until: Instant?) {
            let before = from.map(Self.midnight(before:))
            let after = from.map(Self.midnight(after:))
            let lastBefore = until.map(Self.midnight(before:))
            let lastAfter = until.map(Self.midnight(after:))
            if let from, let until, let after, let lastBefore, after > lastBefore {
                (areAny, added) = (false, [(from, until)])
                return
            }
            if let from, let before, let after {
                first = takesWhole(inside: (from, after), outside: (before, from)) ? before : after
            }
            if let until, let lastBefore, let lastAfter {
                end = takesWhole(inside: (lastBefore, until), outside: (until, lastAfter)) ? lastAfter : lastBefore
            }
            if let first, let end { areAny = first < end }
        }

        /// Whether a day that an end of the range cuts is taken whole and the rest of it away again, or left out and its part
        /// added: the smaller is looked at. A day that is not cut has neither.
        private mutating func takesWhole(inside: Part, outside: Part) -> Bool {
            let isMostlyInside = outside.until - outside.from < inside.until - inside.from
            if isMostlyInside {
                if outside.from < outside.until { taken.append(outside) }
            } else if inside.from < inside.until {
                added.append(inside)
            }
            return isMostlyInside
        }

        /// The days that have some of the range.
        init(around from: Instant?, _ until: Instant?) {
            (first, end) = (from.map(Self.midnight(before:)), until.map(Self.midnight(after:)))
        }

        private static let day: Int64 = 86_400_000_000
        private static func midnight(before at: Instant) -> Instant {
            Instant(microseconds: at.microseconds - (at.microseconds % day + day) % day)
        }
        /// The same instant if it is one.
        private static func midnight(after at: Instant) -> Instant {
            midnight(before: Instant(microseconds: at.microseconds + day - 1))
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
        live.kinds = filter.liveKinds
        let conditions = ReadCalls.every(ReadCalls.conditions(live) + [ReadCalls.isLive])
        return "(SELECT count(*) FROM calls c WHERE \(fragment: conditions))"
    }

    private static func over(_ filter: CallFilter, within part: Days.Part) -> Query {
        var over = filter
        over.kinds = filter.overKinds
        (over.from, over.until) = (part.from, part.until)
        return "(SELECT count(*) FROM calls c WHERE \(fragment: ReadCalls.every(ReadCalls.conditions(over))))"
    }
}
