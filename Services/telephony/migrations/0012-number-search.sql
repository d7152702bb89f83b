-- Calls by the first or the last digits of a number, from the index alone: docs/decisions/0028.

-- Digits from the left, filled up to the fifteen a number has at most, and how many there were. What begins with some digits is
-- then one range of numbers. Nothing that is not a phone number (`client:…`, `anonymous`) has a place.
CREATE FUNCTION digits_place(digits text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN digits ~ '^[0-9]{1,15}$' THEN rpad(digits, 15, '0')::bigint * 16 + length(digits) END
$$;

DROP INDEX calls_from_first, calls_from_last, calls_to_first, calls_to_last;

-- Writes the table anew: where there are millions of calls already, a VACUUM afterwards spares their first readers a look at it.
ALTER TABLE calls
    ADD COLUMN from_head bigint GENERATED ALWAYS AS (digits_place(ltrim(from_number, '+'))) STORED,
    ADD COLUMN from_tail bigint GENERATED ALWAYS AS (digits_place(reverse(ltrim(from_number, '+')))) STORED,
    ADD COLUMN to_head bigint GENERATED ALWAYS AS (digits_place(ltrim(to_number, '+'))) STORED,
    ADD COLUMN to_tail bigint GENERATED ALWAYS AS (digits_place(reverse(ltrim(to_number, '+')))) STORED;

-- By workspace first: however many calls others have had with such numbers, nobody reads them but whoever sees all.
CREATE INDEX calls_workspace_from_head ON calls (workspace_id, from_head)
    INCLUDE (kind, started_at, duration_seconds, qa_score, business_id, id);
CREATE INDEX calls_workspace_from_tail ON calls (workspace_id, from_tail)
    INCLUDE (kind, started_at, duration_seconds, qa_score, business_id, id);
CREATE INDEX calls_workspace_to_head ON calls (workspace_id, to_head)
    INCLUDE (kind, started_at, duration_seconds, qa_score, business_id, id);
CREATE INDEX calls_workspace_to_tail ON calls (workspace_id, to_tail)
    INCLUDE (kind, started_at, duration_seconds, qa_score, business_id, id);
ANALYZE calls;
