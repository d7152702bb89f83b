-- Everything document 003 §3 asks for, from sums that are right at every commit.
--
-- One row of `calls` says all that a call adds to any figure (`call_part`). A trigger adds what a changed row says now
-- less what it said before, in the same transaction and under the row's lock, so late, doubled, corrected and deleted
-- calls leave nothing behind. All sums are whole numbers, scores in units of 1e-12: adding and taking back is exact.
-- Everything is counted in the period in which its call started. Which rows answer a range: docs/decisions/0020.

DROP TRIGGER keep_daily ON calls;
DROP FUNCTION keep_daily();
DROP FUNCTION add_to_daily(calls_daily, bigint);
DROP FUNCTION call_part(calls);
DROP TABLE calls_daily;

-- What an export shows of a call, its score's parts, and its escalations in numbers.
ALTER TABLE calls
    ADD COLUMN twilio_call_sid text NOT NULL DEFAULT '',
    ADD COLUMN from_number text NOT NULL DEFAULT '',
    ADD COLUMN to_number text NOT NULL DEFAULT '',
    ADD COLUMN agent_id uuid,
    ADD COLUMN sentiment double precision,
    ADD COLUMN compliance double precision,
    ADD COLUMN accuracy double precision,
    ADD COLUMN professionalism double precision,
    -- Codes of the findings, each once. Codes only: a sum outlives the call, so it must not hold anybody's words.
    ADD COLUMN issues text[] NOT NULL DEFAULT '{}',
    ADD COLUMN escalations bigint NOT NULL DEFAULT 0,
    ADD COLUMN escalations_pending bigint NOT NULL DEFAULT 0,
    ADD COLUMN escalations_in_progress bigint NOT NULL DEFAULT 0,
    ADD COLUMN escalations_completed bigint NOT NULL DEFAULT 0,
    ADD COLUMN escalations_cancelled bigint NOT NULL DEFAULT 0,
    ADD COLUMN resolution_microseconds bigint NOT NULL DEFAULT 0,
    ADD COLUMN resolutions bigint NOT NULL DEFAULT 0,
    -- The trigger of each escalation.
    ADD COLUMN triggers text[] NOT NULL DEFAULT '{}';

-- Pages of an export in the order of time.
DROP INDEX calls_by_start;
DROP INDEX calls_by_start_all;
CREATE INDEX calls_by_start ON calls (workspace_id, started_at, call_id);
CREATE INDEX calls_by_start_all ON calls (started_at, call_id);

-- An escalation may be heard of before its call, so there is no reference.
CREATE TABLE escalations (
    id bigint PRIMARY KEY,
    call_id uuid NOT NULL,
    trigger_type text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'cancelled')),
    requested_at timestamptz NOT NULL,
    completed_at timestamptz
);
CREATE INDEX escalations_by_call ON escalations (call_id);

-- `day` rows by business, direction and outcome; `hour` rows by business alone, because hours are many. Buckets are in
-- UTC. No business is the nil UUID and no outcome the empty text: a key column cannot be null and still be one key.
-- Rows of the nil workspace are the sums of everybody's, for those who see all: they would else be thousands to add up.
-- `shard`: who writes holds one of the shards until commit, so transactions never wait for each other's rows.
CREATE TABLE rollups (
    workspace_id uuid NOT NULL,
    grain text NOT NULL CHECK (grain IN ('hour', 'day')),
    bucket timestamptz NOT NULL,
    business_id uuid NOT NULL,
    direction text NOT NULL,
    outcome text NOT NULL,
    shard smallint NOT NULL,
    total bigint NOT NULL,
    -- Started and not ended.
    active bigint NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    -- Calls with an escalation.
    escalated bigint NOT NULL,
    -- The hourly rows have no direction, so what is asked for by direction is counted for one of the two.
    inbound bigint NOT NULL,
    inbound_completed bigint NOT NULL,
    inbound_escalated bigint NOT NULL,
    -- Seconds.
    duration_sum bigint NOT NULL,
    duration_count bigint NOT NULL,
    -- Calls with a score, and the sums of its five parts.
    scored bigint NOT NULL,
    overall_sum bigint NOT NULL,
    sentiment_sum bigint NOT NULL,
    compliance_sum bigint NOT NULL,
    accuracy_sum bigint NOT NULL,
    professionalism_sum bigint NOT NULL,
    excellent bigint NOT NULL,
    good bigint NOT NULL,
    fair bigint NOT NULL,
    poor bigint NOT NULL,
    positive bigint NOT NULL,
    neutral bigint NOT NULL,
    negative bigint NOT NULL,
    -- Calls with a mood, and what its correlation with being escalated (0 or 1) needs.
    felt bigint NOT NULL,
    mood_sum bigint NOT NULL,
    mood_squares bigint NOT NULL,
    felt_escalated bigint NOT NULL,
    mood_escalated_sum bigint NOT NULL,
    -- Calls with a mood and a score, and what the correlation of the two needs.
    pairs bigint NOT NULL,
    pair_mood_sum bigint NOT NULL,
    pair_mood_squares bigint NOT NULL,
    pair_overall_sum bigint NOT NULL,
    pair_overall_squares bigint NOT NULL,
    pair_products bigint NOT NULL,
    -- Escalations of these calls by status, and the microseconds from request to completion.
    escalations bigint NOT NULL,
    escalations_pending bigint NOT NULL,
    escalations_in_progress bigint NOT NULL,
    escalations_completed bigint NOT NULL,
    escalations_cancelled bigint NOT NULL,
    resolution_sum bigint NOT NULL,
    resolution_count bigint NOT NULL,
    PRIMARY KEY (workspace_id, grain, bucket, business_id, direction, outcome, shard)
)
-- Room for the new version of a row beside the old one: no index entry changes when sums do.
WITH (fillfactor = 70);
-- For whoever sees all workspaces and asks for one business.
CREATE INDEX rollups_by_business ON rollups (business_id, grain, bucket);

