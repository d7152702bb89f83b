-- Telephony: calls and their transcripts, the AI agents and humans that hold them, and what is asked of the carrier.
-- Every list filter of documents 001 and 003 is served by an index that starts with the workspace.

-- ── AI agents and phone numbers (document 001) ──────────────────────────────────────────────────────────────────────

CREATE TABLE ai_agents (
    id               uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id     uuid NOT NULL,
    business_id      uuid,
    name             text NOT NULL,
    greeting         text NOT NULL DEFAULT '',
    voice            text NOT NULL DEFAULT '',
    language         text NOT NULL DEFAULT 'en-US',
    -- Minutes between two attempts to reach the same number.
    retry_interval   integer NOT NULL DEFAULT 30 CHECK (retry_interval BETWEEN 0 AND 10080),
    workdays         text[] NOT NULL DEFAULT '{}',
    call_from        time,
    call_to          time,
    -- IANA name; null: the zones the called number may be in.
    timezone         text,
    "character"      text NOT NULL DEFAULT '',
    personality_type text NOT NULL DEFAULT 'professional'
        CHECK (personality_type IN ('professional', 'friendly', 'enthusiastic', 'empathetic', 'formal')),
    status           text NOT NULL DEFAULT 'training' CHECK (status IN ('training', 'learning', 'active', 'paused')),
    calls_held       bigint NOT NULL DEFAULT 0,
    version          bigint NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ai_agents_by_workspace ON ai_agents (workspace_id, created_at DESC, id DESC);
CREATE INDEX ai_agents_by_age ON ai_agents (created_at DESC, id DESC);
CREATE INDEX ai_agents_by_business ON ai_agents (business_id) WHERE business_id IS NOT NULL;

CREATE TABLE phone_numbers (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    -- One number rings in one place, whoever owns it.
    phone_number text NOT NULL CONSTRAINT phone_numbers_number UNIQUE,
    agent_id     uuid REFERENCES ai_agents (id) ON DELETE SET NULL,
    label        text NOT NULL DEFAULT '',
    is_active    boolean NOT NULL DEFAULT true,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX phone_numbers_by_workspace ON phone_numbers (workspace_id, created_at DESC, id DESC);
CREATE INDEX phone_numbers_by_age ON phone_numbers (created_at DESC, id DESC);
CREATE INDEX phone_numbers_by_agent ON phone_numbers (agent_id) WHERE agent_id IS NOT NULL;

-- ── Human agents (document 003 §6) ──────────────────────────────────────────────────────────────────────────────────

CREATE TABLE human_agents (
    id                  uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id        uuid NOT NULL,
    -- The person, once one with this e-mail address has arrived.
    user_id             uuid,
    name                text NOT NULL,
    email               text NOT NULL,
    email_folded        text NOT NULL,
    phone_number        text,
    extension           text,
    is_available        boolean NOT NULL DEFAULT true,
    is_active           boolean NOT NULL DEFAULT true,
    skills              text[] NOT NULL DEFAULT '{}',
    departments         text[] NOT NULL DEFAULT '{}',
    total_calls_handled bigint NOT NULL DEFAULT 0,
    average_rating      double precision,
    -- The one call this person is reserved for or on. Unique by being a column: nobody holds two.
    busy_call_id        uuid,
    idle_since          timestamptz NOT NULL DEFAULT now(),
    last_active_at      timestamptz,
    metadata            jsonb NOT NULL DEFAULT '{}',
    version             bigint NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT human_agents_email UNIQUE (workspace_id, email_folded)
);
CREATE INDEX human_agents_by_workspace ON human_agents (workspace_id, name, id);
CREATE INDEX human_agents_by_name ON human_agents (name, id);
CREATE INDEX human_agents_by_user ON human_agents (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX human_agents_busy ON human_agents (busy_call_id) WHERE busy_call_id IS NOT NULL;
-- Reserving takes the one idle longest.
CREATE INDEX human_agents_free ON human_agents (workspace_id, idle_since, id)
    WHERE is_active AND is_available AND busy_call_id IS NULL;

-- ── Calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE calls (
    id                  uuid PRIMARY KEY,
    workspace_id        uuid NOT NULL,
    version             bigint NOT NULL DEFAULT 1,
    twilio_call_sid     text CONSTRAINT calls_sid UNIQUE,
    direction           text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    status              text NOT NULL
        CHECK (status IN ('initiated', 'ringing', 'in_progress', 'completed', 'failed', 'escalated')),
    from_number         text NOT NULL,
    to_number           text NOT NULL,
    business_id         uuid,
    agent_id            uuid,
    started_at          timestamptz NOT NULL,
    answered_at         timestamptz,
    ended_at            timestamptz,
    duration_seconds    bigint,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    metadata            jsonb NOT NULL DEFAULT '{}',
    priority            text NOT NULL DEFAULT 'medium' CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
    failure_reason      text,
    outcome             text CHECK (outcome IN ('converted', 'interested', 'not_interested', 'callback', 'voicemail',
                                                'no_answer', 'escalated')),
    qa_score            double precision,
    qa_scores           jsonb,
    qa_version          bigint NOT NULL DEFAULT 0,
    sentiment           text CHECK (sentiment IN ('positive', 'neutral', 'negative')),
    escalation_status   text CHECK (escalation_status IN ('pending', 'in_progress', 'completed')),
    assigned_agent_id   uuid,
    assigned_agent_name text,
    paused              boolean NOT NULL DEFAULT false,
    instructions        text,
    handed_off          boolean NOT NULL DEFAULT false,
    -- What the conversation engine keeps between two sockets of the same call.
    greeted             boolean NOT NULL DEFAULT false,
    last_sequence       integer NOT NULL DEFAULT 0,
    -- Counts sockets: only the newest one may write the transcript.
    relay_epoch         integer NOT NULL DEFAULT 0,
    failures            integer NOT NULL DEFAULT 0,
    -- When the carrier was last heard of or asked about this call.
    carrier_seen_at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((status IN ('completed', 'failed')) = (ended_at IS NOT NULL))
);
CREATE INDEX calls_by_start ON calls (started_at DESC, id DESC);
CREATE INDEX calls_workspace_start ON calls (workspace_id, started_at DESC, id DESC);
CREATE INDEX calls_workspace_status ON calls (workspace_id, status, started_at DESC, id DESC);
CREATE INDEX calls_workspace_direction ON calls (workspace_id, direction, started_at DESC, id DESC);
CREATE INDEX calls_workspace_business ON calls (workspace_id, business_id, started_at DESC, id DESC)
    WHERE business_id IS NOT NULL;
CREATE INDEX calls_workspace_sentiment ON calls (workspace_id, sentiment, started_at DESC, id DESC)
    WHERE sentiment IS NOT NULL;
-- Absent values sort below every present one, in both directions.
CREATE INDEX calls_workspace_duration ON calls (workspace_id, coalesce(duration_seconds, -1) DESC, id DESC);
CREATE INDEX calls_workspace_qa ON calls (workspace_id, coalesce(qa_score, -1) DESC, id DESC);
CREATE INDEX calls_by_duration ON calls (coalesce(duration_seconds, -1) DESC, id DESC);
CREATE INDEX calls_by_qa ON calls (coalesce(qa_score, -1) DESC, id DESC);
-- Searching a number by its first or its last digits.
CREATE INDEX calls_from_first ON calls (ltrim(from_number, '+') text_pattern_ops);
CREATE INDEX calls_from_last ON calls (reverse(from_number) text_pattern_ops);
CREATE INDEX calls_to_first ON calls (ltrim(to_number, '+') text_pattern_ops);
CREATE INDEX calls_to_last ON calls (reverse(to_number) text_pattern_ops);
CREATE INDEX calls_live ON calls (carrier_seen_at) WHERE status IN ('initiated', 'ringing', 'in_progress', 'escalated');
CREATE INDEX calls_live_by_workspace ON calls (workspace_id)
    WHERE status IN ('initiated', 'ringing', 'in_progress', 'escalated');
CREATE INDEX calls_by_business ON calls (business_id) WHERE business_id IS NOT NULL;

CREATE TABLE interactions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id         uuid NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    -- Made by whoever heard or said it: storing it again after a commit of unknown outcome finds it here.
    utterance       uuid NOT NULL CONSTRAINT interactions_utterance UNIQUE,
    sequence        integer NOT NULL CHECK (sequence > 0),
    speaker         text NOT NULL CHECK (speaker IN ('ai', 'customer')),
    text            text NOT NULL,
    audio_url       text,
    at              timestamptz NOT NULL,
    metadata        jsonb NOT NULL DEFAULT '{}',
    -- −1…1, from qa-analytics.
    sentiment_score double precision,
    CONSTRAINT interactions_order UNIQUE (call_id, sequence)
);

CREATE TABLE notes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id    uuid NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    author_id  uuid,
    note       text NOT NULL,
    tags       text[] NOT NULL DEFAULT '{}',
    category   text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notes_by_call ON notes (call_id, id);

-- ── Escalations ─────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE escalations (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id         uuid NOT NULL,
    call_id              uuid NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    status               text NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'cancelled')),
    trigger_type         text NOT NULL,
    trigger_details      jsonb NOT NULL DEFAULT '{}',
    skill                text,
    assigned_agent_id    uuid,
    agent_name           text,
    conversation_summary text,
    context_data         jsonb NOT NULL DEFAULT '{}',
    -- Humans who were called and did not come.
    tried                uuid[] NOT NULL DEFAULT '{}',
    requested_at         timestamptz NOT NULL DEFAULT now(),
    accepted_at          timestamptz,
    completed_at         timestamptz
);
-- A call has one open escalation at most.
CREATE UNIQUE INDEX escalations_open ON escalations (call_id) WHERE status IN ('pending', 'in_progress');
CREATE INDEX escalations_by_call ON escalations (call_id, id);
CREATE INDEX escalations_workspace ON escalations (workspace_id, id DESC);
CREATE INDEX escalations_workspace_status ON escalations (workspace_id, status, id DESC);
CREATE INDEX escalations_by_agent ON escalations (assigned_agent_id, id DESC) WHERE assigned_agent_id IS NOT NULL;
CREATE INDEX escalations_waiting ON escalations (workspace_id, id) WHERE status = 'pending' AND assigned_agent_id IS NULL;

