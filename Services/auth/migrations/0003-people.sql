-- ── Finding people ──────────────────────────────────────────────────────────────────────────────────────────────────

-- As they are compared. Columns rather than expressions: only a column can be read from its index alone. Texts compare by
-- code point ("C"), which one index serves both for the order and for "begins with".
ALTER TABLE users
    ALTER COLUMN email_folded TYPE text COLLATE "C",
    ALTER COLUMN username_folded TYPE text COLLATE "C",
    ADD COLUMN first_name_folded text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(first_name)) STORED,
    ADD COLUMN last_name_folded text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(last_name)) STORED,
    -- Whether a word of the name begins elsewhere than the first or the last name does ("de la Cruz", "O'Brien").
    ADD COLUMN has_inner_words boolean NOT NULL
        GENERATED ALWAYS AS (first_name ~ '[^[:alnum:]]' OR last_name ~ '[^[:alnum:]]') STORED,
    ADD COLUMN phone_digits text COLLATE "C" GENERATED ALWAYS AS (ltrim(phone, '+')) STORED,
    ADD COLUMN email_domain text NOT NULL GENERATED ALWAYS AS (split_part(email_folded, '@', 2)) STORED,
    -- Who never logged in comes before everybody who did.
    ADD COLUMN last_login_order timestamptz NOT NULL
        GENERATED ALWAYS AS (coalesce(last_login, '-infinity'::timestamptz)) STORED,
    -- Role, status and rights as one number (UserKinds.swift says which), so that one small column tells all of them.
    ADD COLUMN kinds smallint NOT NULL GENERATED ALWAYS AS ((
        CASE role WHEN 'user' THEN 0 WHEN 'agent' THEN 1 ELSE 2 END
        + CASE status WHEN 'active' THEN 0 WHEN 'inactive' THEN 4 ELSE 8 END
        + CASE WHEN is_staff THEN 16 ELSE 0 END + CASE WHEN is_superuser THEN 32 ELSE 0 END
        + CASE WHEN is_verified THEN 64 ELSE 0 END)::smallint) STORED;

-- Every order of the list has an index that also gives the id, so that a page can begin after any person, and all that
-- people are filtered and sorted by: whoever is passed over on the way to a page is judged by the index alone. Reading
-- ten thousand people from an index takes a millisecond or two, from the table ten times that.
CREATE INDEX users_by_email ON users (email_folded, id) INCLUDE (kinds, created_at, updated_at, last_login_order,
    username_folded, first_name_folded, last_name_folded, has_inner_words, phone_digits);
CREATE INDEX users_by_username ON users (username_folded, id) INCLUDE (kinds, created_at, updated_at, last_login_order,
    email_folded, first_name_folded, last_name_folded, has_inner_words, phone_digits);
CREATE INDEX users_by_first_name ON users (first_name_folded, id) INCLUDE (kinds, created_at, updated_at, last_login_order,
    email_folded, username_folded, last_name_folded, has_inner_words, phone_digits);
CREATE INDEX users_by_last_name ON users (last_name_folded, id) INCLUDE (kinds, created_at, updated_at, last_login_order,
    email_folded, username_folded, first_name_folded, has_inner_words, phone_digits);
CREATE INDEX users_by_creation ON users (created_at, id) INCLUDE (kinds, updated_at, last_login_order,
    email_folded, username_folded, first_name_folded, last_name_folded, has_inner_words, phone_digits);
CREATE INDEX users_by_change ON users (updated_at, id) INCLUDE (kinds, created_at, last_login_order,
    email_folded, username_folded, first_name_folded, last_name_folded, has_inner_words, phone_digits);
CREATE INDEX users_by_login ON users (last_login_order, id) INCLUDE (kinds, created_at, updated_at,
    email_folded, username_folded, first_name_folded, last_name_folded, has_inner_words, phone_digits);
CREATE INDEX users_by_phone ON users (phone_digits, id) WHERE phone_digits IS NOT NULL;
-- Whom a blocked domain concerns.
CREATE INDEX users_by_domain ON users (email_domain);
-- The rare kinds, whom walking an order would not find in time: all but active users without rights (0; verified 64).
CREATE INDEX users_of_rare_kinds ON users (kinds, id) INCLUDE (created_at, updated_at, last_login_order, email_folded,
    username_folded, first_name_folded, last_name_folded, has_inner_words, phone_digits) WHERE kinds <> 0 AND kinds <> 64;