-- How often something out of an open list happened: a finding's code (calls with it), an escalation's trigger.
CREATE TABLE rollup_items (
    workspace_id uuid NOT NULL,
    grain text NOT NULL CHECK (grain IN ('hour', 'day')),
    bucket timestamptz NOT NULL,
    business_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('issue', 'trigger')),
    item text NOT NULL,
    shard smallint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (workspace_id, grain, bucket, business_id, kind, item, shard)
)
WITH (fillfactor = 70);
CREATE INDEX rollup_items_by_business ON rollup_items (business_id, grain, bucket);

-- The one place that says what a call adds. A plain SELECT, so that PostgreSQL puts it into the query that uses it.
CREATE FUNCTION call_part(call calls) RETURNS TABLE (
    workspace_id uuid, day timestamptz, hour timestamptz, business_id uuid, direction text, outcome text,
    total bigint, active bigint, completed bigint, failed bigint, escalated bigint, inbound bigint,
    inbound_completed bigint, inbound_escalated bigint, duration_sum bigint, duration_count bigint, scored bigint,
    overall_sum bigint, sentiment_sum bigint, compliance_sum bigint, accuracy_sum bigint, professionalism_sum bigint,
    excellent bigint, good bigint, fair bigint, poor bigint, positive bigint, neutral bigint, negative bigint,
    felt bigint, mood_sum bigint, mood_squares bigint, felt_escalated bigint, mood_escalated_sum bigint, pairs bigint,
    pair_mood_sum bigint, pair_mood_squares bigint, pair_overall_sum bigint, pair_overall_squares bigint,
    pair_products bigint, escalations bigint, escalations_pending bigint, escalations_in_progress bigint,
    escalations_completed bigint, escalations_cancelled bigint, resolution_sum bigint, resolution_count bigint
) LANGUAGE sql STABLE AS $$
    SELECT call.workspace_id, date_trunc('day', call.started_at, 'UTC'), date_trunc('hour', call.started_at, 'UTC'),
        coalesce(call.business_id, '00000000-0000-0000-0000-000000000000'::uuid), call.direction,
        coalesce(call.outcome, ''),
        1::bigint,
        (call.status NOT IN ('completed', 'failed'))::int::bigint,
        (call.status = 'completed')::int::bigint,
        (call.status = 'failed')::int::bigint,
        call.escalated::int::bigint,
        (call.direction = 'inbound')::int::bigint,
        (call.direction = 'inbound' AND call.status = 'completed')::int::bigint,
        (call.direction = 'inbound' AND call.escalated)::int::bigint,
        coalesce(call.duration_seconds, 0)::bigint,
        (call.duration_seconds IS NOT NULL)::int::bigint,
        (call.overall IS NOT NULL)::int::bigint,
        coalesce(round(call.overall * 1e12), 0)::bigint,
        coalesce(round(call.sentiment * 1e12), 0)::bigint,
        coalesce(round(call.compliance * 1e12), 0)::bigint,
        coalesce(round(call.accuracy * 1e12), 0)::bigint,
        coalesce(round(call.professionalism * 1e12), 0)::bigint,
        coalesce(call.overall >= 0.8, false)::int::bigint,
        coalesce(call.overall >= 0.6 AND call.overall < 0.8, false)::int::bigint,
        coalesce(call.overall >= 0.4 AND call.overall < 0.6, false)::int::bigint,
        coalesce(call.overall < 0.4, false)::int::bigint,
        coalesce(call.mood_label = 'positive', false)::int::bigint,
        coalesce(call.mood_label = 'neutral', false)::int::bigint,
        coalesce(call.mood_label = 'negative', false)::int::bigint,
        (call.mood IS NOT NULL)::int::bigint,
        coalesce(round(call.mood * 1e12), 0)::bigint,
        coalesce(round(call.mood * call.mood * 1e12), 0)::bigint,
        (call.mood IS NOT NULL AND call.escalated)::int::bigint,
        (CASE WHEN call.escalated THEN coalesce(round(call.mood * 1e12), 0) ELSE 0 END)::bigint,
        (call.mood IS NOT NULL AND call.overall IS NOT NULL)::int::bigint,
        (CASE WHEN call.overall IS NOT NULL THEN coalesce(round(call.mood * 1e12), 0) ELSE 0 END)::bigint,
        (CASE WHEN call.overall IS NOT NULL THEN coalesce(round(call.mood * call.mood * 1e12), 0) ELSE 0 END)::bigint,
        (CASE WHEN call.mood IS NOT NULL THEN coalesce(round(call.overall * 1e12), 0) ELSE 0 END)::bigint,
        (CASE WHEN call.mood IS NOT NULL THEN coalesce(round(call.overall * call.overall * 1e12), 0) ELSE 0
            END)::bigint,
        coalesce(round(call.mood * call.overall * 1e12), 0)::bigint,
        call.escalations,
        call.escalations_pending,
        call.escalations_in_progress,
        call.escalations_completed,
        call.escalations_cancelled,
        call.resolution_microseconds,
        call.resolutions
