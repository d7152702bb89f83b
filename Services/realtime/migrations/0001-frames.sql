-- Frame ids grow in commit order: the one row of `head` is locked by the transaction that takes the next id, so a reader
-- who has seen id N has seen every id below it. That is what lets a browser resume with one number.
CREATE TABLE head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    last bigint NOT NULL
);
INSERT INTO head (last) VALUES (0);

CREATE TABLE frames (
    id bigint PRIMARY KEY,
    workspace_id uuid NOT NULL,
    event text NOT NULL,
    call_id uuid,
    audience text NOT NULL,
    at timestamptz NOT NULL,
    -- The frame's `data`, byte for byte as it goes to the browser.
    data text NOT NULL
);
CREATE INDEX frames_by_workspace ON frames (workspace_id, id);

-- How much each workspace keeps, and up to which id its oldest frames are gone.
CREATE TABLE streams (
    workspace_id uuid PRIMARY KEY,
    kept bigint NOT NULL DEFAULT 0,
    gone_to bigint NOT NULL DEFAULT 0
);
CREATE INDEX streams_by_kept ON streams (kept);
