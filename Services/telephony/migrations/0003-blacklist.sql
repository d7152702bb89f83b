-- Numbers nobody here talks to, as auth tells of them (`auth.blacklist`). A span of numbers filled up to 15 digits, so that
-- "is this one covered" is one look into the index.
CREATE TABLE blocked_numbers (
    id uuid PRIMARY KEY,
    -- null: for every workspace.
    workspace_id uuid,
    numbers int8range NOT NULL,
    digits int4range NOT NULL,
    -- From then on it blocks nothing; nobody tells us of that moment.
    expires_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX blocked_numbers_covering ON blocked_numbers USING gist (numbers);
CREATE INDEX blocked_numbers_by_workspace ON blocked_numbers (workspace_id) WHERE workspace_id IS NOT NULL;
CREATE INDEX blocked_numbers_by_end ON blocked_numbers (expires_at) WHERE expires_at IS NOT NULL;

-- Entries that were lifted, so that a record of before, read again, does not bring one back.
CREATE TABLE lifted_numbers (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);

-- What the figures of a workspace count.
CREATE INDEX ai_agents_statuses ON ai_agents (workspace_id, status);
CREATE INDEX human_agents_counted ON human_agents (workspace_id, is_active, is_available);