$$;

-- The calls themselves in the shape of rollups, for the edges of a range.
CREATE VIEW call_parts AS
SELECT call.started_at, part.* FROM calls call CROSS JOIN LATERAL call_part(call) part;

CREATE FUNCTION call_items(call calls) RETURNS TABLE (
    workspace_id uuid, day timestamptz, hour timestamptz, business_id uuid, kind text, item text
) LANGUAGE sql STABLE AS $$
    SELECT call.workspace_id, date_trunc('day', call.started_at, 'UTC'), date_trunc('hour', call.started_at, 'UTC'),
        coalesce(call.business_id, '00000000-0000-0000-0000-000000000000'::uuid), list.kind, list.item
    FROM (SELECT 'issue', unnest(call.issues) UNION ALL SELECT 'trigger', unnest(call.triggers)) list (kind, item)
$$;

CREATE VIEW call_item_parts AS
SELECT call.started_at, part.* FROM calls call CROSS JOIN LATERAL call_items(call) part
-- Most calls have neither.
WHERE call.issues <> '{}' OR call.triggers <> '{}';

-- The shard of this transaction: the first one nobody holds. Eight are more than there are writers at a time; should
-- all be taken, it waits for one of them.
CREATE FUNCTION rollup_shard() RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    mine text := current_setting('rollups.shard', true);
    lock_class CONSTANT int := 20776;
    shard smallint;
BEGIN
    IF mine <> '' THEN RETURN mine::smallint; END IF;
    FOR shard IN 0..7 LOOP
        IF pg_try_advisory_xact_lock(lock_class, shard) THEN
            PERFORM set_config('rollups.shard', shard::text, true);
            RETURN shard;
        END IF;
    END LOOP;
    shard := pg_backend_pid() % 8;
    PERFORM pg_advisory_xact_lock(lock_class, shard), set_config('rollups.shard', shard::text, true);
    RETURN shard;
END
$$;