-- ── What customers asked for ────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE callbacks (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    call_id      uuid REFERENCES calls (id) ON DELETE SET NULL,
    kind         text NOT NULL CHECK (kind IN ('callback', 'meeting')),
    phone_number text NOT NULL,
    name         text,
    due_at       timestamptz NOT NULL,
    note         text,
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'cancelled')),
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX callbacks_due ON callbacks (workspace_id, status, due_at);
CREATE INDEX callbacks_by_call ON callbacks (call_id) WHERE call_id IS NOT NULL;

CREATE TABLE do_not_call (
    workspace_id uuid NOT NULL,
    phone_number text NOT NULL,
    reason       text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, phone_number)
);

-- ── What is asked of the carrier ────────────────────────────────────────────────────────────────────────────────────

-- The intent is committed before the carrier hears of it. After a crash an `asked` dial is looked up at the carrier,
-- never dialled again blindly; hanging up and redirecting may safely be repeated.
CREATE TABLE carrier_orders (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('dial', 'dial_agent', 'hang_up', 'redirect')),
    call_id       uuid NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    escalation_id bigint,
    agent_id      uuid,
    from_number   text,
    to_number     text,
    sid           text,
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'asked', 'done', 'failed')),
    attempts      integer NOT NULL DEFAULT 0,
    not_before    timestamptz NOT NULL DEFAULT now(),
    asked_at      timestamptz,
    problem       text,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX carrier_orders_dial ON carrier_orders (call_id) WHERE kind = 'dial';
