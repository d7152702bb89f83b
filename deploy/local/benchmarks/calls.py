"""Calls by the million, straight into the database of analytics or of telephony, with the distributions of a real call
centre.

    calls.py NUMBER [WORKSPACE [analytics|telephony]]          prints the SQL:  calls.py 1000000 | psql …

One workspace (the one named) has six calls of ten; the sizes of a thousand others follow Zipf's law. Up to four business
configurations each, 180 days with a week's and a day's rhythm, log-normal durations, one call of twenty failed, moods that
the scores follow, escalations more often of unhappy customers. What is summed up is built by one statement each, as the
migrations do it, and telephony's indexes after the rows.
"""

import sys

NAMED = "00000000-0000-7000-8000-000000000001"

SETTINGS = """
SET statement_timeout = 0;
SET synchronous_commit = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';
ALTER TABLE calls DISABLE TRIGGER USER;
"""

# One row per call: `judged`.
SHAPE = """
SELECT setseed(0.42);
WITH sizes AS (
    -- Where each workspace's share ends, out of 1.
    SELECT rank, 0.6 + 0.4 * coalesce(sum(1.0 / rank ^ 0.95) FILTER (WHERE rank > 0) OVER (ORDER BY rank), 0)
        / sum(1.0 / rank ^ 0.95) FILTER (WHERE rank > 0) OVER () AS ends
    FROM generate_series(0, 1000) rank
), shares AS (
    SELECT array_agg(ends::float8 ORDER BY rank) AS ends FROM sizes
), drawn AS MATERIALIZED (
    SELECT g, random() AS who, random() AS business, random() AS day, random() AS hour, random() AS second,
        random() AS way, random() AS fate, random_normal() AS length, random_normal() AS feeling,
        random_normal() AS work, random() AS asked, random() AS found, random() AS cause
    FROM generate_series(1, {number}) g
), shaped AS (
    SELECT drawn.*, width_bucket(who, (SELECT ends FROM shares)) AS rank,
        -- Fewer calls on weekends: every third of theirs is moved to the Monday before.
        date_trunc('day', now()) - interval '180 days' + interval '1 day' * floor(day * 180)
            - CASE WHEN extract(isodow FROM date_trunc('day', now()) - interval '180 days'
                    + interval '1 day' * floor(day * 180)) >= 6 AND second < 0.7
                THEN interval '5 days' ELSE interval '0' END
            -- The sum of two draws has its peak in the middle of the day.
            + interval '1 hour' * (6 + 14 * (hour + second) / 2) AS started_at,
        greatest(-1, least(1, 0.15 + 0.4 * feeling)) AS mood,
        CASE WHEN fate < 0.05 THEN 'failed' ELSE 'completed' END AS status
    FROM drawn
), judged AS (
    SELECT *, round(exp(4.6 + 0.8 * length))::bigint AS seconds,
        greatest(0, least(1, 0.72 + 0.18 * mood + 0.1 * work)) AS quality,
        status = 'completed' AND asked < 0.08 - 0.1 * mood AS is_escalated,
        CASE WHEN rank = 0 THEN '{workspace}'::uuid
            ELSE ('00000000-0000-7000-9000-' || lpad(to_hex(rank), 12, '0'))::uuid END AS workspace_id,
        CASE WHEN business >= 0.25 THEN ('00000000-0000-7000-a' || lpad(to_hex(floor(business * 4)::int), 3, '0') || '-'
            || lpad(to_hex(rank), 12, '0'))::uuid END AS business_id,
        CASE WHEN way < 0.65 THEN 'inbound' ELSE 'outbound' END AS direction,
        '+1415' || lpad((g::bigint * 7919 % 10000000)::text, 7, '0') AS customer,
        '+1212' || lpad((rank::bigint * 104729 % 10000000)::text, 7, '0') AS line
    FROM shaped
)
"""