CREATE FUNCTION keep_rollups() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own smallint;
    moved boolean;
    nobody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    IF current_setting('rollups.erasing', true) = 'on' THEN RETURN NULL; END IF;
    moved := TG_OP <> 'UPDATE'
        OR (OLD.workspace_id, OLD.started_at, OLD.business_id)
            IS DISTINCT FROM (NEW.workspace_id, NEW.started_at, NEW.business_id);
    IF moved OR (OLD.direction, OLD.outcome, OLD.status, OLD.escalated, OLD.duration_seconds, OLD.overall,
            OLD.sentiment, OLD.compliance, OLD.accuracy, OLD.professionalism, OLD.mood, OLD.mood_label, OLD.escalations,
            OLD.escalations_pending, OLD.escalations_in_progress, OLD.escalations_completed, OLD.escalations_cancelled,
            OLD.resolution_microseconds, OLD.resolutions)
        IS DISTINCT FROM (NEW.direction, NEW.outcome, NEW.status, NEW.escalated, NEW.duration_seconds, NEW.overall,
            NEW.sentiment, NEW.compliance, NEW.accuracy, NEW.professionalism, NEW.mood, NEW.mood_label, NEW.escalations,
            NEW.escalations_pending, NEW.escalations_in_progress, NEW.escalations_completed, NEW.escalations_cancelled,
            NEW.resolution_microseconds, NEW.resolutions)
    THEN
        own := rollup_shard();
        INSERT INTO rollups AS r (workspace_id, grain, bucket, business_id, direction, outcome, shard,
            total, active, completed, failed, escalated, inbound, inbound_completed, inbound_escalated, duration_sum,
            duration_count, scored, overall_sum, sentiment_sum, compliance_sum, accuracy_sum, professionalism_sum,
            excellent, good, fair, poor, positive, neutral, negative, felt, mood_sum, mood_squares, felt_escalated,
            mood_escalated_sum, pairs, pair_mood_sum, pair_mood_squares, pair_overall_sum, pair_overall_squares,
            pair_products, escalations, escalations_pending, escalations_in_progress, escalations_completed,
            escalations_cancelled, resolution_sum, resolution_count)
        SELECT g.workspace_id, g.grain, g.bucket, g.business_id, g.direction, g.outcome, own,
            sum(sign * p.total)::bigint, sum(sign * p.active)::bigint, sum(sign * p.completed)::bigint,
            sum(sign * p.failed)::bigint, sum(sign * p.escalated)::bigint, sum(sign * p.inbound)::bigint,
            sum(sign * p.inbound_completed)::bigint, sum(sign * p.inbound_escalated)::bigint,
            sum(sign * p.duration_sum)::bigint, sum(sign * p.duration_count)::bigint, sum(sign * p.scored)::bigint,
            sum(sign * p.overall_sum)::bigint, sum(sign * p.sentiment_sum)::bigint,
            sum(sign * p.compliance_sum)::bigint, sum(sign * p.accuracy_sum)::bigint,
            sum(sign * p.professionalism_sum)::bigint, sum(sign * p.excellent)::bigint, sum(sign * p.good)::bigint,
            sum(sign * p.fair)::bigint, sum(sign * p.poor)::bigint, sum(sign * p.positive)::bigint,
            sum(sign * p.neutral)::bigint, sum(sign * p.negative)::bigint, sum(sign * p.felt)::bigint,
            sum(sign * p.mood_sum)::bigint, sum(sign * p.mood_squares)::bigint, sum(sign * p.felt_escalated)::bigint,
            sum(sign * p.mood_escalated_sum)::bigint, sum(sign * p.pairs)::bigint,
            sum(sign * p.pair_mood_sum)::bigint, sum(sign * p.pair_mood_squares)::bigint,
            sum(sign * p.pair_overall_sum)::bigint, sum(sign * p.pair_overall_squares)::bigint,
            sum(sign * p.pair_products)::bigint, sum(sign * p.escalations)::bigint,
            sum(sign * p.escalations_pending)::bigint, sum(sign * p.escalations_in_progress)::bigint,
            sum(sign * p.escalations_completed)::bigint, sum(sign * p.escalations_cancelled)::bigint,
            sum(sign * p.resolution_sum)::bigint, sum(sign * p.resolution_count)::bigint
        FROM (
            SELECT 1 AS sign, part.* FROM call_part(NEW) part WHERE TG_OP <> 'DELETE'
            UNION ALL
            SELECT -1, part.* FROM call_part(OLD) part WHERE TG_OP <> 'INSERT'
        ) p CROSS JOIN LATERAL (VALUES
            (p.workspace_id, 'day', p.day, p.business_id, p.direction, p.outcome),
            (p.workspace_id, 'hour', p.hour, p.business_id, '', ''),
            (nobody, 'day', p.day, nobody, '', ''),
            (nobody, 'hour', p.hour, nobody, '', '')
        ) g (workspace_id, grain, bucket, business_id, direction, outcome)
        GROUP BY g.workspace_id, g.grain, g.bucket, g.business_id, g.direction, g.outcome
        ON CONFLICT (workspace_id, grain, bucket, business_id, direction, outcome, shard) DO UPDATE SET
            total = r.total + excluded.total, active = r.active + excluded.active,
            completed = r.completed + excluded.completed, failed = r.failed + excluded.failed,
            escalated = r.escalated + excluded.escalated, inbound = r.inbound + excluded.inbound,
            inbound_completed = r.inbound_completed + excluded.inbound_completed,
            inbound_escalated = r.inbound_escalated + excluded.inbound_escalated,
            duration_sum = r.duration_sum + excluded.duration_sum,
            duration_count = r.duration_count + excluded.duration_count, scored = r.scored + excluded.scored,
            overall_sum = r.overall_sum + excluded.overall_sum,
            sentiment_sum = r.sentiment_sum + excluded.sentiment_sum,
            compliance_sum = r.compliance_sum + excluded.compliance_sum,
            accuracy_sum = r.accuracy_sum + excluded.accuracy_sum,
            professionalism_sum = r.professionalism_sum + excluded.professionalism_sum,
            excellent = r.excellent + excluded.excellent, good = r.good + excluded.good,
            fair = r.fair + excluded.fair, poor = r.poor + excluded.poor, positive = r.positive + excluded.positive,
            neutral = r.neutral + excluded.neutral, negative = r.negative + excluded.negative,
            felt = r.felt + excluded.felt, mood_sum = r.mood_sum + excluded.mood_sum,
            mood_squares = r.mood_squares + excluded.mood_squares,
            felt_escalated = r.felt_escalated + excluded.felt_escalated,
            mood_escalated_sum = r.mood_escalated_sum + excluded.mood_escalated_sum, pairs = r.pairs + excluded.pairs,
            pair_mood_sum = r.pair_mood_sum + excluded.pair_mood_sum,
            pair_mood_squares = r.pair_mood_squares + excluded.pair_mood_squares,
            pair_overall_sum = r.pair_overall_sum + excluded.pair_overall_sum,
            pair_overall_squares = r.pair_overall_squares + excluded.pair_overall_squares,
            pair_products = r.pair_products + excluded.pair_products,
            escalations = r.escalations + excluded.escalations,
            escalations_pending = r.escalations_pending + excluded.escalations_pending,
            escalations_in_progress = r.escalations_in_progress + excluded.escalations_in_progress,
            escalations_completed = r.escalations_completed + excluded.escalations_completed,
            escalations_cancelled = r.escalations_cancelled + excluded.escalations_cancelled,
            resolution_sum = r.resolution_sum + excluded.resolution_sum,
            resolution_count = r.resolution_count + excluded.resolution_count;
    END IF;
    IF moved OR (OLD.issues, OLD.triggers) IS DISTINCT FROM (NEW.issues, NEW.triggers) THEN
        own := rollup_shard();
        INSERT INTO rollup_items AS r (workspace_id, grain, bucket, business_id, kind, item, shard, count)
        SELECT g.workspace_id, g.grain, g.bucket, g.business_id, p.kind, p.item, own, sum(sign)
        FROM (
            SELECT 1 AS sign, part.* FROM call_items(NEW) part WHERE TG_OP <> 'DELETE'
            UNION ALL
            SELECT -1, part.* FROM call_items(OLD) part WHERE TG_OP <> 'INSERT'
        ) p CROSS JOIN LATERAL (VALUES
            (p.workspace_id, 'day', p.day, p.business_id), (p.workspace_id, 'hour', p.hour, p.business_id),
            (nobody, 'day', p.day, nobody), (nobody, 'hour', p.hour, nobody)
        ) g (workspace_id, grain, bucket, business_id)
        GROUP BY g.workspace_id, g.grain, g.bucket, g.business_id, p.kind, p.item
        HAVING sum(sign) <> 0
        ON CONFLICT (workspace_id, grain, bucket, business_id, kind, item, shard)
            DO UPDATE SET count = r.count + excluded.count;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_rollups AFTER INSERT OR UPDATE OR DELETE ON calls FOR EACH ROW EXECUTE FUNCTION keep_rollups();