CREATE UNIQUE INDEX carrier_orders_dial_agent ON carrier_orders (escalation_id, agent_id) WHERE kind = 'dial_agent';
CREATE INDEX carrier_orders_open ON carrier_orders (not_before) WHERE state IN ('pending', 'asked');
CREATE INDEX carrier_orders_by_call ON carrier_orders (call_id);
CREATE INDEX carrier_orders_by_sid ON carrier_orders (sid) WHERE sid IS NOT NULL;

-- Callbacks already taken in. Signatures do not expire, so this is what stops a replay; a replay older than these rows
-- meets a terminal call and changes nothing.
CREATE TABLE carrier_callbacks (
    key         text PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX carrier_callbacks_by_age ON carrier_callbacks (received_at);

-- ── What other programs told us ─────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE business_configs (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    version      bigint NOT NULL,
    name         text NOT NULL,
    is_active    boolean NOT NULL,
    config_data  jsonb NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX business_configs_by_workspace ON business_configs (workspace_id);

CREATE TABLE workspace_limits (
    workspace_id uuid NOT NULL,
    "limit"      text NOT NULL,
    value        bigint NOT NULL,
    max          bigint NOT NULL,
    reached_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, "limit")
);

-- Workspaces that are being erased: nothing new is created in them.
CREATE TABLE erased_workspaces (
    workspace_id uuid PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now()
);
