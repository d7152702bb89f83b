"""Calls by the million, straight into analytics' database, with the distributions of a real call centre.

    calls.py NUMBER [WORKSPACE]          prints the SQL:  calls.py 1000000 | psql …

A thousand workspaces whose sizes follow Zipf's law (the first, or the one named, has a tenth of all calls), up to four
business configurations each, 180 days with a week's and a day's rhythm, log-normal durations, moods that the scores
follow, escalations more often of unhappy customers. Rollups are built by one statement each, as the migration does it.
"""

import sys

NAMED = "00000000-0000-7000-8000-000000000001"

SQL = """
SET statement_timeout = 0;
SET synchronous_commit = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';
ALTER TABLE calls DISABLE TRIGGER USER;
SELECT setseed(0.42);
WITH sizes AS (
    -- Where each workspace's share ends, out of 1.
    SELECT rank, sum(1.0 / rank ^ 0.95) OVER (ORDER BY rank) / sum(1.0 / rank ^ 0.95) OVER () AS ends
    FROM generate_series(1, 1000) rank
), shares AS (
    SELECT array_agg(ends::float8 ORDER BY rank) AS ends FROM sizes
), drawn AS MATERIALIZED (
    SELECT g, random() AS who, random() AS business, random() AS day, random() AS hour, random() AS second,
        random() AS way, random() AS fate, random_normal() AS length, random_normal() AS feeling,
        random_normal() AS work, random() AS asked, random() AS found, random() AS cause
    FROM generate_series(1, {number}) g
), shaped AS (
    SELECT drawn.*, width_bucket(who, shares.ends) AS rank,
        -- Fewer calls on weekends: every third of theirs is moved to the Monday before.
        date_trunc('day', now()) - interval '180 days' + interval '1 day' * floor(day * 180)
            - CASE WHEN extract(isodow FROM date_trunc('day', now()) - interval '180 days'
                    + interval '1 day' * floor(day * 180)) >= 6 AND second < 0.7
                THEN interval '5 days' ELSE interval '0' END
            -- The sum of two draws has its peak in the middle of the day.
            + interval '1 hour' * (6 + 14 * (hour + second) / 2) AS started_at,
        greatest(-1, least(1, 0.15 + 0.4 * feeling)) AS mood,
        CASE WHEN fate < 0.11 THEN 'failed' ELSE 'completed' END AS status
    FROM drawn, shares
), judged AS (
    SELECT *, round(exp(4.6 + 0.8 * length))::bigint AS seconds,
        greatest(0, least(1, 0.72 + 0.18 * mood + 0.1 * work)) AS quality,
        status = 'completed' AND asked < 0.08 - 0.1 * mood AS is_escalated
    FROM shaped
)
INSERT INTO calls (call_id, workspace_id, business_id, direction, status, failure_reason, started_at, ended_at,
    duration_seconds, escalated, mood, mood_label, overall, outcome, version, twilio_call_sid, from_number, to_number,
    sentiment, compliance, accuracy, professionalism, issues, escalations, escalations_completed, escalations_cancelled,
    resolution_microseconds, resolutions, triggers)
SELECT gen_random_uuid(),
    CASE WHEN rank = 0 THEN '{workspace}'::uuid
        ELSE ('00000000-0000-7000-9000-' || lpad(to_hex(rank), 12, '0'))::uuid END,
    CASE WHEN business < 0.25 THEN NULL
        ELSE ('00000000-0000-7000-a' || lpad(to_hex(floor(business * 4)::int), 3, '0') || '-'
            || lpad(to_hex(rank), 12, '0'))::uuid END,
    CASE WHEN way < 0.65 THEN 'inbound' ELSE 'outbound' END, status,
    CASE WHEN status = 'failed' THEN 'no-answer' END, started_at,
    started_at + interval '1 second' * CASE WHEN status = 'failed' THEN 0 ELSE seconds END,
    CASE WHEN status = 'failed' THEN 0 ELSE seconds END, is_escalated,
    CASE WHEN status = 'completed' THEN mood END,
    CASE WHEN status = 'completed' THEN
        CASE WHEN mood >= 0.05 THEN 'positive' WHEN mood <= -0.05 THEN 'negative' ELSE 'neutral' END END,
    CASE WHEN status = 'completed' THEN quality END,
    CASE WHEN status = 'failed' THEN 'no_answer' WHEN is_escalated THEN 'escalated' WHEN mood > 0.4 THEN 'converted'
        WHEN mood > 0.05 THEN 'interested' WHEN mood < -0.3 THEN 'not_interested' END,
    5, 'CA' || md5(g::text), '+1415' || lpad((g::bigint * 7919 % 10000000)::text, 7, '0'),
    '+1212' || lpad((rank::bigint * 104729 % 10000000)::text, 7, '0'),
    CASE WHEN status = 'completed' THEN (mood + 1) / 2 END,
    CASE WHEN status = 'completed' THEN least(1, 0.8 + found / 3) END,
    CASE WHEN status = 'completed' THEN greatest(0, 1 - cause / 3) END,
    CASE WHEN status = 'completed' THEN least(1, 0.7 + business / 3) END,
    CASE WHEN status = 'completed' AND found < 0.12 THEN '{{no_closing}}'::text[]
        WHEN status = 'completed' AND found < 0.2 THEN '{{no_empathy,unanswered_questions}}'::text[] ELSE '{{}}' END,
    is_escalated::int, (is_escalated AND cause < 0.9)::int, (is_escalated AND cause >= 0.9)::int,
    CASE WHEN is_escalated AND cause < 0.9 THEN 1000000 * seconds ELSE 0 END, (is_escalated AND cause < 0.9)::int,
    CASE WHEN NOT is_escalated THEN '{{}}' WHEN cause < 0.4 THEN '{{keyword}}'::text[]
        WHEN cause < 0.7 THEN '{{sentiment}}'::text[] ELSE '{{manual}}'::text[] END
-- As calls come: those of an hour lie together.
FROM judged ORDER BY started_at;
SELECT rebuild_rollups();
ALTER TABLE calls ENABLE TRIGGER USER;
ANALYZE calls, rollups, rollup_items;
"""


def sql(number: int, workspace: str = NAMED) -> str:
    return SQL.format(number=number, workspace=workspace)


if __name__ == "__main__":
    print(sql(int(sys.argv[1]), *sys.argv[2:3]))