-- Adds to everybody's sums (or takes out, sign = -1) what the rollups of a workspace, or of one business of it, hold.
CREATE FUNCTION add_to_everybody(sign bigint, workspace uuid, business uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO rollups AS r (workspace_id, grain, bucket, business_id, direction, outcome, shard,
        total, active, completed, failed, escalated, inbound, inbound_completed, inbound_escalated, duration_sum,
        duration_count, scored, overall_sum, sentiment_sum, compliance_sum, accuracy_sum, professionalism_sum,
        excellent, good, fair, poor, positive, neutral, negative, felt, mood_sum, mood_squares, felt_escalated,
        mood_escalated_sum, pairs, pair_mood_sum, pair_mood_squares, pair_overall_sum, pair_overall_squares,
        pair_products, escalations, escalations_pending, escalations_in_progress, escalations_completed,
        escalations_cancelled, resolution_sum, resolution_count)
    SELECT '00000000-0000-0000-0000-000000000000', p.grain, p.bucket, '00000000-0000-0000-0000-000000000000', '', '', 0,
        sign * sum(p.total), sign * sum(p.active), sign * sum(p.completed), sign * sum(p.failed),
        sign * sum(p.escalated), sign * sum(p.inbound), sign * sum(p.inbound_completed),
        sign * sum(p.inbound_escalated), sign * sum(p.duration_sum), sign * sum(p.duration_count),
        sign * sum(p.scored), sign * sum(p.overall_sum), sign * sum(p.sentiment_sum), sign * sum(p.compliance_sum),
        sign * sum(p.accuracy_sum), sign * sum(p.professionalism_sum), sign * sum(p.excellent), sign * sum(p.good),
        sign * sum(p.fair), sign * sum(p.poor), sign * sum(p.positive), sign * sum(p.neutral), sign * sum(p.negative),
        sign * sum(p.felt), sign * sum(p.mood_sum), sign * sum(p.mood_squares), sign * sum(p.felt_escalated),
        sign * sum(p.mood_escalated_sum), sign * sum(p.pairs), sign * sum(p.pair_mood_sum),
        sign * sum(p.pair_mood_squares), sign * sum(p.pair_overall_sum), sign * sum(p.pair_overall_squares),
        sign * sum(p.pair_products), sign * sum(p.escalations), sign * sum(p.escalations_pending),
        sign * sum(p.escalations_in_progress), sign * sum(p.escalations_completed),
        sign * sum(p.escalations_cancelled), sign * sum(p.resolution_sum), sign * sum(p.resolution_count)
    FROM rollups p WHERE p.workspace_id <> '00000000-0000-0000-0000-000000000000'
        AND (workspace IS NULL OR p.workspace_id = workspace) AND (business IS NULL OR p.business_id = business)
    GROUP BY p.grain, p.bucket
    ON CONFLICT (workspace_id, grain, bucket, business_id, direction, outcome, shard) DO UPDATE SET
        total = r.total + excluded.total, active = r.active + excluded.active,
        completed = r.completed + excluded.completed, failed = r.failed + excluded.failed,
        escalated = r.escalated + excluded.escalated, inbound = r.inbound + excluded.inbound,
        inbound_completed = r.inbound_completed + excluded.inbound_completed,
        inbound_escalated = r.inbound_escalated + excluded.inbound_escalated,
        duration_sum = r.duration_sum + excluded.duration_sum,
        duration_count = r.duration_count + excluded.duration_count, scored = r.scored + excluded.scored,
        overall_sum = r.overall_sum + excluded.overall_sum, sentiment_sum = r.sentiment_sum + excluded.sentiment_sum,
        compliance_sum = r.compliance_sum + excluded.compliance_sum,
        accuracy_sum = r.accuracy_sum + excluded.accuracy_sum,
        professionalism_sum = r.professionalism_sum + excluded.professionalism_sum,
        excellent = r.excellent + excluded.excellent, good = r.good + excluded.good, fair = r.fair + excluded.fair,
        poor = r.poor + excluded.poor, positive = r.positive + excluded.positive,
        neutral = r.neutral + excluded.neutral, negative = r.negative + excluded.negative,
        felt = r.felt + excluded.felt, mood_sum = r.mood_sum + excluded.mood_sum,
        mood_squares = r.mood_squares + excluded.mood_squares,
        felt_escalated = r.felt_escalated + excluded.felt_escalated,
        mood_escalated_sum = r.mood_escalated_sum + excluded.mood_escalated_sum, pairs = r.pairs + excluded.pairs,
        pair_mood_sum = r.pair_mood_sum + excluded.pair_mood_sum,
        pair_mood_squares = r.pair_mood_squares + excluded.pair_mood_squares,
        pair_overall_sum = r.pair_overall_sum + excluded.pair_overall_sum,
        pair_overall_squares = r.pair_overall_squares + excluded.pair_overall_squares,
        pair_products = r.pair_products + excluded.pair_products, escalations = r.escalations + excluded.escalations,
        escalations_pending = r.escalations_pending + excluded.escalations_pending,
        escalations_in_progress = r.escalations_in_progress + excluded.escalations_in_progress,
        escalations_completed = r.escalations_completed + excluded.escalations_completed,
        escalations_cancelled = r.escalations_cancelled + excluded.escalations_cancelled,
        resolution_sum = r.resolution_sum + excluded.resolution_sum,
        resolution_count = r.resolution_count + excluded.resolution_count
$$;
CREATE FUNCTION add_items_to_everybody(sign bigint, workspace uuid, business uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO rollup_items AS r (workspace_id, grain, bucket, business_id, kind, item, shard, count)
    SELECT '00000000-0000-0000-0000-000000000000', p.grain, p.bucket, '00000000-0000-0000-0000-000000000000', p.kind,
        p.item, 0, sign * sum(p.count)
    FROM rollup_items p WHERE p.workspace_id <> '00000000-0000-0000-0000-000000000000'
        AND (workspace IS NULL OR p.workspace_id = workspace) AND (business IS NULL OR p.business_id = business)
    GROUP BY p.grain, p.bucket, p.kind, p.item
    ON CONFLICT (workspace_id, grain, bucket, business_id, kind, item, shard)
        DO UPDATE SET count = r.count + excluded.count
$$;

-- From nothing, in one statement each: for the calls that are there already, and for generated ones. In the order of
-- time, as they come to be when they are kept by events, so that the rows of a range lie together.
CREATE FUNCTION rebuild_rollups() RETURNS void LANGUAGE sql AS $$
    TRUNCATE rollups, rollup_items;
    INSERT INTO rollups (workspace_id, grain, bucket, business_id, direction, outcome, shard,
        total, active, completed, failed, escalated, inbound, inbound_completed, inbound_escalated, duration_sum,
        duration_count, scored, overall_sum, sentiment_sum, compliance_sum, accuracy_sum, professionalism_sum,
        excellent, good, fair, poor, positive, neutral, negative, felt, mood_sum, mood_squares, felt_escalated,
        mood_escalated_sum, pairs, pair_mood_sum, pair_mood_squares, pair_overall_sum, pair_overall_squares,
        pair_products, escalations, escalations_pending, escalations_in_progress, escalations_completed,
        escalations_cancelled, resolution_sum, resolution_count)
    SELECT p.workspace_id, g.grain, g.bucket, p.business_id, g.direction, g.outcome, 0,
        sum(p.total), sum(p.active), sum(p.completed), sum(p.failed), sum(p.escalated), sum(p.inbound),
        sum(p.inbound_completed), sum(p.inbound_escalated), sum(p.duration_sum), sum(p.duration_count), sum(p.scored),
        sum(p.overall_sum), sum(p.sentiment_sum), sum(p.compliance_sum), sum(p.accuracy_sum),
        sum(p.professionalism_sum), sum(p.excellent), sum(p.good), sum(p.fair), sum(p.poor), sum(p.positive),
        sum(p.neutral), sum(p.negative), sum(p.felt), sum(p.mood_sum), sum(p.mood_squares), sum(p.felt_escalated),
        sum(p.mood_escalated_sum), sum(p.pairs), sum(p.pair_mood_sum), sum(p.pair_mood_squares),
        sum(p.pair_overall_sum), sum(p.pair_overall_squares), sum(p.pair_products), sum(p.escalations),
        sum(p.escalations_pending), sum(p.escalations_in_progress), sum(p.escalations_completed),
        sum(p.escalations_cancelled), sum(p.resolution_sum), sum(p.resolution_count)
    FROM call_parts p CROSS JOIN LATERAL (VALUES ('day', p.day, p.direction, p.outcome), ('hour', p.hour, '', ''))
        g (grain, bucket, direction, outcome)
    GROUP BY p.workspace_id, g.grain, g.bucket, p.business_id, g.direction, g.outcome
    ORDER BY g.bucket, p.workspace_id;
    SELECT add_to_everybody(1, NULL, NULL);
    INSERT INTO rollup_items (workspace_id, grain, bucket, business_id, kind, item, shard, count)
    SELECT p.workspace_id, g.grain, g.bucket, p.business_id, p.kind, p.item, 0, count(*)
    FROM call_item_parts p CROSS JOIN LATERAL (VALUES ('day', p.day), ('hour', p.hour)) g (grain, bucket)
    GROUP BY p.workspace_id, g.grain, g.bucket, p.business_id, p.kind, p.item
    ORDER BY g.bucket, p.workspace_id;
    SELECT add_items_to_everybody(1, NULL, NULL);
$$;

-- Escalations in numbers, on their call. The row's lock comes before the count, so that the count is not older than the
-- row. An escalation that finds no call waits for the calls being inserted right now (they share a lock, one for all of
-- them) and looks again: so of a call and its escalation that arrive at once, the later sees the earlier.
CREATE FUNCTION count_escalations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    call uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.call_id ELSE NEW.call_id END;
BEGIN
    PERFORM FROM calls WHERE call_id = call FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM pg_advisory_xact_lock(20776, 8);
        PERFORM FROM calls WHERE call_id = call FOR UPDATE;
        IF NOT FOUND THEN RETURN NULL; END IF;
    END IF;
    UPDATE calls SET escalated = calls.escalated OR e.escalations > 0, escalations = e.escalations,
        escalations_pending = e.pending, escalations_in_progress = e.in_progress,
        escalations_completed = e.completed, escalations_cancelled = e.cancelled,
        resolution_microseconds = e.microseconds, resolutions = e.resolutions, triggers = e.triggers
    FROM escalations_of(call) e WHERE call_id = call;
    RETURN NULL;
END
$$;

CREATE FUNCTION escalations_of(call uuid) RETURNS TABLE (
    escalations bigint, pending bigint, in_progress bigint, completed bigint, cancelled bigint, microseconds bigint,
    resolutions bigint, triggers text[]
) LANGUAGE sql STABLE AS $$
    SELECT count(*), count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'in_progress'),
        count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'cancelled'),
        coalesce(sum(round(extract(epoch FROM completed_at - requested_at) * 1000000))
            FILTER (WHERE status = 'completed'), 0)::bigint,
        count(completed_at) FILTER (WHERE status = 'completed'),
        coalesce(array_agg(trigger_type ORDER BY id), '{}')
    FROM escalations WHERE call_id = call
