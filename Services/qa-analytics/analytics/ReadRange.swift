import Postgres
import Shared

/// Which rows answer a range, as SQL that other statements begin with.
///
/// A range is cut at its periods, and each period into pieces: whole UTC days come from the rollup's `day` rows, whole
/// UTC hours at its ends from `hour` rows, and what cuts an hour from the calls themselves. A day of New York begins on a
/// whole hour, so it is made of 24 (or 23, or 25) hours; one of Kolkata cuts an hour at each end, and only for those are
/// calls read. See `docs/decisions/0020-analytics-from-rollups.md`.
enum ReadRange {
    /// `bounds` (low, high) and `spans` (n, label, zone_offset, low, high): the range and its periods, the first and the
    /// last cut off where the range begins and ends; then `pieces` (n, grain, a, b).
    /// - Parameter interval: nil makes the whole range one period.
    static func pieces(_ range: AnalyticsRange, by interval: Interval?) -> Query {
        """
        WITH ends AS (
            SELECT \(range.fromInstant)::timestamptz AS low_instant, \(range.fromDay)::text::date AS low_day,
                CASE WHEN \(range.toDay)::text IS NULL THEN \(range.toInstant)::timestamptz
                    ELSE local_start((\(range.toDay)::text::date + 1)::timestamp, \(range.zone)) END AS high
        ), bounds AS MATERIALIZED (
            SELECT CASE WHEN low_day IS NOT NULL THEN local_start(low_day::timestamp, \(range.zone))
                ELSE coalesce(low_instant, high - interval '7 days') END AS low, high
            FROM ends
        ), spans AS MATERIALIZED (
            SELECT row_number() OVER (ORDER BY s.low) AS n, s.label, s.zone_offset,
                greatest(s.low, bounds.low) AS low, least(s.high, bounds.high) AS high
            FROM bounds CROSS JOIN LATERAL (\(fragment: periods(by: interval, zone: range.zone))) s
            WHERE s.low < bounds.high AND s.high > bounds.low
        ), pieces AS MATERIALIZED (
            SELECT s.n, piece.grain, piece.a, piece.b
            FROM (
                SELECT spans.n, spans.low, spans.high,
                    date_trunc('hour', low + interval '1 hour - 1 microsecond', 'UTC') AS first_hour,
                    date_trunc('hour', high, 'UTC') AS end_hour,
                    date_trunc('day', low + interval '1 day - 1 microsecond', 'UTC') AS first_day,
                    date_trunc('day', high, 'UTC') AS end_day
                FROM spans
            ) s CROSS JOIN LATERAL (VALUES
                ('call', low, least(first_hour, high)),
                ('hour', first_hour, CASE WHEN first_day < end_day THEN first_day ELSE end_hour END),
                ('day', first_day, end_day),
                ('hour', CASE WHEN first_day < end_day THEN end_day ELSE end_hour END, end_hour),
                ('call', greatest(end_hour, least(first_hour, high)), high)
            ) piece (grain, a, b)
            WHERE piece.a < piece.b
        )
        """
    }

    /// The pieces and `parts` (n and all sums): rows of both rollups and of single calls, to be added up.
    ///
    /// `OFFSET 0` keeps each look-up apart from the rest, so that it is one scan of an index for each piece. Left alone,
    /// PostgreSQL joins by grain, which reads half of all rollups.
    static func parts(_ range: AnalyticsRange, by interval: Interval?, _ scope: AnalyticsScope) -> Query {
        """
        \(fragment: pieces(range, by: interval)), parts AS (
            SELECT pieces.n, part.* FROM pieces CROSS JOIN LATERAL (
                SELECT \(fragment: sums) FROM rollups part
                WHERE part.grain = pieces.grain AND part.bucket >= pieces.a AND part.bucket < pieces.b
                    AND \(fragment: scope.ofRollups) OFFSET 0
            ) part WHERE pieces.grain <> 'call'
            UNION ALL
            SELECT pieces.n, part.* FROM pieces CROSS JOIN LATERAL (
                SELECT \(fragment: sums) FROM call_parts part
                WHERE part.started_at >= pieces.a AND part.started_at < pieces.b
                    AND \(fragment: scope.ofCalls) OFFSET 0
            ) part WHERE pieces.grain = 'call'
        )
        """
    }

