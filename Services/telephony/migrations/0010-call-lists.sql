-- Lists of calls that cost the same however many there are, in any order and by any filter: docs/decisions/0023.

-- Status, direction and mood in one number, so that every combination of these filters is a handful of equal values and
-- each order needs one index. `CallKind` in Swift counts the same way. From 32 on a call is over.
ALTER TABLE calls ADD COLUMN kind smallint NOT NULL GENERATED ALWAYS AS (
    8 * (array_position(ARRAY['initiated', 'ringing', 'in_progress', 'escalated', 'completed', 'failed'], status) - 1)
    + 4 * (direction = 'outbound')::int
    + CASE sentiment WHEN 'negative' THEN 1 WHEN 'neutral' THEN 2 WHEN 'positive' THEN 3 ELSE 0 END) STORED;

-- Room beside a row for its next version: an utterance, a pause or a heartbeat then touches no index. A call that changed
-- is looked up in the table until it has been vacuumed, so that comes sooner than usual.
ALTER TABLE calls SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.01,
    autovacuum_analyze_scale_factor = 0.02);

DROP INDEX calls_by_start, calls_workspace_start, calls_workspace_status, calls_workspace_direction,
    calls_workspace_business, calls_workspace_sentiment, calls_workspace_duration, calls_workspace_qa, calls_by_duration,
    calls_by_qa, calls_by_business, calls_live, calls_live_by_workspace;

-- What else may be filtered or sorted by is in each, so that passing over a call does not read its row. Absent values sort below
-- every present one, in both directions.
CREATE INDEX calls_workspace_start ON calls (workspace_id, kind, started_at DESC, id DESC)
    INCLUDE (duration_seconds, business_id, qa_score);
CREATE INDEX calls_workspace_duration ON calls (workspace_id, kind, coalesce(duration_seconds, -1) DESC, id DESC)
    INCLUDE (duration_seconds, started_at, business_id, qa_score);
CREATE INDEX calls_workspace_qa ON calls (workspace_id, kind, coalesce(qa_score, -1) DESC, id DESC)
    INCLUDE (qa_score, started_at, duration_seconds, business_id);
-- For whoever sees all workspaces.
CREATE INDEX calls_start ON calls (kind, started_at DESC, id DESC) INCLUDE (duration_seconds, business_id, qa_score);
CREATE INDEX calls_duration ON calls (kind, coalesce(duration_seconds, -1) DESC, id DESC)
    INCLUDE (duration_seconds, started_at, business_id, qa_score);
CREATE INDEX calls_qa ON calls (kind, coalesce(qa_score, -1) DESC, id DESC)
    INCLUDE (qa_score, started_at, duration_seconds, business_id);
CREATE INDEX calls_business_start ON calls (business_id, kind, started_at DESC, id DESC)
    INCLUDE (workspace_id, duration_seconds, qa_score) WHERE business_id IS NOT NULL;
-- Those still going on: few, counted as they are.
CREATE INDEX calls_live ON calls (workspace_id, kind, started_at) INCLUDE (business_id)
    WHERE status IN ('initiated', 'ringing', 'in_progress', 'escalated');

-- How many calls that are over a workspace has: altogether (day '-infinity') and by UTC day of their start; with any
-- business (nil) and by business. Rows of the nil workspace are everybody's. `shard`: who writes holds one of the shards
-- until commit, so transactions never wait for each other's rows.
CREATE TABLE call_counts (
    workspace_id uuid NOT NULL,
    business_id uuid NOT NULL,
    day date NOT NULL,
    kind smallint NOT NULL,
    shard smallint NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (workspace_id, business_id, day, kind, shard)
)
-- No index entry changes when a count does.
WITH (fillfactor = 70);
-- For whoever sees all workspaces and asks for one business.
CREATE INDEX call_counts_by_business ON call_counts (business_id, day)
    WHERE business_id <> '00000000-0000-0000-0000-000000000000';

-- The first shard nobody holds; should all eight be taken, it waits for one of them.
CREATE FUNCTION call_counts_shard() RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    mine text := current_setting('call_counts.shard', true);
    lock_class CONSTANT int := 20777;
    shard smallint;