CREATE INDEX users_by_kinds ON users (kinds);
CREATE INDEX users_admins ON users (id) WHERE role = 'admin';

-- The words of names that have more than one each; any other's are found in the orders. Written through at once (no
-- pending list), so that a search never has to read what a list left.
CREATE INDEX users_by_name_words ON users
    USING gin (to_tsvector('simple', first_name_folded || ' ' || last_name_folded)) WITH (fastupdate = off)
    WHERE has_inner_words;

-- An index is only enough where the table's page has been vacuumed since it changed. Every log-in changes one, and the usual
-- fifth of a million would leave no page clean.
ALTER TABLE users SET (autovacuum_vacuum_scale_factor = 0.005, autovacuum_vacuum_insert_scale_factor = 0.01);

-- How many there are of each kind, so that counting a million takes no longer than counting ten. Spread over slots, or
-- everybody who registers would wait for the same row.
CREATE TABLE user_counts (
    kinds smallint NOT NULL,
    slot smallint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (kinds, slot)
) WITH (fillfactor = 70);
-- The same by the day (UTC) they came.
CREATE TABLE user_days (
    day date NOT NULL,
    kinds smallint NOT NULL,
    slot smallint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (day, kinds, slot)
) WITH (fillfactor = 70);

CREATE FUNCTION user_day(at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT (at AT TIME ZONE 'UTC')::date
$$;
-- Where a count goes. Only today's rows are waited for; an older day needs one row.
CREATE FUNCTION user_slot(day date) RETURNS smallint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN day >= user_day(now()) THEN (pg_backend_pid() % 16)::smallint ELSE 0::smallint END
$$;

-- Both always write in the same order, so that two changes in opposite directions do not wait for each other.
CREATE FUNCTION users_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO user_counts AS c
        SELECT kinds, (pg_backend_pid() % 16)::smallint, count(*) FROM came GROUP BY 1 ORDER BY 1
        ON CONFLICT (kinds, slot) DO UPDATE SET n = c.n + excluded.n;
    INSERT INTO user_days AS d
        SELECT t.day, t.kinds, user_slot(t.day), t.n FROM (
            SELECT user_day(created_at) AS day, kinds, count(*) AS n FROM came GROUP BY 1, 2) AS t ORDER BY 1, 2
        ON CONFLICT (day, kinds, slot) DO UPDATE SET n = d.n + excluded.n;
    RETURN NULL;
END
$$;
CREATE FUNCTION users_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO user_counts AS c
        SELECT kinds, (pg_backend_pid() % 16)::smallint, -count(*) FROM went GROUP BY 1 ORDER BY 1
        ON CONFLICT (kinds, slot) DO UPDATE SET n = c.n + excluded.n;
    INSERT INTO user_days AS d
        SELECT t.day, t.kinds, user_slot(t.day), -t.n FROM (
            SELECT user_day(created_at) AS day, kinds, count(*) AS n FROM went GROUP BY 1, 2) AS t ORDER BY 1, 2
        ON CONFLICT (day, kinds, slot) DO UPDATE SET n = d.n + excluded.n;
    RETURN NULL;
END
$$;
CREATE FUNCTION users_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.kinds <> NEW.kinds THEN
        INSERT INTO user_counts AS c
            SELECT t.kinds, (pg_backend_pid() % 16)::smallint, t.n
            FROM (VALUES (OLD.kinds, -1), (NEW.kinds, 1)) AS t (kinds, n) ORDER BY 1
            ON CONFLICT (kinds, slot) DO UPDATE SET n = c.n + excluded.n;
    END IF;
    INSERT INTO user_days AS d
        SELECT t.day, t.kinds, user_slot(t.day), t.n FROM (VALUES
            (user_day(OLD.created_at), OLD.kinds, -1), (user_day(NEW.created_at), NEW.kinds, 1)) AS t (day, kinds, n)
        ORDER BY 1, 2
        ON CONFLICT (day, kinds, slot) DO UPDATE SET n = d.n + excluded.n;
    RETURN NULL;
END
$$;
CREATE TRIGGER users_came AFTER INSERT ON users
    REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION users_came();
CREATE TRIGGER users_went AFTER DELETE ON users
    REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION users_went();
CREATE TRIGGER users_changed AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.kinds <> NEW.kinds OR user_day(OLD.created_at) <> user_day(NEW.created_at))
    EXECUTE FUNCTION users_changed();

