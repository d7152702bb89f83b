-- 'basic' stands for all requests with HTTP Basic of one person: it has no refresh tokens, but it can be seen and ended
-- like any other session.
ALTER TABLE sessions ADD COLUMN kind text NOT NULL DEFAULT 'login' CHECK (kind IN ('login', 'basic'));
-- Has this person been here before? Asked at every log-in.
CREATE INDEX sessions_by_place ON sessions (user_id, address);

-- One-use links that went out by mail.
CREATE TABLE links (
    -- SHA-256 of what the link carries.
    digest bytea PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('verify', 'reset')),
    -- NULL: somebody asked for an address nobody has. Written all the same, so that both take as long.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    -- The address it went to: it proves that one and no later one.
    email_folded text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX links_by_user ON links (user_id, kind, created_at);
CREATE INDEX links_by_expiry ON links (expires_at);

-- Mails that have not gone out yet. Written with what caused them; taken away when the mail server has them.
CREATE TABLE mails (
    id uuid PRIMARY KEY,
    -- NULL: to an address nobody has; never sent.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    -- Recipient, subject and text, sealed with SECRET_KEY: links inside open accounts.
    sealed bytea NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    -- After this it would be of no use.
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mails_due ON mails (next_at);

-- A second factor (RFC 6238). Counts once it is confirmed.
CREATE TABLE totp (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    -- The shared secret, sealed with SECRET_KEY.
    sealed bytea NOT NULL,
    confirmed_at timestamptz,
    -- The 30 seconds of the last code taken: none of them or before counts again.
    last_step bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    digest bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, digest)
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    -- SHA-256: the key itself has 192 random bits, so nothing slower is needed.
    digest bytea NOT NULL UNIQUE,
    -- Its first characters, to tell keys apart by.
    prefix text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_keys_by_user ON api_keys (user_id, created_at);