$$;
CREATE TRIGGER count_escalations AFTER INSERT OR UPDATE OR DELETE ON escalations
    FOR EACH ROW EXECUTE FUNCTION count_escalations();

CREATE FUNCTION take_early_escalations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(20776, 8);
    SELECT * INTO e FROM escalations_of(NEW.call_id);
    IF e.escalations > 0 THEN
        NEW.escalated := true;
        NEW.escalations := e.escalations;
        NEW.escalations_pending := e.pending;
        NEW.escalations_in_progress := e.in_progress;
        NEW.escalations_completed := e.completed;
        NEW.escalations_cancelled := e.cancelled;
        NEW.resolution_microseconds := e.microseconds;
        NEW.resolutions := e.resolutions;
        NEW.triggers := e.triggers;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER take_early_escalations BEFORE INSERT ON calls
    FOR EACH ROW EXECUTE FUNCTION take_early_escalations();

-- A score, whoever writes or corrects it, shows in its call. A corrected sentiment moves the mood with it.
CREATE FUNCTION show_score() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Where nobody spoke there is nothing to judge: such a score counts in no average and no distribution.
    IF TG_OP <> 'DELETE' AND NEW.findings @> '[{"code": "nobody_spoke"}]' AND NEW.reviewed_by = 'automatic' THEN
        UPDATE calls SET overall = NULL, sentiment = NULL, compliance = NULL, accuracy = NULL, professionalism = NULL,
            mood = NULL, mood_label = NULL, issues = '{}' WHERE call_id = NEW.call_id;
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        UPDATE calls SET overall = NULL, sentiment = NULL, compliance = NULL, accuracy = NULL, professionalism = NULL,
            issues = '{}' WHERE call_id = OLD.call_id;
        RETURN NULL;
    END IF;
    UPDATE calls SET overall = NEW.overall, sentiment = NEW.sentiment, compliance = NEW.compliance,
        accuracy = NEW.accuracy, professionalism = NEW.professionalism, mood_label = NEW.sentiment_label,
        mood = CASE WHEN abs((mood + 1) / 2 - NEW.sentiment) < 1e-9 THEN mood ELSE 2 * NEW.sentiment - 1 END,
        issues = issue_codes(NEW.findings)
    WHERE call_id = NEW.call_id;
    RETURN NULL;
