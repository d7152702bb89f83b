-- Reports that take long: asked for, made by whichever replica is free, kept for a day. What a dead replica had under
-- way is begun anew by another once its heartbeat is old.
CREATE TABLE report_jobs (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    -- Whose calls the report may show; null is everybody's (an admin's report).
    workspaces uuid[],
    request jsonb NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    -- Percent.
    progress integer NOT NULL DEFAULT 0,
    -- Who has it under way: another one's writes are refused.
    owner uuid,
    attempts integer NOT NULL DEFAULT 0,
    heartbeat_at timestamptz,
    size bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX report_jobs_open ON report_jobs (created_at) WHERE status IN ('queued', 'running');
CREATE INDEX report_jobs_by_age ON report_jobs (created_at);

-- The file in pieces, so that neither writing nor sending it takes memory.
CREATE TABLE report_parts (
    job_id uuid NOT NULL REFERENCES report_jobs ON DELETE CASCADE,
    part integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (job_id, part)
);
