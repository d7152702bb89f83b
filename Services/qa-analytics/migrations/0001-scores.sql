-- One row per call as analytics needs it, written only from events; `version` is telephony's, so an older event never
-- overwrites a newer one.
CREATE TABLE calls (
    call_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    business_id uuid,
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    status text NOT NULL,
    failure_reason text,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    duration_seconds bigint,
    escalated boolean NOT NULL DEFAULT false,
    mood double precision,
    mood_label text,
    overall double precision,
    outcome text,
    version bigint NOT NULL DEFAULT 0
);
-- The raw edges of a range that cuts a day, per tenant.
CREATE INDEX calls_by_start ON calls (workspace_id, started_at);
CREATE INDEX calls_by_start_all ON calls (started_at);

-- What was said, kept until the call is scored and for a person who reviews the score.
CREATE TABLE utterances (
    call_id uuid NOT NULL,
    interaction_id bigint NOT NULL,
    sequence bigint NOT NULL,
    speaker text NOT NULL CHECK (speaker IN ('ai', 'customer')),
    text text NOT NULL,
    score double precision NOT NULL,
    citations integer NOT NULL DEFAULT 0,
    unanswered boolean NOT NULL DEFAULT false,
    PRIMARY KEY (call_id, sequence)
);

CREATE TABLE qa_scores (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id uuid NOT NULL UNIQUE REFERENCES calls ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    overall double precision NOT NULL CHECK (overall BETWEEN 0 AND 1),
    sentiment double precision NOT NULL CHECK (sentiment BETWEEN 0 AND 1),
    compliance double precision NOT NULL CHECK (compliance BETWEEN 0 AND 1),
    accuracy double precision NOT NULL CHECK (accuracy BETWEEN 0 AND 1),
    professionalism double precision NOT NULL CHECK (professionalism BETWEEN 0 AND 1),
    sentiment_label text NOT NULL CHECK (sentiment_label IN ('positive', 'neutral', 'negative')),
    -- [{"area","code","reason","evidence":[interaction ids],"deduction"}]
    findings jsonb NOT NULL DEFAULT '[]',
    reviewed_by text NOT NULL DEFAULT 'automatic',
    review_notes text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Sums per tenant, business, direction and UTC day. A call adds its numbers when it changes and takes its old ones back
-- in the same statement, so the rollup equals the rows at every commit. No business is the nil UUID: a key column cannot
-- be null and still be one key.
CREATE TABLE calls_daily (
    workspace_id uuid NOT NULL,
    day date NOT NULL,
    business_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    direction text NOT NULL,
    total bigint NOT NULL DEFAULT 0,
    active bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    escalated bigint NOT NULL DEFAULT 0,
    duration_sum bigint NOT NULL DEFAULT 0,
    duration_count bigint NOT NULL DEFAULT 0,
    -- Millionths, so that adding and taking back leaves nothing behind.
    overall_sum bigint NOT NULL DEFAULT 0,
    overall_count bigint NOT NULL DEFAULT 0,
    positive bigint NOT NULL DEFAULT 0,
    neutral bigint NOT NULL DEFAULT 0,
    negative bigint NOT NULL DEFAULT 0,
    excellent bigint NOT NULL DEFAULT 0,
    good bigint NOT NULL DEFAULT 0,
    fair bigint NOT NULL DEFAULT 0,
    poor bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, day, business_id, direction)
);
CREATE INDEX calls_daily_by_day ON calls_daily (day);

-- The one place that says what a call adds to the sums; the raw edges of a range are summed by the same function.
CREATE FUNCTION call_part(call calls) RETURNS calls_daily LANGUAGE sql IMMUTABLE AS $$
    SELECT call.workspace_id,
        (call.started_at AT TIME ZONE 'UTC')::date,
        coalesce(call.business_id, '00000000-0000-0000-0000-000000000000'::uuid),
        call.direction,
        1::bigint,
        (call.status NOT IN ('completed', 'failed'))::int::bigint,
        (call.status = 'completed')::int::bigint,
        (call.status = 'failed')::int::bigint,
        call.escalated::int::bigint,
        coalesce(call.duration_seconds, 0)::bigint,
        (call.duration_seconds IS NOT NULL)::int::bigint,
        coalesce(round(call.overall * 1000000), 0)::bigint,
        (call.overall IS NOT NULL)::int::bigint,
        coalesce(call.mood_label = 'positive', false)::int::bigint,
        coalesce(call.mood_label = 'neutral', false)::int::bigint,
        coalesce(call.mood_label = 'negative', false)::int::bigint,
        coalesce(call.overall >= 0.8, false)::int::bigint,
        coalesce(call.overall >= 0.6 AND call.overall < 0.8, false)::int::bigint,
        coalesce(call.overall >= 0.4 AND call.overall < 0.6, false)::int::bigint,
        coalesce(call.overall < 0.4, false)::int::bigint
$$;

-- A trigger rather than a statement in each handler: no write to `calls` can forget the sums.
CREATE FUNCTION add_to_daily(part calls_daily, sign bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO calls_daily AS d VALUES (
        part.workspace_id, part.day, part.business_id, part.direction,
        sign * part.total, sign * part.active, sign * part.completed, sign * part.failed, sign * part.escalated,
        sign * part.duration_sum, sign * part.duration_count, sign * part.overall_sum, sign * part.overall_count,
        sign * part.positive, sign * part.neutral, sign * part.negative,
        sign * part.excellent, sign * part.good, sign * part.fair, sign * part.poor)
    ON CONFLICT (workspace_id, day, business_id, direction) DO UPDATE SET
        total = d.total + excluded.total, active = d.active + excluded.active,
        completed = d.completed + excluded.completed, failed = d.failed + excluded.failed,
        escalated = d.escalated + excluded.escalated,
        duration_sum = d.duration_sum + excluded.duration_sum,
        duration_count = d.duration_count + excluded.duration_count,
        overall_sum = d.overall_sum + excluded.overall_sum, overall_count = d.overall_count + excluded.overall_count,
        positive = d.positive + excluded.positive, neutral = d.neutral + excluded.neutral,
        negative = d.negative + excluded.negative,
        excellent = d.excellent + excluded.excellent, good = d.good + excluded.good,
        fair = d.fair + excluded.fair, poor = d.poor + excluded.poor
$$;

CREATE FUNCTION keep_daily() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        IF TG_OP = 'UPDATE' AND call_part(OLD) IS NOT DISTINCT FROM call_part(NEW) THEN RETURN NULL; END IF;
        PERFORM add_to_daily(call_part(OLD), -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM add_to_daily(call_part(NEW), 1);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_daily AFTER INSERT OR UPDATE OR DELETE ON calls FOR EACH ROW EXECUTE FUNCTION keep_daily();