    /// How often each item of a kind happened in the whole range, most often first.
    static func items(
        _ kind: ItemKind, _ range: AnalyticsRange, _ scope: AnalyticsScope, limit: Int
    ) -> Query {
        """
        \(fragment: pieces(range, by: nil)), parts AS (
            SELECT part.* FROM pieces CROSS JOIN LATERAL (
                SELECT part.item, part.count FROM rollup_items part
                WHERE part.grain = pieces.grain AND part.bucket >= pieces.a AND part.bucket < pieces.b
                    AND part.kind = \(kind.rawValue) AND \(fragment: scope.ofRollups) OFFSET 0
            ) part WHERE pieces.grain <> 'call'
            UNION ALL
            SELECT part.* FROM pieces CROSS JOIN LATERAL (
                SELECT part.item, 1 FROM call_item_parts part
                WHERE part.started_at >= pieces.a AND part.started_at < pieces.b
                    AND part.kind = \(kind.rawValue) AND \(fragment: scope.ofCalls) OFFSET 0
            ) part WHERE pieces.grain = 'call'
        )
        SELECT item, sum(count)::bigint AS count FROM parts
        GROUP BY item HAVING sum(count) <> 0 ORDER BY sum(count) DESC, item LIMIT \(limit)
        """
    }

    enum ItemKind: String { case issue, trigger }

    /// Every period that touches the range, whole: label, offset from UTC, first instant and end.
    private static func periods(by interval: Interval?, zone: String) -> Query {
        switch interval {
        case nil: "SELECT '' AS label, 0 AS zone_offset, bounds.low, bounds.high"
        case .day: days("day", "1 day", zone)
        case .week: days("week", "7 days", zone)
        case .month: days("month", "1 month", zone)
        case .hour:
            // Counted from the beginning of the local day, so that a day on which the clock moves by half an hour has
            // one short hour at its end, and the next day none.
            """
            SELECT to_char(hour AT TIME ZONE \(zone), 'YYYY-MM-DD"T"HH24:MI:SS') AS label,
                extract(epoch FROM (hour AT TIME ZONE \(zone)) - (hour AT TIME ZONE 'UTC'))::int AS zone_offset,
                hour AS low, least(hour + interval '1 hour', day.high) AS high
            FROM (\(fragment: days("day", "1 day", zone))) day
            CROSS JOIN LATERAL generate_series(day.low, day.high - interval '1 microsecond', interval '1 hour') hour
            """
        }
    }

    /// From a day before to a day after: where the clock is set back over midnight, the local time of an instant may name
    /// the day before.
    private static func days(_ unit: String, _ step: String, _ zone: String) -> Query {
        """
        SELECT to_char(local, 'YYYY-MM-DD') AS label, 0 AS zone_offset, local_start(local, \(zone)) AS low,
            local_start(local + \(step)::text::interval, \(zone)) AS high
        FROM generate_series(
            date_trunc(\(unit), bounds.low AT TIME ZONE \(zone) - interval '1 day'),
            bounds.high AT TIME ZONE \(zone) + interval '1 day', \(step)::text::interval) local
        """
    }

    private static let sums: Query = """
        part.total, part.active, part.completed, part.failed, part.escalated, part.inbound, part.inbound_completed,
        part.inbound_escalated, part.duration_sum, part.duration_count, part.scored, part.overall_sum,
        part.sentiment_sum, part.compliance_sum, part.accuracy_sum, part.professionalism_sum, part.excellent,
        part.good, part.fair, part.poor, part.positive, part.neutral, part.negative, part.felt, part.mood_sum,
        part.mood_squares, part.felt_escalated, part.mood_escalated_sum, part.pairs, part.pair_mood_sum,
        part.pair_mood_squares, part.pair_overall_sum, part.pair_overall_squares, part.pair_products,
        part.escalations, part.escalations_pending, part.escalations_in_progress, part.escalations_completed,
        part.escalations_cancelled, part.resolution_sum, part.resolution_count
        """
}

/// Whose calls count.
struct AnalyticsScope: Sendable {
    var tenancy: Tenancy
    var business: BusinessID?

    /// On a row called `part` of a rollup: the nil workspace's rows are everybody's.
    fileprivate var ofRollups: Query {
        if tenancy == .all, business == nil { return "part.workspace_id = \(WorkspaceID(high: 0, low: 0))" }
        return ofCalls
    }

    /// On a row called `part` of the calls in the shape of a rollup.
    fileprivate var ofCalls: Query {
        switch (tenancy.ids, business) {
        case (nil, nil): "true"
        case (nil, let business?): "part.business_id = \(business)"
        case (let ids?, nil): "part.workspace_id = ANY (\(ids))"
        case (let ids?, let business?): "part.workspace_id = ANY (\(ids)) AND part.business_id = \(business)"
        }
    }
}