END
$$;
CREATE FUNCTION issue_codes(findings jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(DISTINCT coalesce(finding ->> 'code', 'other')), '{}')
    FROM jsonb_array_elements(findings) finding
$$;
CREATE TRIGGER show_score AFTER INSERT OR UPDATE OR DELETE ON qa_scores FOR EACH ROW EXECUTE FUNCTION show_score();

-- Removing: a call takes its numbers out of the sums; of a business or a workspace the sums go with the calls. Whoever
-- erases holds all shards, so nothing is added in between.
CREATE FUNCTION erase_call(call uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM utterances WHERE call_id = call;
    DELETE FROM calls WHERE call_id = call;
    DELETE FROM escalations WHERE call_id = call;
$$;

CREATE FUNCTION erase_calls(workspace uuid, business uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR shard IN 0..7 LOOP PERFORM pg_advisory_xact_lock(20776, shard); END LOOP;
    PERFORM set_config('rollups.erasing', 'on', true);
    DELETE FROM utterances u USING calls c WHERE c.call_id = u.call_id AND c.workspace_id = workspace
        AND (business IS NULL OR c.business_id = business);
    DELETE FROM escalations e USING calls c WHERE c.call_id = e.call_id AND c.workspace_id = workspace
        AND (business IS NULL OR c.business_id = business);
    DELETE FROM calls c WHERE c.workspace_id = workspace AND (business IS NULL OR c.business_id = business);
    PERFORM add_to_everybody(-1, workspace, business), add_items_to_everybody(-1, workspace, business);
    DELETE FROM rollups r WHERE r.workspace_id = workspace AND (business IS NULL OR r.business_id = business);
    DELETE FROM rollup_items r WHERE r.workspace_id = workspace AND (business IS NULL OR r.business_id = business);
    PERFORM set_config('rollups.erasing', '', true);
END
$$;
CREATE FUNCTION erase_workspace(id uuid) RETURNS void LANGUAGE sql AS $$ SELECT erase_calls(id, NULL) $$;
CREATE FUNCTION erase_business(workspace uuid, id uuid) RETURNS void LANGUAGE sql AS $$
    SELECT erase_calls(workspace, id)
$$;

-- The first instant of a local day. Where clocks are set back over midnight (America/Havana) midnight comes twice, and
-- the day begins with the first.
CREATE FUNCTION local_start(local timestamp, zone text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN (local AT TIME ZONE zone - interval '1 hour') AT TIME ZONE zone = local
        THEN local AT TIME ZONE zone - interval '1 hour' ELSE local AT TIME ZONE zone END
$$;

-- The calls that are there already. Summed up afterwards, all at once.
SELECT set_config('rollups.erasing', 'on', true);
UPDATE calls c SET sentiment = s.sentiment, compliance = s.compliance, accuracy = s.accuracy,
    professionalism = s.professionalism, issues = issue_codes(s.findings)
FROM qa_scores s WHERE s.call_id = c.call_id AND NOT s.findings @> '[{"code": "nobody_spoke"}]';
SELECT rebuild_rollups();
SELECT set_config('rollups.erasing', '', true);