INSERT INTO user_counts SELECT kinds, 0, count(*) FROM users GROUP BY 1;
INSERT INTO user_days SELECT user_day(created_at), kinds, 0, count(*) FROM users GROUP BY 1, 2;

-- ── The blacklist ───────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE blacklist (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('user', 'email', 'phone', 'range')),
    -- In its one spelling: a user's id, a folded address or *@domain, E.164, a prefix or a span of numbers.
    value text NOT NULL,
    -- null: everywhere.
    workspace_id uuid REFERENCES workspaces ON DELETE CASCADE,
    reason text NOT NULL DEFAULT '',
    expires_at timestamptz,
    created_by uuid REFERENCES users ON DELETE SET NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- People and addresses are everybody's; a workspace only blocks numbers.
    CHECK (workspace_id IS NULL OR kind IN ('phone', 'range')),
    CONSTRAINT blacklist_value UNIQUE NULLS NOT DISTINCT (kind, value, workspace_id)
);
CREATE INDEX blacklist_by_creation ON blacklist (created_at, id);
CREATE INDEX blacklist_by_workspace ON blacklist (workspace_id, created_at, id);
CREATE INDEX blacklist_by_value ON blacklist (value COLLATE "C");

-- ── Workspaces ──────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE INDEX workspaces_by_name ON workspaces (lower(name) COLLATE "C", id);
CREATE INDEX workspaces_by_creation ON workspaces (created_at, id);
CREATE INDEX workspaces_by_change ON workspaces (updated_at, id);
CREATE INDEX workspaces_by_name_words ON workspaces USING gin (to_tsvector('simple', name)) WITH (fastupdate = off);

CREATE TABLE invitations (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    email text NOT NULL,
    email_folded text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'agent', 'viewer')),
    -- SHA-256 of the token in the mail; null once it was used or withdrawn.
    digest bytea UNIQUE,
    invited_by uuid REFERENCES users ON DELETE SET NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    accepted_by uuid REFERENCES users ON DELETE SET NULL,
    withdrawn_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((digest IS NULL) = (accepted_at IS NOT NULL OR withdrawn_at IS NOT NULL))
);
-- One open invitation for an address and a workspace.
CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, email_folded) WHERE digest IS NOT NULL;
CREATE INDEX invitations_by_workspace ON invitations (workspace_id, created_at, id);
CREATE INDEX invitations_by_creation ON invitations (created_at, id);

-- ── The audit trail ─────────────────────────────────────────────────────────────────────────────────────────────────

-- Who did what to what, when and from where. No foreign keys: what was done stays when the doer or the thing goes.
CREATE TABLE audit (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    at timestamptz NOT NULL DEFAULT now(),
    -- null: a command on the machine.
    actor_id uuid,
    actor_role text NOT NULL,
    session_id uuid,
    api_key_id uuid,
    action text NOT NULL,
    thing text NOT NULL,
    thing_id text NOT NULL,
    workspace_id uuid,
    before jsonb,
    after jsonb,
    address text,
    user_agent text,
    request_id text
);
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_actor ON audit (actor_id, at, id);
CREATE INDEX audit_by_action ON audit (action COLLATE "C", at, id);
CREATE INDEX audit_by_thing ON audit (thing, thing_id, at, id);
CREATE INDEX audit_by_thing_id ON audit (thing_id);
CREATE INDEX audit_by_workspace ON audit (workspace_id, at, id) WHERE workspace_id IS NOT NULL;
CREATE INDEX audit_by_request ON audit (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX audit_by_address ON audit (address) WHERE address IS NOT NULL;

-- Rows are added and never changed. The one exception is the right to be forgotten, below.
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('switchboard.forgetting', true) = 'on' THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'the audit trail is only ever added to' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_stays_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();

-- Takes out of the trail what tells of a person who is erased: names and addresses go, what was done stays.
CREATE FUNCTION audit_forget(person uuid, mail text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('switchboard.forgetting', 'on', true);
    UPDATE audit SET before = NULL, after = NULL
        WHERE thing IN ('user', 'member') AND thing_id = person::text
           OR thing IN ('workspace', 'invitation') AND actor_id = person
           OR lower(before ->> 'email') = lower(mail) OR lower(after ->> 'email') = lower(mail)
           OR lower(before ->> 'value') = lower(mail) OR lower(after ->> 'value') = lower(mail);
    UPDATE audit SET address = NULL, user_agent = NULL WHERE actor_id = person;
    PERFORM set_config('switchboard.forgetting', 'off', true);
END
$$;