BEGIN
    IF mine <> '' THEN RETURN mine::smallint; END IF;
    FOR shard IN 0..7 LOOP
        IF pg_try_advisory_xact_lock(lock_class, shard) THEN
            PERFORM set_config('call_counts.shard', shard::text, true);
            RETURN shard;
        END IF;
    END LOOP;
    shard := pg_backend_pid() % 8;
    PERFORM pg_advisory_xact_lock(lock_class, shard), set_config('call_counts.shard', shard::text, true);
    RETURN shard;
END
$$;

-- The rows a call is counted in.
CREATE FUNCTION call_count_rows(workspace uuid, business uuid, started_at timestamptz)
RETURNS TABLE (workspace_id uuid, business_id uuid, day date) LANGUAGE sql IMMUTABLE AS $$
    SELECT w, b, d FROM (VALUES ('00000000-0000-0000-0000-000000000000'::uuid), (workspace)) AS workspaces (w),
        (VALUES ('00000000-0000-0000-0000-000000000000'::uuid), (business)) AS businesses (b),
        (VALUES (date '-infinity'), ((started_at AT TIME ZONE 'UTC')::date)) AS days (d)
    WHERE b IS NOT NULL
        -- Everybody's have no businesses: a business is one workspace's.
        AND (w = workspace OR b = '00000000-0000-0000-0000-000000000000')
$$;

CREATE FUNCTION count_call() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own smallint := call_counts_shard();
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.kind >= 32 THEN
        INSERT INTO call_counts AS n (workspace_id, business_id, day, kind, shard, calls)
        SELECT r.workspace_id, r.business_id, r.day, OLD.kind, own, -1
        FROM call_count_rows(OLD.workspace_id, OLD.business_id, OLD.started_at) AS r
        ON CONFLICT (workspace_id, business_id, day, kind, shard) DO UPDATE SET calls = n.calls - 1;
    END IF;
    IF NEW.kind >= 32 THEN
        INSERT INTO call_counts AS n (workspace_id, business_id, day, kind, shard, calls)
        SELECT r.workspace_id, r.business_id, r.day, NEW.kind, own, 1
        FROM call_count_rows(NEW.workspace_id, NEW.business_id, NEW.started_at) AS r
        ON CONFLICT (workspace_id, business_id, day, kind, shard) DO UPDATE SET calls = n.calls + 1;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_new_call AFTER INSERT ON calls FOR EACH ROW WHEN (NEW.kind >= 32) EXECUTE FUNCTION count_call();
CREATE TRIGGER count_changed_call AFTER UPDATE ON calls FOR EACH ROW
    WHEN (greatest(OLD.kind, NEW.kind) >= 32
        AND (OLD.kind, OLD.business_id, OLD.started_at) IS DISTINCT FROM (NEW.kind, NEW.business_id, NEW.started_at))
    EXECUTE FUNCTION count_call();

-- Calls are deleted by the thousand, when a workspace goes.
CREATE FUNCTION uncount_calls() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own smallint := call_counts_shard();
BEGIN
    INSERT INTO call_counts AS n (workspace_id, business_id, day, kind, shard, calls)
    SELECT r.workspace_id, r.business_id, r.day, c.kind, own, -count(*)
    FROM gone AS c, call_count_rows(c.workspace_id, c.business_id, c.started_at) AS r
    WHERE c.kind >= 32 GROUP BY 1, 2, 3, 4
    ON CONFLICT (workspace_id, business_id, day, kind, shard) DO UPDATE SET calls = n.calls + excluded.calls;
    RETURN NULL;
END
$$;
CREATE TRIGGER uncount_calls AFTER DELETE ON calls REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION uncount_calls();

-- From nothing: for the calls that are there already, and for generated ones.
CREATE FUNCTION rebuild_call_counts() RETURNS void LANGUAGE sql AS $$
    TRUNCATE call_counts;
    INSERT INTO call_counts (workspace_id, business_id, day, kind, shard, calls)
    SELECT r.workspace_id, r.business_id, r.day, c.kind, 0, sum(c.calls)
    FROM (SELECT workspace_id, business_id, kind, date_trunc('day', started_at, 'UTC') AS day, count(*) AS calls
            FROM calls WHERE kind >= 32 GROUP BY 1, 2, 3, 4) AS c,
        call_count_rows(c.workspace_id, c.business_id, c.day) AS r
    GROUP BY 1, 2, 3, 4
    -- As they come when they are kept by events.
    ORDER BY 3, 1, 2, 4;
$$;
SELECT rebuild_call_counts();