INTO_ANALYTICS = """
INSERT INTO calls (call_id, workspace_id, business_id, direction, status, failure_reason, started_at, ended_at,
    duration_seconds, escalated, mood, mood_label, overall, outcome, version, twilio_call_sid, from_number, to_number,
    sentiment, compliance, accuracy, professionalism, issues, escalations, escalations_completed, escalations_cancelled,
    resolution_microseconds, resolutions, triggers)
SELECT gen_random_uuid(), workspace_id, business_id, direction, status,
    CASE WHEN status = 'failed' THEN 'no-answer' END, started_at,
    started_at + interval '1 second' * CASE WHEN status = 'failed' THEN 0 ELSE seconds END,
    CASE WHEN status = 'failed' THEN 0 ELSE seconds END, is_escalated,
    CASE WHEN status = 'completed' THEN mood END,
    CASE WHEN status = 'completed' THEN
        CASE WHEN mood >= 0.05 THEN 'positive' WHEN mood <= -0.05 THEN 'negative' ELSE 'neutral' END END,
    CASE WHEN status = 'completed' THEN quality END,
    CASE WHEN status = 'failed' THEN 'no_answer' WHEN is_escalated THEN 'escalated' WHEN mood > 0.4 THEN 'converted'
        WHEN mood > 0.05 THEN 'interested' WHEN mood < -0.3 THEN 'not_interested' END,
    5, 'CA' || md5(g::text), customer, line,
    CASE WHEN status = 'completed' THEN (mood + 1) / 2 END,
    CASE WHEN status = 'completed' THEN least(1, 0.8 + found / 3) END,
    CASE WHEN status = 'completed' THEN greatest(0, 1 - cause / 3) END,
    CASE WHEN status = 'completed' THEN least(1, 0.7 + business / 3) END,
    CASE WHEN status = 'completed' AND found < 0.12 THEN '{no_closing}'::text[]
        WHEN status = 'completed' AND found < 0.2 THEN '{no_empathy,unanswered_questions}'::text[] ELSE '{}' END,
    is_escalated::int, (is_escalated AND cause < 0.9)::int, (is_escalated AND cause >= 0.9)::int,
    CASE WHEN is_escalated AND cause < 0.9 THEN 1000000 * seconds ELSE 0 END, (is_escalated AND cause < 0.9)::int,
    CASE WHEN NOT is_escalated THEN '{}' WHEN cause < 0.4 THEN '{keyword}'::text[]
        WHEN cause < 0.7 THEN '{sentiment}'::text[] ELSE '{manual}'::text[] END
-- As calls come: those of an hour lie together.
FROM judged ORDER BY started_at;
SELECT rebuild_rollups();
ALTER TABLE calls ENABLE TRIGGER USER;
ANALYZE calls, rollups, rollup_items;
"""


INTO_TELEPHONY = """
INSERT INTO calls (id, workspace_id, version, twilio_call_sid, direction, status, from_number, to_number, business_id,
    started_at, answered_at, ended_at, duration_seconds, created_at, updated_at, failure_reason, outcome, qa_score,
    sentiment, escalation_status)
-- Ids in the order of time, as they come.
SELECT uuidv7(started_at - now()), workspace_id, 5, 'CA' || md5(g::text), direction, status,
    CASE direction WHEN 'inbound' THEN customer ELSE line END, CASE direction WHEN 'inbound' THEN line ELSE customer END,
    business_id, started_at, CASE WHEN status = 'completed' THEN started_at + interval '5 seconds' END,
    CASE WHEN status IN ('completed', 'failed') THEN started_at + interval '1 second' * ended END,
    CASE WHEN status IN ('completed', 'failed') THEN ended END,
    started_at, started_at, CASE WHEN status = 'failed' THEN 'no-answer' END,
    CASE WHEN status = 'failed' THEN 'no_answer' WHEN is_escalated THEN 'escalated' WHEN mood > 0.4 THEN 'converted'
        WHEN mood > 0.05 THEN 'interested' WHEN mood < -0.3 THEN 'not_interested' END,
    CASE WHEN status = 'completed' AND found < 0.98 THEN quality END,
    CASE WHEN status NOT IN ('completed', 'in_progress', 'escalated') OR found >= 0.98 THEN NULL
        WHEN mood >= 0.05 THEN 'positive' WHEN mood <= -0.05 THEN 'negative' ELSE 'neutral' END,
    CASE WHEN is_escalated THEN 'completed' END
-- A few hundred of the last day's are still going on.
FROM (SELECT g, workspace_id, business_id, direction, customer, line, started_at, mood, quality, found, is_escalated,
        CASE status WHEN 'failed' THEN 0 ELSE seconds END AS ended,
        CASE WHEN started_at < now() - interval '1 day' OR cause >= 0.1 THEN status
            WHEN cause < 0.01 THEN 'initiated' WHEN cause < 0.02 THEN 'ringing' WHEN cause < 0.09 THEN 'in_progress'
            ELSE 'escalated' END AS status
    FROM judged) AS c
ORDER BY started_at;
"""

# Rows first: filling an index is many times slower than making it of what is there.
WITHOUT_INDEXES = """
CREATE TEMPORARY TABLE made_of AS
    SELECT indexname AS name, indexdef AS definition FROM pg_indexes
    WHERE schemaname = 'public' AND tablename = 'calls' AND indexname NOT IN ('calls_pkey', 'calls_sid');
SELECT format('DROP INDEX %I', name) FROM made_of \\gexec
"""
WITH_INDEXES = """
SELECT definition FROM made_of \\gexec
SELECT rebuild_call_counts();
ALTER TABLE calls ENABLE TRIGGER USER;
VACUUM (ANALYZE) calls;
VACUUM (ANALYZE) call_counts;
"""


def sql(number: int, workspace: str = NAMED, program: str = "analytics") -> str:
    shape = SHAPE.format(number=number, workspace=workspace)
    if program == "telephony":
        return "".join([SETTINGS, WITHOUT_INDEXES, shape, INTO_TELEPHONY, WITH_INDEXES])
    return "".join([SETTINGS, shape, INTO_ANALYTICS])


if __name__ == "__main__":
    print(sql(int(sys.argv[1]), *sys.argv[2:4]))
