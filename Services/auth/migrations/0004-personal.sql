-- What people set up for themselves: only what differs from the defaults, so that a better default reaches everybody who
-- never chose.
CREATE TABLE user_settings (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    version bigint NOT NULL DEFAULT 0,
    changes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(changes) = 'object'),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Pictures as they are served. The name is made of what is in it and whose it is, so it never names anything else.
CREATE TABLE avatars (
    name text PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    side integer NOT NULL,
    bytes bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX avatars_by_user ON avatars (user_id);

-- Accounts that are to be deleted unless their people come back.
CREATE TABLE deletions (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    requested_at timestamptz NOT NULL DEFAULT now(),
    deletes_at timestamptz NOT NULL
);
CREATE INDEX deletions_due ON deletions (deletes_at);

-- What every program was asked to erase, and which have said that they have. Ids and numbers only: this is what is left of
-- somebody who has gone.
CREATE TABLE erasure_requests (
    kind text NOT NULL CHECK (kind IN ('user', 'workspace')),
    id uuid NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    asked_at timestamptz NOT NULL DEFAULT now(),
    asks integer NOT NULL DEFAULT 1,
    finished_at timestamptz,
    -- {"telephony": {"counts": {…}, "at": "…"}}
    reports jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (kind, id)
);
CREATE INDEX erasure_requests_listed ON erasure_requests (requested_at DESC, id DESC);
CREATE INDEX erasure_requests_open ON erasure_requests (asked_at) WHERE finished_at IS NULL;

-- Archives of what the programs hold of somebody.
CREATE TABLE exports (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'ready', 'failed')),
    progress integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    attempts integer NOT NULL DEFAULT 0,
    size bigint,
    -- Another replica is at it until then, or has died.
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    expires_at timestamptz
);
-- One at a time for each person.
CREATE UNIQUE INDEX exports_under_way ON exports (user_id) WHERE state IN ('waiting', 'running');
CREATE INDEX exports_by_user ON exports (user_id, created_at DESC);
CREATE INDEX exports_open ON exports (leased_until) WHERE state IN ('waiting', 'running');
CREATE INDEX exports_by_expiry ON exports (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE export_chunks (
    export_id uuid NOT NULL REFERENCES exports ON DELETE CASCADE,
    position integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (export_id, position)
);
-- They are compressed already.
ALTER TABLE export_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Invitations go with the address they were sent to.
CREATE INDEX invitations_by_email ON invitations (email_folded);
